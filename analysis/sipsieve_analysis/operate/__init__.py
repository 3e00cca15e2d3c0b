"""What an operator asks and changes: the parts behind check, explain, report, tail, status, reload, set."""

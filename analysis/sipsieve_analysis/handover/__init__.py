"""What a report says to whoever commissioned it, beside the findings: scope, summary, timeline, effect, advice."""

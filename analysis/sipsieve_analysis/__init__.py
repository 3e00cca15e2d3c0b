"""What an analyst and an operator run beside the guard: never inside Kamailio."""

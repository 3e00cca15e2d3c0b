"""Writes the decision log: what a record holds, how it is masked, what is written and what only counted."""

"""Follows a live log: what is new in it, who is new in it, and whom to tell."""

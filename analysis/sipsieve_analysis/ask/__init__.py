"""Answers questions over an archive or logs: each is a query of a fixed, typed vocabulary, and numbers come from the engine."""

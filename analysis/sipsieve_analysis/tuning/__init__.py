"""Tries policies on recorded traffic, by the guard's own core, and proposes limits from it."""

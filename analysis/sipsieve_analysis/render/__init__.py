"""One module for each medium; each makes everything that came from outside harmless for it."""

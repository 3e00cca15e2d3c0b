"""Loads what is looked for: detection rules as data, their exceptions, and the structural checks by name."""

"""Labelled worlds of SIP traffic: made from a seed, written as any input, scored against their labels."""

"""Replays scenarios at a guard, on loopback or in the lab's containers, and judges what became of them."""

"""Asks the operating system: who owns a file, how much memory a process has, what a file holds."""

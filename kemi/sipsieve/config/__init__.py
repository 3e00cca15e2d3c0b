"""Reads and checks what an operator has decided: the policy file and values set on a running server."""

"""What works on a deployment: a running server, its configuration and its policy."""

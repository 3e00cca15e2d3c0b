"""A small back office that stores callers from SIP events: a lab's victim, and how it would be done right."""

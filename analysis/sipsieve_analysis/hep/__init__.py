"""A sensor for SIP servers that can't load the guard: they send what they see by HEP, and the guard's engine decides on it."""

"""sipsieve: decides on every SIP message before a backend sees it. Pure but for the modules that a test names."""

__version__ = "0.2.0"

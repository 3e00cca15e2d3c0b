"""sipsieve: decides on every SIP message before a backend sees it. Pure but for `journal`."""

__version__ = "0.1.0"

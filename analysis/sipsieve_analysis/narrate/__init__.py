"""Has a language model put a report into words, and keeps of them only what the report proves."""

"""One module for each subcommand of `sipsieve`; the module's `command` is what runs."""

"""One module for each kind of input; `intake` turns any mix of them into the events table."""

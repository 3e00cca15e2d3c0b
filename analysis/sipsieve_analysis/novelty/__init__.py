"""What no rule knows: a site's own normal, learned from accepted traffic, and what is unusual beside it."""

"""Who did it: what sources share, what they reached, and what is evidence against them."""

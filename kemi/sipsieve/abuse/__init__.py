"""Counts what sources do, and shuts out those that do too much: limits, refused logins, bans."""

"""Bans for others: as threat intelligence, over HTTP, as abuse reports, and to and from CrowdSec."""

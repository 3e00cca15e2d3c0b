"""Follows SIP data through a Kamailio configuration or KEMI script to where it does harm."""

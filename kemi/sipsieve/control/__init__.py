"""Runs beside the messages: reload, the timer's round, metrics, status, and the table by which operators ask."""

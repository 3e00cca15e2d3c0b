"""Keeps the events of months and of many edges as Parquet, in a folder or an S3-compatible store."""

"""Turns records into statistics, rows and files. Nothing here runs a trial or prints."""

"""From records to statistics, tables and files. Nothing here runs a trial or prints."""

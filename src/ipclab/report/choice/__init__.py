"""A decision of ``ipclab choose``: its words in both languages, and one file for each format."""

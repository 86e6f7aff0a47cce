"""The outcome of the conformance suite: one file for each format, and the badge."""

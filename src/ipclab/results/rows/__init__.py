"""Turns the records of trials into the rows of the comparison: one row per backend, mode and shape."""

"""From the records of trials to the rows of the comparison: one row a backend, mode and shape."""

"""How the runs of an experiment over time are shown: one file an output format."""

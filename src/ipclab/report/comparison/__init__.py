"""How a comparison of two runs is shown: its words, and one file an output format."""

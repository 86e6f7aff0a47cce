"""How results are shown: layout, headings and notes, and one file an output format.

May import: ``results`` and what ``results`` may import. Only ``report`` and ``cli`` print.
"""

"""Shows results: layout, headings and notes, and one file per output format.

May import: ``results`` and what ``results`` may import. Only ``report`` and ``cli`` print.
"""

"""What a message carries: kinds of payloads, their sizes, the codecs by which they travel, and their seals.

A *payload* is the object that a program sends. A *codec* makes bytes of it for a channel that carries bytes.
Each payload has a stamp inside, by which the ledger accounts for it: see ``seal``. May import: ``host``,
``errors``.
"""

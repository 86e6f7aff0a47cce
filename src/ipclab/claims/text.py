"""Words in the two languages of the study notes."""

from __future__ import annotations

import msgspec


class Text(msgspec.Struct, frozen=True):
    """The same words in English and in Chinese."""

    en: str
    zh: str

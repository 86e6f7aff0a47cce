"""Texts in the language of the reader, from one catalogue: ``ipclab/locale``.

A text in English is its own key. ``make texts`` collects the keys from calls of ``tr()``, ``mark()`` and the
nouns of ``units.of()``, and compiles the catalogue. A key without a translation is shown in English.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from ipclab.host.language import Language

FOLDER = Path(__file__).parents[1] / "locale"
DOMAIN = "ipclab"
_language: ContextVar[Language] = ContextVar("language", default="en")


@contextlib.contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Make ``tr()`` return texts in this language within the block, in this thread or task only."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def language() -> Language:
    """Return the language that ``tr()`` returns texts in."""
    return _language.get()


def tr(text: str, /, **fields: object) -> str:
    """Return the text in the language of the reader, with its ``{fields}`` filled in."""
    speaks = _language.get()
    found = text if speaks == "en" or not text else _catalogue(speaks)(text)
    return found.format(**fields) if fields else found


def mark(text: str) -> str:
    """Return the text as it is, for a constant that ``tr()`` translates when it is shown."""
    return text


@functools.cache
def _catalogue(language: Language) -> Callable[[str], str]:
    import gettext  # not for whoever reads English

    return gettext.translation(DOMAIN, FOLDER, [language], fallback=True).gettext

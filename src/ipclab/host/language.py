"""The language in which the user reads: English, or Chinese where the locale says so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def preferred(environ: Mapping[str, str] = os.environ) -> Language:
    """Return the language of the first of ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` that is set."""
    told = next((environ[name] for name in _VARIABLES if environ.get(name)), "")
    return "zh" if told.lower().partition("_")[0].partition(".")[0] == "zh" else "en"

"""Reads a stored result, of this version of the schema or of one before it."""

from __future__ import annotations

from typing import Any

import msgspec

from ipclab.errors import ResultsError
from ipclab.results import version_1
from ipclab.results.result import SCHEMA_VERSION, Result

_DERIVED = ("rows", "cells")
"""What ``--format json`` prints beside a result. It is derived anew from the trials."""


def parse(data: bytes, name: str) -> Result:
    """Return the result in ``data``: a ``result.json``, or what ``--format json`` printed.

    ``name`` is what the errors call it. Raises ResultsError, in one line, where it is no result or of an
    unknown version.
    """
    try:
        whole = msgspec.json.decode(data)
        version = msgspec.convert(whole, _Version).ipclab_result
    except msgspec.MsgspecError as error:
        raise ResultsError(f"{name} is not a result of ipclab, or is damaged: {error}") from error
    fields: dict[str, Any] = {key: value for key, value in whole.items() if key not in _DERIVED}
    if version == version_1.VERSION:
        fields = version_1.upgrade(fields)
    elif version != SCHEMA_VERSION:
        raise ResultsError(
            f"{name} has version {version} of the result schema, and this ipclab reads versions "
            f"{version_1.VERSION} to {SCHEMA_VERSION}: use the ipclab that wrote it, or run it again"
        )
    try:
        return msgspec.convert(fields, Result)
    except msgspec.MsgspecError as error:
        raise ResultsError(f"{name} does not fit the result schema: {error}") from error


class _Version(msgspec.Struct):
    ipclab_result: int

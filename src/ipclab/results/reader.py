"""Reads a stored result, of this version of the schema or of an earlier one."""

from __future__ import annotations

from typing import Any

import msgspec

from ipclab.errors import ResultsError, UnknownNameError
from ipclab.host.text import escaped
from ipclab.results import version_1
from ipclab.results.result import SCHEMA_VERSION, Result
from ipclab.trial import workloads

MOST_BYTES = 256 << 20
"""The largest result file that is read."""
MOST_TEXT = 1 << 18
"""Characters of the longest text in a result; the stacks and timelines of the lab are far shorter."""
_MOST_BYTES_OF_VERSION_1 = 32 << 20
_DERIVED = ("rows", "cells", "capacities", "curves", "jobs")
"""What ``--format json`` prints beside a result. It is derived again from the trials."""


def parse(data: bytes, name: str) -> Result:
    """Return the result in ``data``: a ``result.json``, or the output of ``--format json``.

    ``name`` names it in the errors. Raise ResultsError, in one line, where it is no result or of an unknown
    version.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).ipclab_result
        parts = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ResultsError(f"{name} is not a result of ipclab, or is damaged: {error}") from error
    kept = msgspec.json.encode({key: value for key, value in parts.items() if key not in _DERIVED})
    if version == version_1.VERSION:
        if len(data) > _MOST_BYTES_OF_VERSION_1:
            raise ResultsError(f"{name} is larger than {_MOST_BYTES_OF_VERSION_1 >> 20} MiB")
        fields = version_1.upgrade(_decoded(kept, Any, name))
    elif version != SCHEMA_VERSION:
        raise ResultsError(
            f"{name} has version {version} of the result schema, and this ipclab reads versions "
            f"{version_1.VERSION} to {SCHEMA_VERSION}: use the ipclab that wrote it, or run it again"
        )
    else:
        # The schema is checked while it is decoded: any other data may take fifty times their size in memory.
        fields = _decoded(kept, Result, name)
    try:
        result = msgspec.convert(fields, Result)
        for trial in result.trials:
            workloads.of(trial.spec)
    except (msgspec.MsgspecError, UnknownNameError) as error:
        raise ResultsError(f"{name} does not fit the result schema: {error}") from error
    return result


def _decoded(data: bytes, schema: Any, name: str) -> Any:
    """Return decoded data that fit this schema, as plain objects with all texts escaped."""
    try:
        return escaped_texts(msgspec.to_builtins(msgspec.json.decode(data, type=schema)), name)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ResultsError(f"{name} does not fit the result schema: {error}") from error


def escaped_texts(value: Any, name: str) -> Any:
    """Return decoded data with control characters escaped in every text, because anybody may have written it.

    Raise ResultsError for a text that is longer than any of the lab's own, RecursionError for data that are
    nested deeply.
    """
    if isinstance(value, str):
        if len(value) > MOST_TEXT:
            raise ResultsError(
                f"{name} has a text of {len(value)} characters; no result has one of {MOST_TEXT}"
            )
        return escaped(value, lines=True)
    if isinstance(value, list):
        return [escaped_texts(one, name) for one in value]
    if isinstance(value, dict):
        return {escaped_texts(key, name): escaped_texts(one, name) for key, one in value.items()}
    return value


class _Version(msgspec.Struct):
    ipclab_result: int

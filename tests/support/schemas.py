"""The schemas of the files that ipclab stores, and whether the files that tests leave follow them."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec

from ipclab.claims.keep import KeptRun
from ipclab.history.format import Header, Line
from ipclab.report.json import Report
from tests.support.documents import CHECKOUT

FOLDER = CHECKOUT / "schemas"


@functools.cache
def validator(name: str) -> Any:
    """Return what validates values by the schema of this name, such as ``result-2``."""
    return jsonschema.Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text()))


def problems(name: str, value: object) -> list[str]:
    """Return what is wrong with a value by a schema; empty for nothing."""
    return [f"{error.json_path}: {error.message}"[:300] for error in validator(name).iter_errors(value)]


def problems_below(folder: Path) -> list[str]:
    """Return what is wrong with the results, histories and runs of claims in a folder.

    Tests also write files that ipclab refuses. What ipclab reads, the schema must accept.
    """
    found = []
    for path in folder.rglob("result.json"):
        if _reads(data := path.read_bytes(), Report) and b'"ipclab_result":2' in data[:40]:
            found += [f"{path}: {one}" for one in problems("result-2", json.loads(data))]
    for path in folder.rglob("histories/*.jsonl.gz"):
        found += [f"{path}: {one}" for one in problems_of_history(_lines(path))]
    for path in folder.rglob("claims/*.json"):
        if _reads(data := path.read_bytes(), KeptRun):
            found += [f"{path}: {one}" for one in problems("claims-1", json.loads(data))]
    return found


def problems_of_history(lines: Iterator[bytes]) -> list[str]:
    """Return what is wrong with the lines of a history. Of lines of the same form, one is checked."""
    found = []
    seen = set()
    for line in lines:
        if not (_reads(line, Header) or _reads(line, Line)):
            continue
        value = json.loads(line)
        form = (*((key, type(of)) for key, of in value.items()), value.get("type"), value.get("f"))
        if form not in seen:
            seen.add(form)
            found += problems("history-1", value)
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            yield from file
    except (OSError, EOFError, zlib.error):
        return  # a history that was cut off, on purpose


def _reads(data: bytes, type_: type) -> bool:
    try:
        msgspec.json.decode(data, type=type_)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True

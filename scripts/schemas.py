"""Write the JSON schemas of what ipclab stores, from the classes that read and write it: ``make schemas``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ipclab.claims import outcome
from ipclab.claims.keep import KeptRun
from ipclab.claims.outcome import Run
from ipclab.history import format as history
from ipclab.report.json import Report
from ipclab.results import result

FOLDER = Path(__file__).parents[1] / "schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def made() -> dict[str, str]:
    """Return the text of each schema by the name of its file."""
    schemas = {
        f"result-{result.SCHEMA_VERSION}": _schema(
            "A result: result.json, and the output of --format json, which has rows, cells and more besides",
            [Report],
            ("Report", "ipclab_result", result.SCHEMA_VERSION),
        ),
        f"history-{history.VERSION}": _schema(
            "One line of a history, a file of JSON lines: the header, or an operation or a fault",
            [history.Header, history.Line],
            ("Header", "ipclab_history", history.VERSION),
        ),
        f"claims-{outcome.SCHEMA_VERSION}": _schema(
            "A run of claims: --format json, or --format evidence",
            [Run, KeptRun],
            ("Run", "ipclab_claims", outcome.SCHEMA_VERSION),
            ("KeptRun", "ipclab_claims", outcome.SCHEMA_VERSION),
        ),
    }
    return {
        f"{name}.json": json.dumps({"$schema": _DIALECT, "$id": f"urn:ipclab:{name}", **schema}, indent=1)
        + "\n"
        for name, schema in schemas.items()
    }


def _schema(title: str, roots: Sequence[type], *versions: tuple[str, str, int]) -> dict[str, Any]:
    """Return the schema of a value that is one of ``roots``.

    Each of ``versions`` is a class, its field with the version, and the only value of that field.
    """
    references, classes = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    for owner, field, version in versions:
        classes[owner]["properties"][field] = {"const": version}
    for one in classes.values():
        if "description" in one:
            one["description"] = inspect.cleandoc(one["description"])
    of = references[0] if len(references) == 1 else {"anyOf": list(references)}
    return {"title": title, **of, "$defs": classes}


def main() -> None:
    """Write the schemas, and delete those that are gone."""
    FOLDER.mkdir(exist_ok=True)
    texts = made()
    for file in FOLDER.glob("*.json"):
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

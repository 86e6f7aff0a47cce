"""Collect the texts that are to be translated, and compile the catalogue: ``make texts``.

New texts are added to the .po file without a translation, and those that are gone are dropped.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "src" / "ipclab"
PO = PACKAGE / "locale" / "zh" / "LC_MESSAGES" / "ipclab.po"
KEYWORDS = {"tr": None, "mark": None, "of": (2,), "_Rule": (2,), "Head": (1, 2)}
"""The functions whose arguments are texts, and which arguments these are, if not the first."""
_HEADER = b'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: zh\\n"\n\n'
METHODS = [("**.py", "python"), ("**.j2", "jinja2")]


def collected() -> Catalog:
    """Return a catalogue of all texts of the package, without translations."""
    found = Catalog(project="ipclab", charset="utf-8")
    for file, line, message, _, _ in extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS):
        for one in message if isinstance(message, tuple) else (message,):
            if one:
                found.add(one, locations=[(file, line)])
    return found


def translated() -> Catalog:
    """Return the catalogue as it is in the .po file."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh")


def text(catalogue: Catalog) -> bytes:
    """Return a catalogue as the text of a .po file, the same for the same texts."""
    out = io.BytesIO()
    write_po(out, catalogue, width=110, no_location=True, omit_header=True, sort_output=True)
    return _HEADER + out.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as a .mo file."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def main() -> None:
    """Update the .po file, compile it, and name how many texts have no translation."""
    catalogue = translated() if PO.exists() else Catalog(locale="zh")
    catalogue.update(collected(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    PO.write_bytes(text(catalogue))
    catalogue = translated()
    PO.with_suffix(".mo").write_bytes(compiled(catalogue))
    left = [message.id for message in catalogue if message.id and not message.string]
    sys.stderr.write(f"{len(list(catalogue))} texts, {len(left)} without a translation\n")


if __name__ == "__main__":
    main()

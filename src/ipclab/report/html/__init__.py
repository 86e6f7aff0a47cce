"""A result as one page that opens from disk without a network. Readable without scripts; they only add.

``page.py`` puts it together, one module a section; ``templates/`` has the markup, the style and the script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.look import Look

if TYPE_CHECKING:
    from ipclab.results.result import Result


def render(result: Result, look: Look | None = None) -> str:
    """Return the page of a result. Raise ResultsError for an unreadable histogram."""
    from ipclab.report.html.page import make_page
    from ipclab.report.html.run import gather

    return make_page([gather(result, look.folder if look else "")]) + "\n"

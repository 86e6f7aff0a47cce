"""The colours of the page and of its pictures, as CSS variables, for a light and a dark ground. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ipclab.report.family import FAMILIES

Theme = Literal["light", "dark"]
TEMPLATES = Path(__file__).with_name("templates")
GROUNDS: Mapping[Theme, str] = {"light": "#ffffff", "dark": "#0f1419"}
PANELS: Mapping[Theme, str] = {"light": "#f9fafb", "dark": "#171d26"}
"""The background of cards."""
_REST: Mapping[Theme, Mapping[str, str]] = {
    "light": {
        "ink": "#1b1f24",
        "soft": "#57606a",
        "edge": "#d0d7de",
        "grid": "#e4e8ec",
        "other": "#c8d0d8",
        "link": "#0550ae",
        "good": "#1a5c2e",
        "good-ground": "#e6f3ea",
        "mild": "#7d4e00",
        "mild-ground": "#fff4d6",
        "doubt": "#7d4e00",
        "doubt-ground": "#fff4d6",
        "bad": "#a40e26",
        "bad-ground": "#ffe5e3",
        "worse": "#ffffff",
        "worse-ground": "#b3261e",
        "worst": "#ffffff",
        "worst-ground": "#7a0b1c",
        "alarm": "#a40e26",
    },
    "dark": {
        "ink": "#e6edf3",
        "soft": "#9aa5b1",
        "edge": "#313b48",
        "grid": "#242d38",
        "other": "#3d4856",
        "link": "#79b8ff",
        "good": "#a8dcb5",
        "good-ground": "#182a1f",
        "mild": "#f0cf7a",
        "mild-ground": "#33290f",
        "doubt": "#f0cf7a",
        "doubt-ground": "#33290f",
        "bad": "#ffb3ab",
        "bad-ground": "#3d1a1c",
        "worse": "#ffffff",
        "worse-ground": "#b3261e",
        "worst": "#ffffff",
        "worst-ground": "#8f1024",
        "alarm": "#ff8a80",
    },
}


def variables(theme: Theme) -> str:
    """Return the CSS variables of a theme."""
    found = {"ground": GROUNDS[theme], "panel": PANELS[theme], **_REST[theme]}
    found |= {f"fam-{one.name}": one.light if theme == "light" else one.dark for one in FAMILIES}
    return "".join(f"--{name}:{value};" for name, value in found.items())


def of_page() -> str:
    """Return the style sheet of the page. The reader's system chooses the theme, unless the page is told."""
    light, dark = variables("light"), variables("dark")
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}:root[data-theme=light]{{color-scheme:light}}"
        f"@media print{{:root,:root[data-theme=dark]{{color-scheme:light;{light}}}}}"
        f"{_families()}{_file('chart.css')}{_file('page.css')}"
    )


def of_picture(theme: Theme) -> str:
    """Return the style sheet of a picture that is a file of its own."""
    return f"svg{{{variables(theme)}}}{_families()}{_file('chart.css')}"


def _families() -> str:
    return "".join(f".fam-{one.name}{{color:var(--fam-{one.name})}}" for one in FAMILIES)


def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")

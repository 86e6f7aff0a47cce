"""Record a command in a terminal, and draw its last seconds as an SVG that moves without a script.

python docs/record_demo.py record docs/run/demo.cast make demo
python docs/record_demo.py draw docs/run/demo.cast docs/images/demo.svg

The recording is an asciicast (version 2): a line of JSON for the terminal, then one for each piece of output.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

COLUMNS, ROWS = 100, 30
LAST_S = 12.0
"""How much of the end is drawn."""
REST_S = 6.0
"""How long the last screen stays."""
STEP_S = 0.25
"""The shortest time between two screens."""
CHARACTER, LINE, MARGIN = 7.8, 17.0, 12.0
COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#f2cc60", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea"}
_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.|([\r\n\b])|([^\x1b\r\n\b]+)")

Style = tuple[str, ...]
Run = tuple[str, Style]


@dataclass
class Screen:
    """A terminal, as far as progress bars and tables need one: lines, styles, a cursor, scrolling."""

    columns: int = COLUMNS
    rows: int = ROWS
    lines: list[list[tuple[str, Style]]] = field(default_factory=lambda: [[]])
    y: int = 0
    x: int = 0
    style: Style = ()

    def feed(self, text: str) -> None:
        """Take output."""
        for match in _CONTROL.finditer(text):
            numbers, letter, control, plain = match.groups()
            if plain:
                for character in plain:
                    self._put(character)
            elif control == "\r":
                self.x = 0
            elif control == "\n":
                self._down()
            elif control == "\b":
                self.x = max(self.x - 1, 0)
            elif letter:
                self._order(letter, [int(n) for n in numbers.strip("?").split(";") if n])

    def _put(self, character: str) -> None:
        if self.x >= self.columns:
            self.x = 0
            self._down()
        line = self.lines[self.y]
        line += [(" ", ())] * (self.x + 1 - len(line))
        line[self.x] = character, self.style
        self.x += 1

    def _down(self) -> None:
        self.y += 1
        if self.y == len(self.lines):
            self.lines.append([])
        if len(self.lines) > self.rows:
            del self.lines[0]
            self.y -= 1

    def _order(self, letter: str, numbers: list[int]) -> None:
        many = numbers[0] if numbers else 0
        if letter == "A":
            self.y = max(self.y - (many or 1), 0)
        elif letter == "K" and many == 2:
            self.lines[self.y] = []
        elif letter == "K" and many == 0:
            del self.lines[self.y][self.x :]
        elif letter == "J":
            del self.lines[self.y + 1 :]
        elif letter == "m":
            self._paint(numbers or [0])

    def _paint(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == 0:
                self.style = ()
            elif number in (1, 2, 3):
                self.style = (*self.style, ("b", "d", "i")[number - 1])
            elif number in COLOURS or number - 60 in COLOURS:
                self.style = (*self.style, f"c{number % 10}")

    def shown(self) -> tuple[tuple[Run, ...], ...]:
        """Return the lines, each as runs of one style."""
        return tuple(tuple(_runs(line)) for line in self.lines)


def _runs(line: Sequence[tuple[str, Style]]) -> Iterator[Run]:
    text, style = "", ()
    for character, own in line:
        if own != style and text:
            yield text, style
            text = ""
        text, style = text + character, own
    if text.strip():
        yield text.rstrip(), style


def screens(cast: str, last_s: float = LAST_S) -> list[tuple[float, tuple[tuple[Run, ...], ...]]]:
    """Return what the screen showed in the last seconds of a recording, each with its time from the first."""
    head, *events = [json.loads(line) for line in cast.splitlines()]
    screen, end = Screen(head["width"], head["height"]), events[-1][0]
    found: list[tuple[float, tuple[tuple[Run, ...], ...]]] = []
    for at, _, text in events:
        screen.feed(text)
        if at < end - last_s:
            continue
        if found and at - found[-1][0] < STEP_S:
            found[-1] = found[-1][0], screen.shown()
        elif not found or screen.shown() != found[-1][1]:
            found.append((at, screen.shown()))
    first = found[0][0]
    return [(at - first, shown) for at, shown in found]


def draw(cast: str, title: str) -> str:
    """Return the last seconds of a recording as a picture that repeats, and rests on its last screen."""
    frames = screens(cast)
    head = json.loads(cast.splitlines()[0])
    width = head["width"] * CHARACTER + 2 * MARGIN
    height = head["height"] * LINE + 2 * MARGIN
    total = frames[-1][0] + REST_S
    numbers: dict[tuple[Run, ...], int] = {}
    body = []
    for place, (_, lines) in enumerate(frames):
        uses = [
            f'<use href="#l{numbers.setdefault(line, len(numbers))}" y="{place * height + n * LINE:g}"/>'
            for n, line in enumerate(lines)
            if line
        ]
        body.append("".join(uses))
    defined = "".join(f'<text id="l{number}">{_spans(line)}</text>' for line, number in numbers.items())
    moves = "".join(
        f"{100 * at / total:.2f}%{{transform:translateY({-place * height:g}px)}}"
        for place, (at, _) in enumerate(frames)
    )
    last = -(len(frames) - 1) * height
    style = (
        "text{font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
        "fill:#e6edf3;white-space:pre}"
        ".b{font-weight:600}.d{fill:#9aa5b1}.i{font-style:italic}"
        + "".join(f".c{number % 10}{{fill:{colour}}}" for number, colour in COLOURS.items())
        + f"@keyframes play{{{moves}100%{{transform:translateY({last:g}px)}}}}"
        f".strip{{transform:translateY({last:g}px);animation:play {total:.2f}s step-end infinite}}"
        f"@media (prefers-reduced-motion:reduce){{.strip{{animation:none}}}}"
    )
    where = f"{MARGIN:g} {MARGIN + LINE * 0.75:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-labelledby="title"><title id="title">{escape(title)}</title>'
        f"<style>{style}</style><defs>{defined}</defs>"
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#0f1419"/>'
        f'<g transform="translate({where})"><g class="strip">{"".join(body)}</g></g>'
        f"</svg>\n"
    )


def _spans(line: Sequence[Run]) -> str:
    found, column = [], 0
    for text, style in line:
        if text.strip():
            start = column + len(text) - len(text.lstrip())
            kind = f' class="{" ".join(style)}"' if style else ""
            found.append(
                f'<tspan x="{start * CHARACTER:g}"{kind}>{escape(text.strip(), quote=False)}</tspan>'
            )
        column += len(text)
    return "".join(found)


def record(command: Sequence[str]) -> str:
    """Run a command in a terminal, shown on stdout as well, and return the recording."""
    mine, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm"}
    began, events, left = time.monotonic(), [], b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        while True:
            try:
                data = os.read(mine, 1 << 16)
            except OSError:  # the terminal's other end is closed
                break
            sys.stdout.buffer.write(data)
            text, left = _decoded(left + data)
            events.append([round(time.monotonic() - began, 3), "o", text])
    os.close(mine)
    if process.returncode:
        raise SystemExit(process.returncode)
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "command": " ".join(command)}
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in (head, *events)) + "\n"


def _decoded(data: bytes) -> tuple[str, bytes]:
    """Return the text, and the bytes of a character that is not whole yet."""
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def main() -> None:
    """Record, or draw a recording."""
    match sys.argv[1:]:
        case ["record", cast, *command] if command:
            Path(cast).write_text(record(command), encoding="utf-8")
        case ["draw", cast, picture]:
            text = Path(cast).read_text(encoding="utf-8")
            title = f"The last seconds of {json.loads(text.splitlines()[0])['command']}"
            Path(picture).write_text(draw(text, title), encoding="utf-8")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

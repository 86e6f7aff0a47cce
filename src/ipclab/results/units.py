"""Numbers for people: short, with a unit, and with no more digits than the measurement justifies."""

from __future__ import annotations

import math

from ipclab.host.texts import language, tr

NOT_APPLICABLE = "–"
WITHHELD = "·"
NOT_TOLD = "?"

_MANY = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def digits(spread: float | None) -> int:
    """Return how many significant digits a figure justifies: three where repeats agree to 5 %, otherwise two.

    The third digit is at most 1 % of a figure, so with a wider spread it would be noise. A figure without a
    spread gets two.
    """
    return 3 if spread is not None and spread < 0.05 else 2


def significant(value: float, count: int) -> float:
    """Return ``value`` rounded to ``count`` significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, count - 1 - math.floor(math.log10(abs(value))))


def number(value: float, count: int = 3) -> str:
    """Return ``value`` with ``count`` significant digits, without an exponent: 0.012, 1.2, 12, 120."""
    rounded = significant(value, count)
    if rounded == 0:
        return "0"
    return f"{rounded:.{max(0, count - 1 - math.floor(math.log10(abs(rounded))))}f}"


def rate(per_s: float, spread: float | None = None) -> str:
    """Return a rate as text: ``123 k/s``."""
    return _scaled(per_s, digits(spread), _MANY, "/s")


def end_rate(per_s: float) -> str:
    """Return the rate of an end of a bracket as text: ``105 k/s``, ``40 /s``. It is chosen, not measured."""
    rounded = significant(per_s, 3)
    factor, unit = next((u for u in _MANY if rounded >= u[0]), _MANY[-1])
    return f"{significant(rounded / factor, 3):g} {unit}/s"


def end_rates(low_per_s: float, high_per_s: float) -> str:
    """Return both ends of a bracket, in one unit where they have the same: ``105–125 k/s``."""
    low, high = end_rate(low_per_s), end_rate(high_per_s)
    return f"{low.split(' ')[0]}–{high}" if low.split(" ")[1] == high.split(" ")[1] else f"{low}–{high}"


def rate_tick(per_s: float) -> str:
    """Return a power of ten as text, for an axis: ``1 k/s``."""
    return _scaled(per_s, 1, _MANY, "/s")


def duration_tick(ns: float) -> str:
    """Return a power of ten as text, for an axis: ``10 µs``."""
    return _scaled(ns, 1, _TIMES, "")


def given_rate(per_s: float) -> str:
    """Return a requested rate as text, with all its digits: ``1 000 /s``, ``0.5 /s``."""
    return f"{count(int(per_s)) if per_s == int(per_s) else f'{per_s:g}'} /s"


def duration(ns: float, spread: float | None = None) -> str:
    """Return a time as text: ``45 µs``, ``1.23 ms``; negative ones keep their sign."""
    return _scaled(ns, digits(spread), _TIMES, "")


def bound(ns: int) -> str:
    """Return a bound of an error as text: ``±9 µs``, ``±0``. Rounding never narrows it."""
    if ns == 0:
        return "±0"
    step = 10 ** max(math.floor(math.log10(ns)) - 1, 0)
    return f"±{_scaled(-(-ns // step) * step, 2, _TIMES, '')}"


def durations(low_ns: float, high_ns: float) -> str:
    """Return a range of times, in one unit where they are not far apart: ``0.21–5.6 ms``, ``12 µs``."""
    low, high = duration(low_ns), duration(high_ns)
    (first, unit), (last, other) = low.split(" "), high.split(" ")
    if unit != other:
        factor = {name: value for value, name in _TIMES}[other]
        if low_ns < factor / 100:
            return f"{low}–{high}"
        first = number(low_ns / factor, 2)
    return high if first == last else f"{first}–{last} {other}"


def percent(share: float) -> str:
    """Return a share as text: ``33%``, ``0.4%``. A share above zero is never shown as zero."""
    if 0 < share < 0.0001:
        return "<0.01%"
    if 0.995 <= share < 1:
        return f"{math.floor(share * 1e4) / 100:.2f}%"
    return f"{number(share * 100, 2)}%"


def interval(low: float, high: float) -> str:
    """Return an interval of shares in whole percents: ``[0–16%]``. Rounding never narrows it."""
    return f"[{math.floor(low * 100)}–{math.ceil(high * 100)}%]"


def plus_minus(spread: float | None) -> str:
    """Return the spread beside a figure: ``±12%``; empty for a single repeat."""
    return "" if spread is None else f"±{number(spread * 100, 2 if spread >= 0.1 else 1)}%"


def sizes(smallest_bytes: int, largest_bytes: int) -> str:
    """Return a range of sizes as text, ``2–20 KiB``, or one size where both are the same."""
    low, high = size(smallest_bytes), size(largest_bytes)
    if low == high:
        return high
    unit = high.partition(" ")[2]
    return f"{low.removesuffix(f' {unit}')}–{high}"


def payload(text: str) -> str:
    """Return a payload as text; of a file only its name, without its folder."""
    family, colon, argument = text.partition(":")
    return f"{family}:{argument.rpartition('/')[2]}" if colon and family == "file" else text


def size(size_bytes: int) -> str:
    """Return a size as text: ``64 B``, ``1 KiB``, ``1.5 MiB``."""
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size_bytes >= factor:
            in_units = size_bytes / factor
            return f"{in_units:.0f} {unit}" if in_units >= 1000 else f"{in_units:.3g} {unit}"
    return f"{size_bytes} B"


def count(many: int) -> str:
    """Return a whole number in full, with its thousands separated: ``12 345``."""
    return f"{many:,}".replace(",", " ")


def of(many: int, what: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the language of the reader: ``1 row``, ``2 rows``."""
    if language() != "en":
        return f"{count(many)} {tr(what)}"
    return f"{count(many)} {what if many == 1 else plural or what + 's'}"


def superscript(value: int) -> str:
    """Return a number as superscript, such as ``¹²``: the mark of a footnote."""
    return str(value).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _scaled(value: float, places: int, units: tuple[tuple[float, str], ...], tail: str) -> str:
    rounded = significant(value, places)
    factor, unit = next((u for u in units if abs(rounded) >= u[0]), units[-1])
    return f"{number(rounded / factor, places)} {unit}{tail}"

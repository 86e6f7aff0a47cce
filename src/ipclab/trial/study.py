"""A study: several trials that answer one question together, and are not shown in rows of their own."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ipclab.errors import UsageError

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
_UNITS_NS = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_LONGEST_NS = 60 * 10**9
EXAMPLE = "p99=10ms"


class Slo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit on latency: ``share`` of all messages must arrive within ``limit_ns`` of being due."""

    share: float
    limit_ns: int

    @classmethod
    def parse(cls, text: str) -> Slo:
        """Return the limit that a text such as ``p99=10ms`` names. Raise UsageError."""
        match = re.fullmatch(r"(p[\d.]+)\s*=\s*(\d+(?:\.\d+)?)\s*([a-zµ]+)", text.strip())
        if match is None or match[1] not in _SHARES or match[3] not in _UNITS_NS:
            raise UsageError(
                f"{text!r} is not a limit on latency; write {EXAMPLE}, with one of {', '.join(_SHARES)} "
                "and a time in us, ms or s"
            )
        limit_ns = int(float(match[2]) * _UNITS_NS[match[3]])
        if not 0 < limit_ns <= _LONGEST_NS:
            raise UsageError(f"the limit in {text!r} must be above 0 and at most 60 s")
        return cls(share=_SHARES[match[1]], limit_ns=limit_ns)

    @property
    def percentile(self) -> str:
        """Return the name of the percentile, such as ``p99``."""
        return next(name for name, share in _SHARES.items() if share == self.share)

    def __str__(self) -> str:
        """Return the text that ``parse`` takes."""
        for unit, ns in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
            if self.limit_ns >= ns:
                return f"{self.percentile}={self.limit_ns / ns:g}{unit}"
        return f"{self.percentile}={self.limit_ns / 1e3:g}us"


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a trial in a study.

    ``kind``  ``capacity``: the search for the largest rate that keeps ``slo``; ``curve``: latency by rate.
    ``part``  ``machine``: a low rate on a channel that does almost nothing, to see what the machine alone
              does; ``peak``: a short stream; ``rate``: a paced trial of the backend.
    ``slo``   the limit of a search; a curve has none.
    """

    kind: Literal["capacity", "curve"]
    part: Literal["machine", "peak", "rate"]
    slo: Slo | None = None

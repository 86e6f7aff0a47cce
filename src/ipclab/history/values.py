"""Values as numbers, so that histories are columns: an integer is its own code, others are numbered."""

from __future__ import annotations

from typing import Any

import msgspec

NULL = -(1 << 63)
_OTHERS = 1 << 62
_encode = msgspec.json.Encoder(order="deterministic").encode


class Values:
    """Codes of 64 bits for JSON values, equal where the values are the same JSON (1 is not 1.0).

    Integers below 2**62 in size are their own code, null is ``NULL``, and the rest are numbered from 2**62
    in the order of their appearance. Not thread-safe.
    """

    def __init__(self) -> None:
        self._codes: dict[bytes, int] = {}
        self._values: list[Any] = []

    def code(self, value: Any) -> int:
        """Return the code of a value; a new value gets a number."""
        if type(value) is int and -_OTHERS < value < _OTHERS:
            return value
        if value is None:
            return NULL
        text = _encode(value)
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = _OTHERS + len(self._values)
            self._values.append(value)
        return code

    def value(self, code: int) -> Any:
        """Return the value of a code."""
        if code == NULL:
            return None
        return self._values[code - _OTHERS] if code >= _OTHERS else int(code)

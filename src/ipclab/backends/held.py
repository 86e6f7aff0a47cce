"""A wrapper that lets a client be held in the middle of an operation, for trials in which a race is forced.

The client is the same one that is measured; only the object that it works on is wrapped, and only then.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from ipclab.backends.base import Pause

T = TypeVar("T")


def hold(target: T, pause: Pause, *readings: str, writing: str = "") -> T:
    """Return ``target`` wrapped: it calls ``pause()`` at each of these operations.

    They are each call of a method in ``readings``, each read of an attribute in ``readings``, each
    ``target[key]``, and each assignment to the attribute ``writing``. ``pause()`` is called after each.
    Not thread-safe, not to be pickled.
    """
    return cast("T", _Held(target, pause, frozenset(readings), writing))


class _Held:
    __slots__ = ("_pause", "_readings", "_target", "_writing")

    def __init__(self, target: Any, pause: Pause, readings: frozenset[str], writing: str) -> None:
        own = {"_target": target, "_pause": pause, "_readings": readings, "_writing": writing}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._readings:
            return found
        if not callable(found):
            self._pause()
            return found

        def read(*arguments: Any, **options: Any) -> Any:
            answer = found(*arguments, **options)
            self._pause()
            return answer

        return read

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)
        if name == self._writing:
            self._pause()

    def __getitem__(self, key: Any) -> Any:
        found = self._target[key]
        self._pause()
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        self._target[key] = value

"""The exception tree in the docstring is the real one."""

from __future__ import annotations

import inspect
import re

import pytest

from ipclab import errors
from ipclab.errors import IpclabError, UnknownNameError


def drawn() -> dict[str, tuple[str, int]]:
    """Each error of the drawing with the one above it and its exit code."""
    found: dict[str, tuple[str, int]] = {}
    above: list[str] = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+) +(\d) +\S", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        del above[depth + 1 :]
        found[match[2]] = above[-1], int(match[3])
        above.append(match[2])
    return found


def real() -> dict[str, tuple[str, int]]:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, IpclabError)]
    return {c.__name__: (c.__bases__[0].__name__, c.exit_code) for c in classes}


def test_the_drawn_tree_is_the_real_tree() -> None:
    assert drawn() == real()
    assert len(drawn()) > 5


def test_an_unknown_name_offers_the_nearest_ones() -> None:
    error = UnknownNameError("backend", "redis-steam", ["pipe", "redis-stream", "redis-list"])
    assert str(error).startswith("no backend is called 'redis-steam'; did you mean redis-stream")
    assert "pipe" not in str(error)


def test_a_name_like_no_other_gets_the_whole_list() -> None:
    error = UnknownNameError("backend", "zzz", ["pipe", "queue"])
    assert str(error) == "no backend is called 'zzz'; there are: pipe, queue"


@pytest.mark.parametrize("name", sorted(real()))
def test_every_error_can_be_caught_as_the_labs_own(name: str) -> None:
    assert issubclass(getattr(errors, name), IpclabError)

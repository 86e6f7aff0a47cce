"""A stand-in lets its user be held after a reading, and is the thing itself in all else."""

from __future__ import annotations

from typing import Any

from ipclab.backends.held import hold


class Thing:
    def __init__(self) -> None:
        self.value = 1
        self.items: dict[str, int] = {"n": 5}

    def get(self, key: str, *, default: int = 0) -> int:
        return self.items.get(key, default)

    def put(self, key: str, value: int) -> None:
        self.items[key] = value


def stand_in(*readings: str, **options: Any) -> tuple[Thing, Thing, list[str]]:
    thing, paused = Thing(), []
    return thing, hold(thing, lambda: paused.append("paused"), *readings, **options), paused


def test_a_method_that_reads_pauses_after_it_has_read() -> None:
    thing, found, paused = stand_in("get")
    assert (found.get("n"), found.get("x", default=7)) == (5, 7)
    assert len(paused) == 2
    found.put("n", 6)
    assert (thing.items["n"], len(paused)) == (6, 2)


def test_the_pause_comes_after_the_reading_not_before() -> None:
    thing = Thing()
    found = hold(thing, lambda: thing.put("n", 99), "get")
    assert found.get("n") == 5
    assert thing.items["n"] == 99


def test_an_attribute_that_is_read_pauses_and_one_that_is_set_does_not() -> None:
    thing, found, paused = stand_in("value")
    found.value += 1
    assert (thing.value, len(paused)) == (2, 1)


def test_an_item_that_is_read_pauses_and_one_that_is_set_does_not() -> None:
    paused: list[str] = []
    items = {"n": 1}
    found = hold(items, lambda: paused.append("paused"))
    found["n"] += 1
    assert (items["n"], len(paused)) == (2, 1)


def test_the_writing_of_one_field_can_pause_too() -> None:
    thing, found, paused = stand_in(writing="value")
    found.value = 3
    assert (thing.value, paused) == (3, ["paused"])
    found.items = {}
    assert paused == ["paused"]

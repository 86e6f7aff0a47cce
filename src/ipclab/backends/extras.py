"""The optional parts of the package: which library a folder of backends needs, and how to get it.

A backend whose library is missing is in no list, so that an installation without extras shows and measures
what it always did. A user who names such a backend gets the command that installs the library.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra of ``pyproject.toml``, and the ``module`` that it makes importable."""

    name: str
    module: str

    @property
    def is_here(self) -> bool:
        """Return whether the module can be found. Imports no package but its parents."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except (ImportError, ValueError):
            return False

    @property
    def command(self) -> str:
        """Return the command that installs the extra."""
        return f"pip install 'ipclab[{self.name}]'"

    def lack(self, what: str) -> str:
        """Return in one line that ``what`` needs this extra, and the command that installs it."""
        return f"{what} needs the library {self.module}: {self.command}"


EXTRAS: Mapping[str, Extra] = {
    "mqtt": Extra("mqtt", "paho.mqtt"),
    "nats": Extra("nats", "nats"),
    "zmq": Extra("zmq", "zmq"),
    "postgres": Extra("postgres", "psycopg"),
}
"""The extra of each folder in ``backends`` whose library is not among the dependencies of ipclab."""


def of(target: str) -> Extra | None:
    """Return the extra that a class of the lab needs, by its ``module:name``; None where it needs none."""
    folder = target.removeprefix("ipclab.backends.").partition(".")[0]
    return EXTRAS.get(folder)


def missing(target: str) -> Extra | None:
    """Return the extra that this class of the lab needs and that is not installed; None for none."""
    extra = of(target)
    return None if extra is None or extra.is_here else extra

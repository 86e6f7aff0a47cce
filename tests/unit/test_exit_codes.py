"""Exit codes have names: none is a bare number in the package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ipclab

PACKAGE = Path(ipclab.__file__).parent
ENDING = ("exit", "_exit", "SystemExit")
SCENARIOS = PACKAGE / "trial" / "client"
"""Programs of a user, which end as a user writes it."""


def bare_numbers(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in ENDING:
                values = [part for argument in node.args for part in ast.walk(argument)]
            case ast.Return(value=ast.expr() as value) if PACKAGE / "cli" in path.parents:
                values = [value]
            case _:
                continue
        if any(isinstance(value, ast.Constant) and type(value.value) is int for value in values):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_no_exit_code_is_a_bare_number() -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if SCENARIOS not in path.parents]
    assert [line for path in paths for line in bare_numbers(path)] == []

"""The import rules of the package, as data, and a checker that reads the imports with ``ast``.

A *room* is a package or a module right under ``ipclab``. Every import counts, also one within a function and
one for type checkers only.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_EVERYWHERE = ("errors", "exit_codes", "__version__")
_PRINTERS = ("print",)

MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "errors": (),
    "exit_codes": (),
    "host": (),
    "hosts": ("host",),
    "history": ("host.files",),
    "checks": ("history", "host.text"),
    "tasks": (),
    "backends": ("host", "tasks"),
    "payload": ("host",),
    "brokers": ("backends", "host"),
    "faults": ("backends", "brokers", "history", "host"),
    "trial": ("backends", "brokers", "checks", "faults", "history", "host", "hosts", "payload", "tasks"),
    "capacity": (
        "backends.registry",
        "trial.distribution",
        "trial.record",
        "trial.spec",
        "trial.study",
    ),
    "conform": ("backends", "brokers", "experiment", "host", "trial"),
    "results": (
        "backends.base",
        "backends.registry",
        "capacity",
        "checks.breach",
        "faults.spec",
        "host.clock",
        "host.files",
        "host.text",
        "hosts.clock_bound",
        "payload.kinds",
        "host.texts",
        "hosts.clock_bound",
        "trial.distribution",
        "trial.record",
        "trial.spec",
        "trial.study",
        "trial.workloads",
    ),
    "stuck": ("host", "trial.primitive"),
    "compare": (
        "backends.base",
        "host.files",
        "payload.kinds",
        "results",
        "trial.record",
        "trial.workloads",
    ),
    "choose": (
        "backends",
        "brokers.kinds",
        "capacity.judge",
        "experiment",
        "faults.spec",
        "payload",
        "results",
        "trial.record",
        "trial.study",
        "trial.workloads",
    ),
    "report": (
        "backends.base",
        "choose.decide",
        "choose.evidence",
        "choose.needs",
        "compare",
        "conform.outcome",
        "faults",
        "payload.kinds",
        "host.language",
        "host.texts",
        "host.wrapping",
        "hosts.clock_bound",
        "results",
        "stuck",
        "trial.limit",
        "trial.record",
        "trial.distribution",
        "trial.spec",
        "trial.study",
        "trial.task_facts",
        "trial.thread_facts",
        "trial.workloads",
    ),
    "course": ("trial.record", "trial.spec"),
    "experiment": ("course", "backends", "faults.spec", "host", "payload", "trial"),
    "environment": ("brokers.kinds", "host", "results.result"),
    "readiness": ("backends", "brokers", "experiment", "host.text", "results.result", "trial"),
    "lab": (
        "course",
        "backends",
        "brokers",
        "environment",
        "experiment",
        "host",
        "readiness",
        "report",
        "results",
        "trial",
    ),
    "gate": (
        "backends",
        "brokers",
        "compare",
        "experiment",
        "host",
        "lab",
        "report",
        "results",
        "trial",
    ),
    "pytest_plugin": ("compare", "gate", "report", "results"),
    "claims": ("backends.base", "brokers", "experiment", "host", "results.reader", "results.stats", "trial"),
    "cli": (
        "backends",
        "brokers",
        "checks",
        "choose",
        "claims",
        "compare",
        "conform",
        "environment",
        "faults.spec",
        "experiment",
        "gate",
        "history",
        "hosts",
        "host",
        "lab",
        "payload",
        "report",
        "results",
        "stuck",
        "trial",
    ),
    "program": ("claims", "cli", "experiment"),
    "entry": ("cli",),
    "__main__": ("entry",),
}
"""What each room may import besides itself, ``errors`` and ``exit_codes``: rooms or single modules."""

PRINTS = frozenset(("cli", "report"))
"""The rooms that may write to the terminal."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``may_import`` by room; ``prints``: the rooms that may print; ``root``: the name of the package."""

    may_import: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MAY_IMPORT)
    prints: frozenset[str] = PRINTS
    root: str = "ipclab"


def arrows(package: Path, rules: Rules) -> dict[str, set[str]]:
    """Return, for each module of the package, the modules of the package that it imports.

    Names are without the name of the package, which is itself ``""``.
    """
    modules = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(_imports(path, name, modules, rules.root)) for name, path in modules.items()}


def broken_rules(package: Path, rules: Rules) -> list[str]:
    """Return a line for each import against the rules, each circle, and each module that may not print."""
    found = arrows(package, rules)
    lines = [line for name in sorted(found) for line in _forbidden(name, found[name], rules)]
    lines += [f"circle: {' -> '.join(circle)}" for circle in circles(found)]
    for name in sorted(found):
        if _room(name) not in rules.prints and _prints(_path(package, name)):
            lines.append(f"{name} prints")
    return lines


def circles(found: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the modules of each import circle, sorted; a package and its own parts make none by the import
    that Python does by itself."""
    reach = {name: _reachable(name, found) for name in found}
    seen: set[str] = set()
    out = []
    for name in sorted(found):
        if name in seen or name not in reach[name]:
            continue
        members = sorted(other for other in reach[name] if name in reach[other])
        seen.update(members)
        out.append(members)
    return out


def _reachable(start: str, found: Mapping[str, set[str]]) -> set[str]:
    out: set[str] = set()
    open_ = list(found[start])
    while open_:
        name = open_.pop()
        if name not in out:
            out.add(name)
            open_ += found[name]
    return out


def _forbidden(name: str, imported: set[str], rules: Rules) -> Iterator[str]:
    room = _room(name)
    if not name:
        yield from (f"the package itself imports {target}" for target in sorted(imported))
        return
    if room not in rules.may_import:
        yield f"{name} is in a room without rules"
        return
    allowed = (room, *_EVERYWHERE, *rules.may_import[room])
    for target in sorted(imported - {""}):
        if not any(target == one or target.startswith(f"{one}.") for one in allowed):
            yield f"{name} -> {target}"


def _imports(path: Path, name: str, modules: Mapping[str, Path], root: str) -> Iterator[str]:
    is_package = path.name == "__init__.py"
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, name, root, is_package=is_package)
            wanted = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in wanted:
            if full != root and not full.startswith(f"{root}."):
                continue
            target = full.removeprefix(root).removeprefix(".")
            while target not in modules:
                target = target.rpartition(".")[0]
            if target != name:
                yield target


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _base(node: ast.ImportFrom, name: str, root: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = [root, *name.split(".")] if name else [root]
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _prints(path: Path) -> bool:
    """Return whether a module calls ``print`` or makes use of ``sys.stdout`` or ``sys.stderr``."""
    for node in _nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _PRINTERS:
            return True
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)  # to put another stream in its place prints nothing
            and node.attr in ("stdout", "stderr")
            and isinstance(node.value, ast.Name)
            and node.value.id == "sys"
        ):
            return True
    return False


def _room(name: str) -> str:
    return name.partition(".")[0]


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(package: Path, name: str) -> Path:
    plain = package.joinpath(*name.split(".")).with_suffix(".py") if name else package / "__init__.py"
    return plain if plain.is_file() else package.joinpath(*name.split("."), "__init__.py")

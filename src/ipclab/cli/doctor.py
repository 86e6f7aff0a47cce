"""``ipclab doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipclab.cli.streams import put
from ipclab.cli.tables import draw_table
from ipclab.exit_codes import ExitCode

if TYPE_CHECKING:
    from ipclab.host.start_methods import StartMethod


_DOCTOR_HELP = """Show what this machine has, what it lacks, and whether its clock is reliable.

Exit code 3 where the clocks of two processes do not agree, or where no run is possible.
"""


@click.command(help=_DOCTOR_HELP)
def doctor() -> ExitCode:
    """Run ``ipclab doctor``; its help is ``_DOCTOR_HELP``."""
    from ipclab.brokers.url import kept_from_children

    with kept_from_children():
        return _examine()


def _examine() -> ExitCode:
    """Print what this machine has; return the exit code. The started processes need no URL of a server."""
    from ipclab import __version__, environment
    from ipclab.backends.registry import broken_plugins
    from ipclab.brokers import kind_names, outlook
    from ipclab.host import clock, limits, needs
    from ipclab.host import start_methods as startmethod

    if lacks := needs.lacks():
        put(draw_table(["", "here"], [["ipclab", __version__], *[["runs", f"no: {lack}"] for lack in lacks]]))
        return ExitCode.UNKNOWN
    method = startmethod.default()
    found = environment.describe(method, clock.self_test(method))
    test = found.clock
    rows = [
        ["ipclab", found.ipclab],
        ["Python", f"{found.python} ({found.implementation})"],
        ["system", found.system],
        ["processor", f"{found.processor}, {found.cores} usable"],
        ["CPU limit", _cpu_limit(found.cpu_limit, found.cores)],
        ["memory", f"{found.memory_bytes / 2**30:.0f} GiB{_of_memory(limits.memory_limit_bytes())}"],
        ["/dev/shm", _bytes(limits.shared_memory_bytes())],
        ["processes", _limit(limits.process_limit())],
        ["open files", f"{_limit(limits.open_files())} in each process"],
        ["load (1 min)", f"{found.load_1min}{_busy(found.load_1min, found.cores)}"],
        ["start method", found.start_method],
        *[[f"start method {m}", _usable(m)] for m in startmethod.others()],
        ["clock", f"two processes agree within {test.offset_bound_ns / 1000:.0f} µs, step {test.step_ns} ns"],
        *[[f"library {name}", version] for name, version in found.libraries.items()],
        *[[kind, outlook.describe(kind)] for kind in kind_names()],
    ]
    rows += [[f"backend {b.name}", f"broken: {b.target} {b.reason}"] for b in broken_plugins()]
    put(draw_table(["", "here"], rows))
    return ExitCode.SUCCESS


def _usable(method: StartMethod) -> str:
    """Return whether processes can be started by this method here; start one to find out."""
    from ipclab.errors import IpclabError
    from ipclab.host import clock
    from ipclab.host.text import line_of

    try:
        clock.self_test(method, rounds=1)
    except (OSError, IpclabError) as error:
        return f"no: {line_of(error)}"
    return "yes"


def _cpu_limit(limit: float | None, cores: int) -> str:
    if limit is None:
        return "none"
    turns = "processes take turns, so expect slower and less steady figures"
    return f"{limit:g} of {cores} core{'s' * (cores != 1)} – {turns}"


def _of_memory(limit_bytes: int | None) -> str:
    return "" if limit_bytes is None else f", of which {_bytes(limit_bytes)} may be used here"


def _bytes(size: int | None) -> str:
    from ipclab.results.units import size as words

    return "none" if size is None else words(size)


def _limit(many: int | None) -> str:
    return "no limit" if many is None else f"at most {many}"


def _busy(load: float, cores: int) -> str:
    return " – this machine is busy: expect slower and less steady figures" if load > cores / 2 else ""

"""What a shell may complete: backends, experiments, stored runs. Errors complete nothing."""

from __future__ import annotations

from pathlib import Path

import click


def backends(incomplete: str) -> list[str]:
    """Return the names of backends that begin so."""
    from ipclab.backends import registry

    faces = ("channel", "counter", "register", "lock")
    names = dict.fromkeys(name for face in faces for name in registry.backend_names(face))  # type: ignore[arg-type]
    return [name for name in names if name.startswith(incomplete)]


def experiments(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of experiments that begin so."""
    from ipclab.experiment import names

    return [name for name in names() if name.startswith(incomplete)]


def runs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of stored runs that begin so, the newest first, after those of their experiments."""
    from ipclab.results.store import LATEST, Store

    kept = Store(Path(ctx.params.get("results") or "results")).runs()
    short = dict.fromkeys(run.partition("/")[0] for run in kept)
    found = [*([LATEST] if kept else []), *short, *reversed(kept)]
    return [name for name in found if name.startswith(incomplete)]

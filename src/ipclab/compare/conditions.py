"""The conditions of two runs: what must be the same, and what may differ and is named. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ipclab.compare.digest import Digest, RowDigest, RowKey
from ipclab.errors import UsageError
from ipclab.results import units
from ipclab.results.busy import BUSY_SHARE

_ROW_FIELDS = (
    *("shape", "size_bytes", "window", "rate_per_s", "arrivals", "start_method", "load"),
    *("work", "work_fail_share"),
    *("payload", "codec", "smallest_bytes", "placement"),
)
"""Fields of a row's key that a user sets for a whole run, in addition to the backend."""
_WORDS = {
    "size_bytes": "message size",
    "rate_per_s": "offered rate",
    "start_method": "start method",
    "work_fail_share": "share of jobs that fail",
    "smallest_bytes": "smallest message size",
    "placement": "machines of the workers",
}
_BUSY_LOAD = 0.5
"""Load at the start of a run, as a share of the cores, from which a machine is called busy of which no more
is known."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition that two runs do not share. ``where`` is the row, or empty for the whole run."""

    what: str
    old: str
    new: str
    where: str = ""

    @property
    def text(self) -> str:
        """Return the difference as text, such as ``redis 7.0.15 → 7.2.1``."""
        at = f" of {self.where}" if self.where else ""
        return f"{self.what}{at}: {self.old or 'none'} → {self.new or 'none'}"


def require_same(old: Digest, new: Digest) -> None:
    """Raise UsageError, naming each difference, where two runs may not be compared."""
    found = refused(old, new)
    if found:
        raise UsageError(
            "these runs cannot be compared, since they differ in "
            + "; ".join(difference.text for difference in found)
            + ": compare runs of the same machine with the same settings"
        )


def refused(old: Digest, new: Digest) -> list[Difference]:
    """Return the differences that make a comparison meaningless."""
    found = list(
        _differing(
            {
                "experiment": old.experiment,
                "processor": old.environment.processor,
                "cores": str(old.environment.cores),
            },
            {
                "experiment": new.experiment,
                "processor": new.environment.processor,
                "cores": str(new.environment.cores),
            },
        )
    )
    providers = _of_brokers(old, "provider"), _of_brokers(new, "provider")
    both = providers[0].keys() & providers[1].keys()
    was, now = ({kind: side[kind] for kind in sorted(both)} for side in providers)
    found += _differing(was, now, "provider of ")
    before, after = {row.key: row for row in old.rows}, {row.key: row for row in new.rows}
    for key in before:
        if key in after:
            found += _durations(before[key], after[key])
    found += _settings(before, after)
    return list(dict.fromkeys(found))


def allowed(old: Digest, new: Digest) -> list[Difference]:
    """Return the differences that are named and may be what is tested: versions and servers' settings."""
    found = list(_differing(_versions(old), _versions(new)))
    found += _differing(_of_brokers(old, "version"), _of_brokers(new, "version"))
    before, after = _server_settings(old), _server_settings(new)
    both = {kind for kind, _ in before} & {kind for kind, _ in after}
    for kind, name in sorted({*before, *after}):
        was, now = before.get((kind, name), ""), after.get((kind, name), "")
        if kind in both and was != now:
            found.append(Difference(what=f"{kind} setting {name}", old=was, new=now))
    earlier = {row.key: row for row in old.rows}
    for row in new.rows:
        if row.key in earlier:
            found += _differing(
                {"guarantee class": earlier[row.key].guarantee_class},
                {"guarantee class": row.guarantee_class},
                where=row.key.text,
            )
            found += _differing(
                {name: f"{value:g} s" for name, value in earlier[row.key].warmups_s.items()},
                {name: f"{value:g} s" for name, value in row.warmups_s.items()},
                "warm-up of ",
            )
    return list(dict.fromkeys(found))


def busy(run: Digest) -> bool:
    """Return whether other programs used much of the machine during this run, or when it began."""
    if run.others_cores is not None:
        return run.others_cores >= BUSY_SHARE * run.environment.cores
    return run.environment.load_1min >= _BUSY_LOAD * run.environment.cores


def _differing(
    old: Mapping[str, str], new: Mapping[str, str], prefix: str = "", where: str = ""
) -> Iterator[Difference]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name, "") != new.get(name, ""):
            yield Difference(
                what=f"{prefix}{name}", old=old.get(name, ""), new=new.get(name, ""), where=where
            )


def _durations(old: RowDigest, new: RowDigest) -> Iterator[Difference]:
    both = old.durations_s.keys() & new.durations_s.keys()
    for workload in sorted(both):
        was, now = old.durations_s[workload], new.durations_s[workload]
        if was != now:
            yield Difference(what=f"duration of {workload} trials", old=f"{was:g} s", new=f"{now:g} s")


def _settings(before: Iterable[RowKey], after: Iterable[RowKey]) -> Iterator[Difference]:
    """Yield the settings that differ for each backend that both runs have, but without a row in common."""
    old, new = _by_backend(before), _by_backend(after)
    for backend in old:
        if backend not in new or set(old[backend]) & set(new[backend]):
            continue
        for name in _ROW_FIELDS:
            was, now = ({_shown(name, getattr(key, name)) for key in side[backend]} for side in (old, new))
            if not was & now:
                yield Difference(
                    what=_WORDS.get(name, name), old=", ".join(sorted(was)), new=", ".join(sorted(now))
                )


def _by_backend(keys: Iterable[RowKey]) -> dict[tuple[str, str], list[RowKey]]:
    found: dict[tuple[str, str], list[RowKey]] = {}
    for key in keys:
        found.setdefault((key.kind, key.backend), []).append(key)
    return found


def _shown(name: str, value: object) -> str:
    if name == "size_bytes" and isinstance(value, int):
        return units.size(value)
    if name == "rate_per_s" and isinstance(value, (int, float)):
        return units.given_rate(value)
    return "none" if value in (None, "") else str(value)


def _of_brokers(run: Digest, field: str) -> dict[str, str]:
    return {broker.kind: getattr(broker, field) for broker in run.brokers}


def _server_settings(run: Digest) -> dict[tuple[str, str], str]:
    return {(b.kind, name): value for b in run.brokers for name, value in b.settings.items()}


def _versions(run: Digest) -> dict[str, str]:
    machine = run.environment
    return {
        "ipclab": machine.ipclab,
        "Python": f"{machine.implementation} {machine.python}",
        "kernel": machine.system,
        **machine.libraries,
    }

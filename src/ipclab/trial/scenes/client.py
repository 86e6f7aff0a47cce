"""Plays a scenario of ``ipclab.trial.client``, has its history checked, and says what that shows.

The check knows nothing of libraries: an impossible history is the fault itself, because it contains what the
library told the program and what the server has. So a library that fails with its defaults is ``valid`` here
(nobody declared otherwise), and its fix must leave a possible history.
"""

from __future__ import annotations

import importlib.metadata
from urllib.parse import urlsplit

import msgspec

from ipclab.brokers import kinds
from ipclab.checks.breach import Breach
from ipclab.checks.timeline import draw
from ipclab.checks.verdict import Verdict
from ipclab.checks.verify import check
from ipclab.errors import UnknownNameError, UsageError
from ipclab.history import Header, History, merge, read
from ipclab.history.format import VERSION
from ipclab.host.child import stack_path
from ipclab.trial.client import SCENARIOS, Scenario
from ipclab.trial.client.bench import NAMES, Bench
from ipclab.trial.client.scenario import HARD_ON_SERVER, Seen
from ipclab.trial.record import Safety
from ipclab.trial.safety import Played, Stage

WHOLE = 8
"""Up to this many operations, an invalid history is shown as a whole."""


def play(stage: Stage) -> Played:
    """Play the scenario that the spec names.

    Raise UnknownNameError where there is none of that name, UsageError where it belongs to another backend,
    and ChannelError where one of its processes failed.
    """
    scenario = _scenario(stage)
    options = {"client": _library(scenario), "setting": scenario.setting}
    if refused := _refusal(scenario, stage):
        safety = Safety(model=scenario.model, verdict="valid", refused=refused)
        return Played(safety=safety, options=options)
    with Bench(stage.site, stage.folder, stage.broker) as bench:
        seen = scenario.play(bench)
        history = _keep(stage, scenario, bench, drained=not seen.hung)
    stuck = {name: stack_path(stage.folder, name).read_text() for name in seen.hung}
    return Played(safety=_judge(stage, scenario, seen, history), options=options, stuck=stuck)


def _scenario(stage: Stage) -> Scenario:
    name, backend = stage.spec.scenario, stage.spec.backend.name
    if name not in SCENARIOS:
        raise UnknownNameError("scenario", name, SCENARIOS)
    scenario = SCENARIOS[name]
    if scenario.backend != backend:
        raise UsageError(f"the scenario {name} is about {scenario.backend}, not {backend}")
    return scenario


def _library(scenario: Scenario) -> str:
    if not scenario.library:
        return "multiprocessing"
    return f"{scenario.library} {importlib.metadata.version(scenario.library)}"


def _refusal(scenario: Scenario, stage: Stage) -> str:
    """Return why this scenario cannot use this broker, in one line; empty where it can."""
    broker = stage.broker
    if broker is None:
        return ""
    if scenario.needs in HARD_ON_SERVER and not broker.ours:
        return (
            f"{scenario.name} {HARD_ON_SERVER[scenario.needs]}, and the lab did not start the one at "
            f"{broker.masked_url}; {broker.to_control_it} for it"
        )
    if scenario.needs == "proxy" and not kinds.get(broker.kind).accepts_proxy(broker.url):
        scheme = urlsplit(broker.url).scheme
        return f"{scenario.name} needs a proxy before the server, which a {scheme}:// address does not allow"
    return ""


def _keep(stage: Stage, scenario: Scenario, bench: Bench, *, drained: bool) -> History:
    """Keep the history. ``drained``: nobody hung; a process that hangs cannot receive what may still come."""
    path = stage.history or stage.folder / "history.jsonl.gz"
    header = Header(
        ipclab_history=VERSION,
        model=scenario.model,
        backend=str(stage.spec.backend),
        title=scenario.name,
        guarantee=scenario.guarantee,
        drained=drained,
        names=NAMES,
    )
    merge(path, header, [log for log in bench.logs if log.exists()])
    return read(path)


def _judge(stage: Stage, scenario: Scenario, seen: Seen, history: History) -> Safety:
    found = check(history)
    finding = seen.finding if scenario.fix else f"with {scenario.setting}: {seen.finding}"
    shown = found.verdict == "invalid" or bool(seen.hung) or seen.errs
    broken = []
    if not scenario.fix and shown:
        text = f"the fix did not help: {finding}"
        broken.append(Breach(kind="fix_failed", amount=1, text=text))
    undecided = not shown and (found.verdict == "unknown" or not seen.produced)
    return Safety(
        model=scenario.model,
        verdict="invalid" if broken else "unknown" if undecided else "valid",
        broken=broken,
        anomalies=found.anomalies,
        counts=found.counts | dict(seen.counts),
        shown=None if undecided else shown,
        finding=f"no conclusion, because {_why(found)}: {finding}" if undecided else finding,
        hung=dict(seen.hung),
        counterexample=_drawn(history, found),
        history=stage.history_name,
    )


def _drawn(history: History, found: Verdict) -> str:
    """Return a drawing of the conflict; of a short history all of it, with what the program was told."""
    counterexample = found.counterexample
    if counterexample is None:
        return ""
    if len(history) <= WHOLE:
        operations = sorted(map(history.operation, range(len(history))), key=lambda op: op.start_ns)
        counterexample = msgspec.structs.replace(
            counterexample, operations=tuple(operations), faults=tuple(history.faults)
        )
    return draw(history, counterexample)


def _why(found: Verdict) -> str:
    return found.reason if found.verdict == "unknown" else "the condition did not come about"

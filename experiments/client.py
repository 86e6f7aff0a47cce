"""Which losses, copies and hangs are the client library's doing, and what setting prevents them?

Each library is asked for one thing under one condition, as it comes, and once more set right: what it tells
the program stands beside what the server has, and where it never comes back, in which call. No broker is
harmed, but for one that is ours: that is paused, and a setting of it is changed for a while.
"""

from collections.abc import Iterator

from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.client import SCENARIOS
from ipclab.trial.spec import TrialSpec

ASKED = (
    "retry-increment",
    "retry-push",
    "retry-lock",
    "retry-pop",
    "retry-paused",
    "transaction",
    "connections-used-up",
    "noreply-add",
    "noreply-set",
    "silent-server",
    "unroutable",
    "unconfirmed",
    "heartbeat-missed",
    "acknowledged-late",
    "unpicklable",
    "mutated",
    "false-empty",
    "left-behind",
    "get-timeout",
    "join-thread-cancelled",
    "handler-puts",
    "joinable-unpicklable",
    "join-undrained",
    "task-not-done",
    "lock-owner-killed",
    "manager-lock-owner-killed",
    "manager-lock-waiter-killed",
    "flock-owner-killed",
    "forked-lock",
    "event-waiter-killed",
    "barrier-timeout",
    "pool-worker-killed",
    "pool-callback-raises",
    "pool-error-unpicklable",
    "pool-task-exits",
    "pool-imap-reads-ahead",
    "executor-worker-killed-sending",
    "executor-tasks-per-child",
    "executor-futures-cancelled",
    "executor-outlives-program",
    "reader-of-one-end",
    "writer-of-one-end",
    "manager-ends-with-main",
    "registered-call",
    "proxy-iteration",
    "memory-unlinked-by-a-stranger",
    "shareable-list-strips",
    "spawned-argument",
)
"""The scenarios with the library as it comes; ``fix`` of each names the one with the library set right."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield each scenario of the backends that were asked for, the library's default before its fix."""
    wanted = {variant.name for variant in (*request.channels(), *request.counters())}
    for variant in request.backends:
        if variant.options:
            raise UsageError(
                f"{variant}: client uses the library itself, not the lab's backend; leave out its options"
            )
    for name in ASKED:
        default = SCENARIOS[name]
        for scenario in (default, SCENARIOS[default.fix]):
            if scenario.backend in wanted:
                yield request.trial(
                    workload="client",
                    backend=Variant(scenario.backend),
                    scenario=scenario.name,
                    warmup_s=0.0,
                    duration_s=1.0,
                )


EXPERIMENT = Experiment(
    name="client",
    question="Which losses, copies and hangs are the client library's doing, and what setting prevents them?",
    trials=trials,
    repeats=3,
)

if __name__ == "__main__":
    main(EXPERIMENT)

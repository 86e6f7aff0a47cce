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

TITLES = {
    "retry-increment": "an increment whose answer is lost",
    "retry-push": "a push whose answer is lost",
    "retry-lock": "a lock whose answer is lost",
    "retry-pop": "a blocking pop whose answer is lost",
    "retry-paused": "an increment while the server is paused",
    "transaction": "two read-and-set in transactions",
    "connections-used-up": "an increment while the only connection is in use",
    "noreply-add": "an add of a key that is there",
    "noreply-set": "a set of a value that is too large",
    "silent-server": "a get to which no answer comes",
    "unroutable": "a publish to a queue that is not there",
    "unconfirmed": "publishes over a dead connection",
    "heartbeat-missed": "publishes after two heartbeats without a word",
    "acknowledged-late": "an acknowledgement after consumer_timeout",
    "unpicklable": "a put of what cannot be pickled",
    "mutated": "an item changed after its put",
    "false-empty": "a look into the queue right after a put",
    "left-behind": "a process that ends right after its puts",
    "get-timeout": "a get with a time-out, in the middle of an item",
    "join-thread-cancelled": "a process that ends after cancel_join_thread()",
    "handler-puts": "a put in a signal handler during a put",
    "joinable-unpicklable": "a join of a queue after a put of what cannot be pickled",
    "join-undrained": "a join of a process whose items nobody has received",
    "task-not-done": "a join of a queue whose consumer died",
    "lock-owner-killed": "a lock whose owner was killed",
    "manager-lock-owner-killed": "a manager's lock whose owner was killed",
    "manager-lock-waiter-killed": "a manager's lock for which a process waited that was killed",
    "flock-owner-killed": "a locked file whose owner was killed after it had forked a child",
    "forked-lock": "a lock that was held when the process was forked",
    "event-waiter-killed": "an event for which a process waited that was killed",
    "barrier-timeout": "a barrier after a time-out",
    "pool-worker-killed": "a task whose worker was killed",
    "pool-callback-raises": "a task after a callback that raised",
    "pool-error-unpicklable": "a task after one whose error cannot be unpickled",
    "pool-task-exits": "a task that calls sys.exit()",
    "pool-imap-reads-ahead": "one result of imap() over many items",
    "executor-worker-killed-sending": "a result whose worker was killed while it sent it",
    "executor-tasks-per-child": "a task after a worker has had its number of tasks",
    "executor-futures-cancelled": "a wait for tasks that shutdown() cancelled",
    "executor-outlives-program": "the workers of a program that was killed",
    "reader-of-one-end": "two readers of one end of a pipe",
    "writer-of-one-end": "two writers to one end of a pipe",
    "manager-ends-with-main": "a Manager whose main process has come to its end",
    "registered-call": "two calls of an object that a Manager serves",
    "proxy-iteration": "a loop over a Manager's dict in another process",
    "memory-unlinked-by-a-stranger": "shared memory after another program has ended",
    "shareable-list-strips": "bytes that end in NUL in a ShareableList",
    "spawned-argument": "a lock that only a spawned process is given",
}
"""Of each scenario; the one that ends in ``-set-right`` does the same with the library set right."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Each scenario of the backends that were asked for, the library's default before its fix."""
    wanted = {variant.name for variant in (*request.channels(), *request.counters())}
    for variant in request.backends:
        if variant.options:
            raise UsageError(
                f"{variant}: client uses the library itself, not the lab's backend; leave out its options"
            )
    for title in TITLES:
        default = SCENARIOS[title]
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

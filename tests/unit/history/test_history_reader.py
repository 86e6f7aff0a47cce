"""History files are read strictly: whatever is malformed is refused with the number of its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ipclab.errors import UsageError
from ipclab.history import Fault, Header, History, Operation, ProcessLog, merge, parse, read
from ipclab.history.format import Model

HEADER = {"ipclab_history": 1, "model": "queue"}
PUT = [
    {"process": 3, "type": "invoke", "f": "enqueue", "key": "q1", "value": 17, "time": 100},
    {"process": 3, "type": "ok", "f": "enqueue", "key": "q1", "value": 17, "time": 200},
]


def parsed(*lines: dict[str, Any], header: dict[str, Any] = HEADER, model: Model | None = None) -> History:
    return parse([json.dumps(line).encode() + b"\n" for line in (header, *lines)], model)


def operations(history: History) -> list[Operation]:
    return [history.operation(i) for i in range(len(history))]


def line(process: Any = 1, type: str = "invoke", f: str = "dequeue", time: Any = 300, **more: Any) -> Any:
    return {"process": process, "type": type, "f": f, "time": time, **more}


def test_an_operation_is_an_invocation_and_its_completion() -> None:
    assert operations(parsed(*PUT)) == [
        Operation(process=3, f="enqueue", value=17, start_ns=100, end_ns=200, key="q1")
    ]


def test_an_invocation_without_a_completion_stays_open_for_ever() -> None:
    (found,) = operations(parsed(PUT[0]))
    assert (found.outcome, found.end_ns) == ("open", None)


def test_the_value_of_an_answer_is_that_of_its_completion() -> None:
    found = operations(parsed(line(), line(type="ok", value={"b": [1, None], "a": 2.5}, time=301)))
    assert found[0].value == {"a": 2.5, "b": [1, None]}


@pytest.mark.parametrize("outcome", ["fail", "info"])
def test_an_outcome_is_kept(outcome: str) -> None:
    (found,) = operations(parsed(line(), line(type=outcome, time=301)))
    assert found.outcome == outcome


def test_faults_are_moments_or_intervals_and_may_overlap() -> None:
    history = parsed(
        line("fault", "invoke", "pause", 10, value="broker"),
        line("fault", "info", "kill", 20, value="consumer-2"),
        line("fault", "info", "pause", 30, value="broker"),
        line("fault", "invoke", "cut", 40),
    )
    assert [(f.f, f.start_ns, f.end_ns) for f in history.faults] == [
        ("pause", 10, 30),
        ("kill", 20, 20),
        ("cut", 40, None),
    ]
    assert history.faults[1] == Fault(f="kill", value="consumer-2", start_ns=20, end_ns=20)


def test_a_process_may_go_on_after_an_unknown_outcome() -> None:
    history = parsed(line(), line(type="info", time=301), line(time=302))
    assert [op.outcome for op in operations(history)] == ["info", "open"]


def test_processes_are_independent_in_the_order_of_lines() -> None:
    assert len(parsed(line(1, time=500), line(2, time=100))) == 2


def test_a_model_stands_in_where_the_header_names_none() -> None:
    assert len(parsed(*PUT, header={"ipclab_history": 1}, model="queue")) == 1


@pytest.mark.parametrize(
    ("lines", "number", "complaint"),
    [
        ([line(type="begin")], 2, "Invalid enum value 'begin'"),
        ([{"process": 1, "type": "invoke", "f": "dequeue"}], 2, "missing required field `time`"),
        ([line(colour="red")], 2, "unknown field `colour`"),
        ([line(time="soon")], 2, "Expected `int`"),
        ([line(time=-1)], 2, "time -1 is not from 0"),
        ([line(process=None)], 2, "Expected `int | str`"),
        ([line(f="pop")], 2, "queue has no 'pop'; it has enqueue, dequeue"),
        ([line(f="enqueue")], 2, "enqueue needs a value other than null"),
        ([line(value=1)], 2, "dequeue is invoked without a value"),
        ([*PUT, line(), line(time=400)], 5, "invokes dequeue while its dequeue is in progress"),
        ([*PUT, line(type="ok")], 4, "which invoked nothing"),
        ([PUT[0], {**PUT[1], "f": "dequeue"}], 3, "completes dequeue of 'q1' but invoked enqueue of 'q1'"),
        ([PUT[0], {**PUT[1], "key": "q2"}], 3, "completes enqueue of 'q2' but invoked enqueue of 'q1'"),
        ([PUT[0], {**PUT[1], "value": 18}], 3, "was invoked with 17 and completes with 18"),
        ([PUT[0], {**PUT[1], "time": 99}], 3, "time of process 3 goes back from 100 to 99"),
        ([line("fault", "invoke", "cut"), line("fault", "invoke", "cut")], 3, "begins twice"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(
    lines: list[dict[str, Any]], number: int, complaint: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        parsed(*lines)
    assert str(refusal.value).startswith(f"history line {number}: ")
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "bad"),
    [
        ("register", line(f="cas", value=[1])),
        ("counter", line(f="add", value=1.5)),
        ("counter", line(f="add", value=2**62)),
        ("lock", line(f="release", value="token")),
    ],
)
def test_a_value_that_the_model_cannot_have_is_refused(model: str, bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="line 2"):
        parsed(bad, header={"ipclab_history": 1, "model": model})


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ({"ipclab_history": 2}, "this is version 2"),
        ({"model": "queue"}, "missing required field `ipclab_history`"),
        ({"ipclab_history": 1, "model": "stack"}, "Invalid enum value 'stack'"),
        ({"ipclab_history": 1}, "the header names no model"),
        ({"ipclab_history": 1, "model": "queue", "in_flight": -1}, "in_flight is negative"),
    ],
)
def test_a_malformed_header_is_refused(header: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=r"history line 1: ") as refusal:
        parsed(header=header)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("text", [b"", b"\n", b"no json\n"])
def test_what_is_no_history_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="line 1"):
        parse([text] if text else [])


def test_a_line_that_was_cut_off_is_refused() -> None:
    with pytest.raises(UsageError, match="line 2: the line is not ended"):
        parse([json.dumps(HEADER).encode() + b"\n", b'{"process": 1'])


def test_a_file_is_read_gzipped_or_plain(tmp_path: Path) -> None:
    text = b"".join(json.dumps(each).encode() + b"\n" for each in (HEADER, *PUT))
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "zipped").write_bytes(gzip.compress(text))
    assert operations(read(tmp_path / "plain")) == operations(read(tmp_path / "zipped"))
    (tmp_path / "cut").write_bytes(gzip.compress(text)[:-9])
    with pytest.raises(UsageError, match="damaged or cut off"):
        read(tmp_path / "cut")
    with pytest.raises(UsageError, match="cannot read the history"):
        read(tmp_path / "none")


def test_logs_are_merged_in_the_order_of_time(tmp_path: Path) -> None:
    ticks = iter(range(100))
    logs = [ProcessLog(tmp_path / name, name, lambda: next(ticks)) for name in ("a", "b")]
    logs[0].invoke("enqueue", 1)
    logs[1].invoke("dequeue")
    logs[0].ok()
    logs[1].ok(1)
    for log in logs:
        log.close()
    header = Header(ipclab_history=1, model="queue", backend="x")
    merge(tmp_path / "history.jsonl.gz", header, [tmp_path / "a", tmp_path / "b"])
    lines = gzip.decompress((tmp_path / "history.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(text)["time"] for text in lines[1:]] == [0, 1, 2, 3]
    assert operations(read(tmp_path / "history.jsonl.gz")) == [
        Operation(process="a", f="enqueue", value=1, start_ns=0, end_ns=2),
        Operation(process="b", f="dequeue", value=1, start_ns=1, end_ns=3),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "history.jsonl.gz"]

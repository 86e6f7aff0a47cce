"""What cannot be is refused in one clear line, before anything is started or written."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.program import ONE_TRIAL, PASSWORD, Ipclab, free_port

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("run --size 64 --size 1KiB", "--size is given twice"),
        ("run --repeats 1 --repeats 2", "--repeats is given twice"),
        ("run --install --no-install", "is given twice"),
        ("run latency -b pipe --rate 1e308", "messages at most, not"),
        ("run latency -b pipe --duration 1e-300", "the measured window lasts at least 0.001 s"),
        ("rnu", "no command is called 'rnu'; did you mean run"),
        ("run latencey", "no experiment is called 'latencey'; did you mean latency"),
        ("run --backend redis-steam", "no backend is called 'redis-steam'; did you mean redis-stream"),
        ("run race --backend valu", "no backend is called 'valu'; did you mean value"),
        ("run race -b value:disciplin=naive", "'disciplin'; did you mean discipline"),
        ("run -b rabbitmq:akc=auto", "no option of rabbitmq is called 'akc'; did you mean ack"),
        ("run -b rabbitmq:ack=never", "channel rabbitmq: ack must be one of"),
        ("run -b rabbitmq:prefetch=0", "prefetch must be a whole number above 0, not 0"),
        ("run -b rabbitmq:ack=auto,discipline=token", "options of a channel and of a counter"),
        ("run -b queue:depth=3", "no option of queue is called 'depth'; there are: discipline"),
        ("run latency -b simple-queue:depth=3", "simple-queue has no options, so depth=3 cannot be set"),
        ("run -b pipe:", "write NAME:option=value,option=value"),
        ("run --producrs 3", "--producers"),
        ("run --format tabel", "'table'"),
        ("run --start-method thread", "'forkserver'"),
        ("run --provider docker", "'compose'"),
        ("run crash --fault kil", "'kill'"),
        ("run crash --target prodcer", "'producer'"),
        ("up mysql", "'memcached'"),
        ("show --format xml", "'json'"),
        ("claims no-such-claim", "no-such-claim"),
    ],
)
def test_an_unknown_name_gets_the_nearest_ones_or_all(refused: Refused, arguments: str, line: str) -> None:
    assert line in refused(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("latency --backend pipe --consumers 2", "pipe takes 1 consumer, so 1→2 is impossible"),
        ("comparison --backend pipe --consumers 2", "pipe takes 1 consumer, so 1→2 is impossible"),
        ("comparison --backend pipe --producers 3", "pipe takes 1 producer, so 3→1 is impossible"),
        ("round_trip --backend queue --producers 2", "a ping-pong is between two processes"),
        ("throughput --backend queue --window 10", "queue has no window"),
        ("race --backend simple-queue", "the experiment race has nothing to measure on simple-queue"),
        (
            "throughput --backend redis",
            "it measures redis-pubsub, redis-list, redis-list-reliable, redis-stream",
        ),
        ("race --backend redis-list", "has nothing to measure on redis-list; it measures redis: name one"),
        ("throughput --backend queue --size 64 --size 1KiB", "--size is given twice with different values"),
        ("latency --backend value", "the experiment latency has nothing to measure on value"),
        ("throughput --backend queue --producers 256", "a trial has at most 255 producers"),
        ("throughput --backend queue --consumers 100000", "a trial has at most 255 consumers"),
        ("throughput --backend queue --duration 1e9", "at most 3600 s"),
        ("latency --backend queue --rate 1e12", "a paced trial has 10000000 messages at most"),
        ("capacity -b queue --rate 100", "leave out --rate, or use the experiment latency"),
        ("capacity -b queue --duration 1", "leave out --duration, or use the experiment throughput"),
        ("latency -b queue --slo p99=10ms", "leave out --slo, or use the experiment capacity"),
        ("throughput -b queue --arrivals constant", "leave out --arrivals, or use the experiment latency"),
        ("latency -b queue --variable-rate 100:1s --rate 5", "has its own rates and times: leave out --rate"),
        ("latency --backend queue --rate nan", "rate_per_s must be a number above 0, not nan"),
        ("latency --backend queue --duration inf", "duration_s must be a number above 0, not inf"),
        ("crash --backend value", "the experiment crash has nothing to measure on value"),
        ("crash --backend queue --fault cut", "nothing can be cut or dropped on the way"),
        (
            "crash --fault restart --target producer",
            "the experiment crash has no trials with these options",
        ),
        ("throughput --backend pipe --rate 100", "leave out --rate, or use the experiment latency"),
        ("latency --backend pipe --fault kill", "leave out --fault, or use the experiment crash"),
        ("crash --backend queue --size 64KiB", "leave out --size, or use the experiment throughput"),
        ("order --backend queue --duration 60", "leave out --duration, or use the experiment throughput"),
        ("crash --backend redis-list --window 10", "leave out --window, or use the experiment throughput"),
        ("throughput --size 20KiB-2KiB", "the smaller size comes first"),
        ("throughput --size 64,1furlong", "'64,1furlong' is not a size; write 64, 1KiB, 20k, a range"),
        ("throughput --payload dct", "no payload is called 'dct'; did you mean dict"),
        ("throughput --payload ndarray:complex64", "an array payload has numbers"),
        ("throughput --payload file:no-such-file", "cannot read the payload file"),
        ("throughput --payload dict --codec shm -b queue", "the codec shm does not carry the payload dict"),
        ("throughput --payload dict:2KiB --size 2KiB", "has its size already: leave out --size"),
        ("throughput --payload dict --size 64 -b queue", "at least 420 bytes, so size 64 is too small"),
        ("crash --payload dict -b queue", "leave out --payload, or use the experiment throughput"),
        ("order --codec json -b queue", "leave out --codec, or use the experiment throughput"),
        ("latency --backend queue --warmup nan", "warmup_s must be a number not below 0, not nan"),
    ],
)
def test_an_impossible_trial_is_refused(refused: Refused, arguments: str, line: str) -> None:
    assert line in refused("run", *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("memcached-ticket --size 2MiB", "memcached-ticket carries messages of"),
        ("pipe --size 2GiB", "a trial has messages of 268435456 bytes at most"),
        ("queue --size 257MiB", "268435456 bytes at most, so 269484032 is too large"),
        ("queue --size 15", "needs 16 bytes for its header, so size 15 is too small"),
    ],
)
def test_a_message_of_an_impossible_size_is_refused(refused: Refused, arguments: str, line: str) -> None:
    assert line in refused("run", "throughput", "--backend", *arguments.split())


@pytest.mark.parametrize("value", ["0", "-1", "-0.5", "many", "", "1e", "1XiB"])
@pytest.mark.parametrize(
    "option",
    ["--producers", "--consumers", "--size", "--rate", "--duration", "--repeats", "--window"],
)
def test_a_number_must_be_one_above_zero(refused: Refused, option: str, value: str) -> None:
    assert option in refused("run", "--backend", "queue", option, value)


@pytest.mark.parametrize(("option", "value"), [("--warmup", "-1"), ("--seed", "-1"), ("--repeats", "1001")])
def test_a_number_must_be_within_its_range(refused: Refused, option: str, value: str) -> None:
    assert option in refused("run", "--backend", "queue", option, value)


@pytest.mark.parametrize("option", ["--producers", "--consumers", "--window", "--seed", "--repeats"])
def test_a_number_with_a_thousand_digits_is_refused_like_any_other(refused: Refused, option: str) -> None:
    assert refused("run", "--backend", "queue", option, "9" * 1000)


def test_a_results_folder_that_is_a_file_is_found_out_before_anything_else(
    ipclab: Ipclab, here: Path, tmp_path: Path
) -> None:
    (here / "taken").write_text("mine")
    url = f"redis://127.0.0.1:{free_port()}/0"
    # The broker cannot be reached either: that would be exit code 4, had it been tried.
    ended = ipclab("run", "latency", "--backend", "redis-list", "--results", "taken", REDIS_URL=url)
    assert ended.code == 2
    assert ended.line.startswith("ipclab: the results folder taken cannot be written")
    assert (here / "taken").read_text() == "mine"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("folder", ["file/below", "/proc/ipclab", "/sys/ipclab", "/dev/null/x"])
def test_a_results_folder_that_cannot_be_made_is_found_out_before_a_server_is_started(
    ipclab: Ipclab, here: Path, tmp_path: Path, folder: str
) -> None:
    (here / "file").touch()
    ended = ipclab("run", "latency", "--backend", "redis-list", "--provider", "native", "--results", folder)
    assert ended.code == 2
    assert f"the results folder {folder} cannot be written" in ended.line
    assert not (tmp_path / "state").exists()


def test_a_folder_where_latest_belongs_is_found_out_before_a_server_is_started(
    ipclab: Ipclab, here: Path, tmp_path: Path
) -> None:
    (here / "results" / "latest").mkdir(parents=True)
    ended = ipclab("run", "latency", "--backend", "redis-list", "--provider", "native")
    assert ended.code == 2
    assert "results/latest is a folder" in ended.line
    assert [path.name for path in (here / "results").iterdir()] == ["latest"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("output", ["missing/table.md", "/proc/table.md"])
def test_an_output_that_cannot_be_written_is_found_out_before_the_first_trial(
    refused: Refused, output: str
) -> None:
    assert f"cannot write {output}" in refused(*ONE_TRIAL, "-o", output)


@pytest.mark.parametrize("name", ["latest", "latency", "latency/20200101T000000Z"])
def test_without_results_there_is_nothing_to_show(refused: Refused, name: str) -> None:
    assert "there are no results in results yet: make some with 'ipclab run'" in refused("show", name)


def test_a_damaged_result_is_named_in_one_line(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"ipclab_result": 1, "experiment"')
    assert "is not a result of ipclab, or is damaged" in refused("show", str(tmp_path / "result.json"))


def test_a_result_of_another_version_is_named_in_one_line(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"ipclab_result": 99}')
    assert "version 99 of the result schema" in refused("show", str(tmp_path / "result.json"))


def test_a_stored_result_is_not_printed_into_a_folder_that_is_not_there(ipclab: Ipclab, stored: None) -> None:
    ended = ipclab("show", "latest", "-o", "missing/table.md")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot write missing/table.md" in ended.line


@pytest.mark.parametrize(
    ("variable", "url"),
    [("REDIS_URL", f"http://:{PASSWORD}@host"), ("REDIS_URL", f"redis://:{PASSWORD}/x@"), ("AMQP_URL", "x")],
)
def test_a_url_that_is_none_is_refused_without_its_password(ipclab: Ipclab, variable: str, url: str) -> None:
    backend = "redis-list" if variable == "REDIS_URL" else "rabbitmq"
    ended = ipclab("run", "round_trip", "--backend", backend, **{variable: url})
    assert ended.code == 2
    assert variable in ended.line
    assert PASSWORD not in ended.line


def a_fifo(folder: Path) -> str:
    os.mkfifo(folder / "fifo")
    return "fifo"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "round_trip", "-b", "pipe", "-o", "fifo"),
        ("claims", "data_isolation", "-o", "fifo"),
        ("show", "./fifo"),
        ("check", "fifo"),
        ("check", "history.jsonl", "--html", "fifo"),
        ("claims", "--from", "fifo"),
    ],
    ids=" ".join,
)
def test_a_fifo_is_refused_at_once(ipclab: Ipclab, here: Path, command: tuple[str, ...]) -> None:
    a_fifo(here)
    (here / "history.jsonl").write_text('{"ipclab_history": 1, "model": "register"}\n')
    ended = ipclab(*command)
    assert ended.code == 2
    assert "FIFO" in ended.line


LONG = "n" * 300


@pytest.mark.parametrize("stored", [False, True], ids=["nothing stored", "a run stored"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("show {}/loop", "too many levels of symbolic links"),
        ("show {}/folder", "too many levels of symbolic links"),
        ("show {}/fifo", "it is a FIFO"),
        (f"show {LONG}", f"no run is called '{LONG}'"),
        (f"show latest --results {LONG}", "ile name too long"),
        (f"list --results {LONG}", "ile name too long"),
        ("check {}/loop", "ymbolic links"),
        (f"check {LONG}", "ile name too long"),
        ("claims --from {}/loop", "ymbolic links"),
        (f"claims --from {LONG}", "ile name too long"),
    ],
)
def test_a_name_that_no_file_can_have_is_told_in_one_line(
    refused: Refused, tmp_path: Path, command: str, said: str, stored: bool
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "result.json").symlink_to("result.json")
    a_fifo(tmp_path)
    kept = tmp_path / "results" / "latency" / "20200101T000000Z"
    kept.mkdir(parents=True)
    if stored:
        (kept / "result.json").write_text("{}")
    elif said.startswith("no run is called"):
        said = "there are no results in"
    words = command.format(tmp_path).split()
    if words[0] == "show" and "--results" not in words:
        words += ["--results", str(tmp_path / "results")]
    assert said in refused(*words)


def test_a_packed_history_without_a_line_end_is_refused_within_bounds(ipclab: Ipclab, here: Path) -> None:
    with gzip.open(here / "bomb.gz", "wb", compresslevel=9) as file:
        for _ in range(400):
            file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ended = ipclab("check", "bomb.gz")
    assert ended.code == 2
    assert "line 1: it is longer than" in ended.line
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 300 << 10)


def test_a_packed_history_of_many_lines_is_refused_within_bounds(ipclab: Ipclab, here: Path) -> None:
    with gzip.open(here / "bomb.gz", "wb", compresslevel=1) as file:
        file.write(b'{"ipclab_history": 1, "model": "register"}\n')
        line = b'{"process":1,"type":"invoke","f":"write","value":1,"time":1' + b" " * 1_000_000 + b"}\n"
        for _ in range(150):
            file.write(line + line.replace(b"invoke", b"ok"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ended = ipclab("check", "bomb.gz")
    assert ended.code == 2
    assert "it holds more than 256 MiB" in ended.line
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 300 << 10)


def test_a_result_with_an_endless_text_or_of_endless_size_is_refused(ipclab: Ipclab, here: Path) -> None:
    (here / "long.json").write_text('{"ipclab_result": 1, "question": "' + "x" * 13_000_000 + '"}')
    with (here / "large.json").open("wb") as file:
        file.truncate(1 << 40)
    for name, said in (("long.json", "has a text of 13000000 characters"), ("large.json", "larger than")):
        ended = ipclab("show", f"./{name}")
        assert ended.code == 2
        assert said in ended.line


def test_a_result_of_millions_of_parts_is_refused_within_bounds(ipclab: Ipclab, here: Path) -> None:
    many = b"[]," * 4_300_000 + b"[]"
    (here / "many.json").write_bytes(b'{"ipclab_result": 2, "question": [' + many + b"]}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ended = ipclab("show", "./many.json")
    assert ended.code == 2
    assert "does not fit the result schema" in ended.line
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 300 << 10)


def test_a_run_that_is_refused_leaves_no_empty_output(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("run", "latency", "-b", "pipe", "--size", "1", "-o", "out.md")
    assert ended.code == 2
    assert not (here / "out.md").exists()


def test_output_to_stdout_by_its_name_arrives_there(ipclab: Ipclab) -> None:
    quick = ("--duration", "0.05", "--warmup", "0", "--repeats", "1", "--size", "64")
    ended = ipclab("run", "round_trip", "-b", "pipe", *quick, "--format", "md", "-o", "/dev/stdout")
    assert "Verdict: 1 row kept" in ended.out


@pytest.mark.parametrize("place", ["quotes \" and '", "a file"])
def test_a_state_folder_that_servers_cannot_take_stops_no_run_without_servers(
    ipclab: Ipclab, tmp_path: Path, place: str
) -> None:
    (tmp_path / "a file").touch()
    quick = ("--producers", "1", "--size", "64", "--duration", "0.05", "--warmup", "0.05", "--repeats", "1")
    ended = ipclab("run", "throughput", "-b", "pipe", *quick, IPCLAB_STATE_DIR=str(tmp_path / place))
    assert (ended.code, "kept" in ended.out) == (0, True), ended.err

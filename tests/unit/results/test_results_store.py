"""The results folder: nothing half-written, nothing lost, and every bad file one clear line."""

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipclab.errors import ResultsError, UnknownNameError
from ipclab.report import json as report_json
from ipclab.results.store import Store, read, write_atomically

replace = msgspec.structs.replace


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_a_run_is_stored_under_its_experiment_and_its_time(make, store):
    run = store.begin(make.result())
    assert run.folder == store.root / "comparison" / "20260102T030405Z"


def test_a_time_in_another_zone_is_stored_as_utc(make, store):
    run = store.begin(make.result(began_utc="2026-01-02T04:04:05+01:00"))
    assert run.folder.name == "20260102T030405Z"


def test_a_run_is_marked_partial_until_it_is_finished(make, store):
    result = make.result()
    run = store.begin(result)
    assert (run.folder / "PARTIAL").is_file()
    assert not store.load("latest").complete
    run.save(replace(result, trials=[make.stream("pipe", 1.0)], complete=False))
    assert (run.folder / "PARTIAL").is_file()
    run.finish(result, "# table\n")
    assert not (run.folder / "PARTIAL").exists()
    assert (run.folder / "table.md").read_text() == "# table\n"
    assert store.load("latest") == result


def test_an_interrupted_run_keeps_its_trials_and_its_mark(make, store):
    cut = make.result([make.stream("pipe", 1.0)], complete=False)
    run = store.begin(make.result())
    run.finish(cut, "# table\n")
    assert (run.folder / "PARTIAL").is_file()
    assert store.load("latest") == cut


def test_two_runs_within_a_second_have_folders_of_their_own(make, store):
    names = [store.begin(make.result()).folder.name for _ in range(11)]
    assert len(set(names)) == 11
    assert store.runs()[-1] == "comparison/20260102T030405Z-11"


def test_latest_is_a_link_to_the_newest_run(make, store):
    store.begin(make.result(experiment="race"))
    newest = store.begin(make.result(experiment="latency"))
    assert (store.root / "latest").is_symlink()
    assert (store.root / "latest").resolve() == newest.folder.resolve()
    assert not Path(os.readlink(store.root / "latest")).is_absolute()


def test_latest_is_a_file_where_links_cannot_be_made(make, store, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    store.begin(make.result(experiment="race"))
    newest = make.result(experiment="latency")
    store.begin(newest)
    assert (store.root / "latest").read_text() == "latency/20260102T030405Z\n"
    assert store.load("latest").experiment == "latency"


def a_folder_instead_of_the_link(make, store):
    """As a copy leaves it that follows links."""
    run = store.begin(make.result())
    (store.root / "latest").unlink()
    shutil.copytree(run.folder, store.root / "latest")
    return sorted(store.root.rglob("*"))


def test_a_folder_where_latest_belongs_is_found_out_by_the_check(make, store):
    before = a_folder_instead_of_the_link(make, store)
    with pytest.raises(
        ResultsError, match=r"results/latest is a folder.*: rename it, or remove it"
    ) as caught:
        store.check()
    assert "\n" not in str(caught.value)
    assert sorted(store.root.rglob("*")) == before


def test_a_run_does_not_begin_where_a_folder_stands_for_latest(make, store):
    before = a_folder_instead_of_the_link(make, store)
    with pytest.raises(ResultsError, match="results/latest is a folder"):
        store.begin(make.result(experiment="race"))
    assert sorted(store.root.rglob("*")) == before


def test_a_link_to_the_newest_run_passes_the_check(make, store):
    store.begin(make.result())
    store.check()


def test_latest_is_a_file_where_its_link_cannot_be_put_in_its_place(make, store, monkeypatch):
    move = Path.replace

    def refuse(self, target):
        if self.is_symlink():
            raise OSError(1, "Operation not permitted")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    store.begin(make.result())
    assert (store.root / "latest").read_text() == "comparison/20260102T030405Z\n"
    assert sorted(path.name for path in store.root.iterdir()) == ["comparison", "latest"]


def test_latest_is_the_newest_run_where_its_link_leads_nowhere(make, store):
    run = store.begin(make.result())
    (store.root / "latest").unlink()
    (store.root / "latest").symlink_to("comparison/gone")
    assert store.find("latest") == run.folder / "result.json"


@pytest.mark.parametrize(
    "name",
    [
        "latest",
        "race",
        "race/latest",
        "race/20260202T030405Z",
        "20260202",
        "race/2026",
        "PATH",
        "PATH/result.json",
    ],
)
def test_a_run_is_found_by_any_of_its_names(make, store, name):
    store.begin(make.result(experiment="comparison"))
    run = store.begin(make.result(experiment="race", began_utc="2026-02-02T03:04:05+00:00"))
    assert store.load(name.replace("PATH", str(run.folder))).experiment == "race"


def test_the_newest_run_of_an_experiment_is_meant_by_its_name(make, store):
    for month in (3, 1, 2):
        store.begin(make.result(began_utc=f"2026-0{month}-01T00:00:00+00:00"))
    assert store.load("comparison").began_utc.startswith("2026-03")


def test_a_beginning_that_several_runs_share_is_refused(make, store):
    for day in (1, 2):
        store.begin(make.result(began_utc=f"2026-01-0{day}T00:00:00+00:00"))
    with pytest.raises(ResultsError, match="2 runs begin with '202601'"):
        store.find("202601")


def test_an_unknown_run_is_answered_with_the_nearest_names(make, store):
    store.begin(make.result())
    with pytest.raises(UnknownNameError, match="latest"):
        store.find("lattest")


@pytest.mark.parametrize("name", ["latest", "comparison"])
def test_an_empty_store_says_how_to_fill_it(store, name):
    with pytest.raises(ResultsError, match="ipclab run"):
        store.find(name)


def test_a_folder_that_can_be_written_passes_the_check_and_stays_empty(store):
    store.check()
    assert list(store.root.iterdir()) == []


def test_a_file_in_the_way_is_found_out_by_the_check(tmp_path):
    (tmp_path / "results").write_text("in the way")
    for root in (tmp_path / "results", tmp_path / "results" / "below"):
        with pytest.raises(ResultsError, match="is not a folder") as caught:
            Store(root).check()
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can make a folder")
def test_a_place_where_nothing_can_be_made_is_found_out_by_the_check() -> None:
    with pytest.raises(ResultsError, match="cannot be written"):
        Store(Path("/proc/ipclab/results")).check()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    target = tmp_path / "result.json"
    write_atomically(target, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_full_disk_is_one_clear_line(make, store, monkeypatch):
    run = store.begin(make.result())

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResultsError, match="no space is left"):
        run.save(make.result())


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rates=st.lists(st.floats(min_value=0, max_value=1e9, allow_nan=False), max_size=5),
    samples=st.lists(st.integers(min_value=-(10**6), max_value=10**10), min_size=1, max_size=50),
    reason=st.text(max_size=30).filter(lambda text: text.isprintable()),
)
def test_what_was_stored_is_what_is_loaded(make, store, rates, samples, reason):
    trials = [make.stream("pipe", rate) for rate in rates]
    trials += [make.paced("queue", samples), replace(make.hung("pipe"), reason=reason, stuck={"w": reason})]
    result = make.result(trials, unavailable=[make.unavailable("redis-list", reason)])
    store.begin(result).finish(result, "")
    assert store.load("latest") == result


def test_what_format_json_printed_is_read_back(make, tmp_path):
    result = make.result([make.stream("pipe", 1.0), make.paced("pipe", range(1, 3000))])
    (tmp_path / "out.json").write_text(report_json.render(result))
    assert read(tmp_path / "out.json") == result


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "result.json"
    path.write_text(content)
    return path


def with_fields(make, **fields):
    return json.dumps(json.loads(msgspec.json.encode(make.result())) | fields)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"rows": 1}', "\x00\x01", '{"ipclab_result": "1"}']
)
def test_what_is_no_result_is_refused(tmp_path, content):
    with pytest.raises(ResultsError, match="not a result of ipclab, or is damaged") as caught:
        read(written(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_half_a_file_is_refused(make, tmp_path):
    whole = with_fields(make)
    with pytest.raises(ResultsError, match="damaged"):
        read(written(tmp_path, whole[: len(whole) // 2]))


def test_another_version_of_the_schema_is_refused_even_if_it_looks_different(make, tmp_path):
    with pytest.raises(ResultsError, match="has version 3 of the result schema"):
        read(written(tmp_path, '{"ipclab_result": 3, "news": []}'))


@pytest.mark.parametrize(
    "fields", [{"surprise": 1}, {"complete": "yes"}, {"trials": [{}]}, {"environment": None}]
)
def test_unknown_fields_and_wrong_types_are_refused(make, tmp_path, fields):
    with pytest.raises(ResultsError, match="does not fit the result schema"):
        read(written(tmp_path, with_fields(make, **fields)))


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(ResultsError, match="cannot be read: no such file"):
        read(tmp_path / "gone.json")


def test_trials_of_a_killed_run_are_read_from_its_journal(make, store):
    run = store.begin(make.result(trials=[]))
    trials = [make.stream("pipe", rate) for rate in (1.0, 2.0)]
    for number, trial in enumerate(trials):
        run.append(number, trial, f"2026-01-02T03:04:0{number}+00:00")
    found = store.load("latest")
    assert found.trials == trials
    assert not found.complete
    assert found.ended_utc == "2026-01-02T03:04:01+00:00"


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_of_the_journal_that_was_cut_off_loses_that_trial_only(make, store, cut):
    run = store.begin(make.result(trials=[]))
    trials = [make.stream("pipe", rate) for rate in (1.0, 2.0)]
    for number, trial in enumerate(trials):
        run.append(number, trial, "")
    journal = run.folder / "trials.jsonl"
    journal.write_bytes(journal.read_bytes()[: -1 - cut])
    assert store.load("latest").trials == trials[:1]


def test_a_run_killed_between_its_result_and_its_journal_has_no_trial_twice(make, store):
    trials = [make.stream("pipe", rate) for rate in (1.0, 2.0)]
    run = store.begin(make.result(trials=[]))
    for number, trial in enumerate(trials):
        run.append(number, trial, "")
    journal = (run.folder / "trials.jsonl").read_bytes()
    run.finish(make.result(trials), "")
    assert not (run.folder / "trials.jsonl").exists()
    (run.folder / "trials.jsonl").write_bytes(journal)
    assert store.load("latest").trials == trials


def test_what_is_written_for_a_run_grows_with_its_trials_and_not_with_their_square(make, store, monkeypatch):
    written = []
    really = Path.open

    def noting(self, mode="r", *arguments, **options):
        file = really(self, mode, *arguments, **options)
        if mode == "ab":
            before = file.tell()
            written.append((file, before))
        return file

    monkeypatch.setattr(Path, "open", noting)
    record = make.stream("pipe", 1.0)
    sizes = []
    for count in (100, 400):
        run = store.begin(make.result(trials=[]))
        result_before = (run.folder / "result.json").stat()
        for number in range(count):
            run.append(number, record, "")
        assert (run.folder / "result.json").stat().st_mtime_ns == result_before.st_mtime_ns
        sizes.append((run.folder / "trials.jsonl").stat().st_size)
    assert len(written) == 500
    assert sizes[1] < 4.1 * sizes[0]


def test_a_limit_of_file_sizes_is_not_told_as_a_full_disk(make, store, monkeypatch):
    run = store.begin(make.result())

    def fail(_: int) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResultsError, match="ulimit -f unlimited"):
        run.save(make.result())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_result_that_is_nested_without_end_is_refused_in_one_line(tmp_path, depth, version):
    nested = "[" * depth + "]" * depth
    with pytest.raises(ResultsError, match=r"not a result of ipclab, or is damaged|does not fit") as caught:
        read(written(tmp_path, f'{{"ipclab_result": {version}, "question": {nested}}}'))
    assert "\n" not in str(caught.value)


def test_a_journal_is_no_way_around_the_rules_for_a_result(make, store):
    run = store.begin(make.result(trials=[]))
    run.append(0, make.hung("pipe"), "")
    journal = run.folder / "trials.jsonl"
    plain = journal.read_bytes()
    said = msgspec.json.encode(store.load("latest").trials[0].reason)[1:-1]
    journal.write_bytes(plain.replace(said, b"red \\u001b[31m"))
    assert store.load("latest").trials[0].reason == "red \\x1b[31m"
    journal.write_bytes(b"[" * 100_000)
    assert store.load("latest").trials == []
    journal.unlink()
    os.mkfifo(journal)
    with pytest.raises(ResultsError, match="it is a FIFO"):
        store.load("latest")

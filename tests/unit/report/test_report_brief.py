"""A table in a few lines, without its notes, and the line about a busy machine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from ipclab.report import table, terminal
from ipclab.report.formats import formatted
from ipclab.report.look import Look
from ipclab.results import busy
from ipclab.results.result import Result
from tests.support.results_on_pages import TROUBLES, comparison, faults


def used_by_others(make: Any, *cores: float | None) -> Result:
    trials = [
        make.stream("pipe", 1000.0, repeat=i, cost=msgspec.structs.replace(make.cost(), others_cores=used))
        for i, used in enumerate(cores)
    ]
    return make.result(trials)  # type: ignore[no-any-return]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_brief_table_has_ten_lines_of_the_width_there_is(make: Any, width: int) -> None:
    *lines, last = formatted(comparison(make), "table", Look(width, brief=True)).splitlines()
    assert len(lines) <= 9
    assert max(map(cell_len, lines)) <= width
    assert last.startswith("Verdict: ")


def test_a_brief_table_names_the_best_of_each_class_with_its_loss_and_verdict(make: Any) -> None:
    text = formatted(comparison(make), "table", Look(200, brief=True))
    assert "▲ 124 k/s, lost 0, kept: redis-stream window 100 · At least once, while the broker lives" in text
    assert "● 188 k/s, p50 9.7 µs, lost 0, kept: pipe · At most once: a crash may cost messages" in text


def test_rows_that_share_the_first_rank_are_all_named(make: Any) -> None:
    trials = [make.stream(name, 1000.0 + i, repeat=i) for i in range(4) for name in ("pipe", "queue")]
    assert ": pipe, queue · " in formatted(make.result(trials), "table", Look(brief=True))


def test_a_class_without_a_sound_row_says_what_became_of_it(make: Any) -> None:
    text = formatted(make.result([make.hung("queue")]), "table", Look(brief=True))
    assert "– hung: queue · " in text


def test_a_fault_matrix_in_brief_is_its_closing_sentence(make: Any) -> None:
    _, closing = formatted(faults(make), "table", Look(brief=True)).splitlines()
    assert closing.startswith("Safety: 8 cells")


def test_without_notes_the_verdict_still_closes_the_table(make: Any) -> None:
    whole = formatted(comparison(make), "table")
    short = formatted(comparison(make), "table", Look(notes=False))
    notes = table.make(comparison(make)).footnotes
    assert notes
    for note in (" ".join(note.split()) for note in notes):
        assert note in " ".join(whole.split())
        assert note not in " ".join(short.split())
    assert short.splitlines()[-1] == whole.splitlines()[-1]


def test_a_run_on_a_busy_machine_says_so_in_the_last_line(make: Any) -> None:
    result = used_by_others(make, 1.2, 1.3, 1.9)
    for format_ in ("table", "md"):
        *_, last = formatted(result, format_, Look(400)).splitlines()
        says = "Busy machine: other processes used 1.3 of 2 cores, so figures are rough"
        assert says in last.replace("\\", "")
    assert "ipclab run comparison --repeats 10" in " ".join(formatted(result, "table", Look(400)).split())


@pytest.mark.parametrize("cores", [(0.1, 0.2, 1.9), (None, None), ()])
def test_an_idle_machine_and_an_unknown_one_have_no_such_line(
    make: Any, cores: tuple[float | None, ...]
) -> None:
    result = used_by_others(make, *cores)
    assert busy.warning(result) == ""
    assert "Busy machine" not in formatted(result, "table")


def test_the_page_takes_what_was_measured_before_the_load_at_the_start(make: Any) -> None:
    result = used_by_others(make, 0.0, 0.1)
    loaded = msgspec.structs.replace(TROUBLES["busy"](make), trials=result.trials)
    assert "Busy machine" not in formatted(loaded, "html")
    assert "other processes used 1.3 of 2 cores" in formatted(used_by_others(make, 1.3), "html")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_word_of_a_list_is_broken_that_fits(width: int) -> None:
    rows = [["redis-list-reliable", "at-least-once, fan-out", "broker crash, connection loss"] * 3] * 2
    header = ["channel", "delivery", "may lose at"] * 3
    text = terminal.columns(header, rows, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    pieces = {piece for cell in rows[0] for word in cell.split() for piece in word.replace("-", "- ").split()}
    shown = {piece for word in text.split() for piece in word.replace("-", "- ").split()}
    assert pieces <= shown | {piece.rstrip(",") for piece in shown}

"""The page: it says everything that the result says, needs nothing else, and is the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ipclab.report import table
from ipclab.report.formats import formatted
from ipclab.report.html.claims import ClaimCard
from ipclab.report.html.matrix import Spot
from ipclab.report.html.page import make_page, pictures
from ipclab.report.html.run import gather
from ipclab.report.html.style import of_picture
from ipclab.results import units
from ipclab.results.result import Result
from ipclab.results.store import read
from tests.support.pages import Read
from tests.support.results_on_pages import TROUBLES, comparison, faults

GOLDEN = Path(__file__).with_name("pages")
WHOLE = {"comparison": comparison, "faults": faults}
HOSTILE = "<script>alert(1)</script>\"'>&<img src=x onerror=alert(2)>"


def drawn(*results: Result, claims: tuple[ClaimCard, ...] = ()) -> Read:
    runs = [gather(result, f"results/run/{place}", place) for place, result in enumerate(results, 1)]
    return Read(make_page(runs, claims))


@pytest.fixture(params=WHOLE)
def result(request: pytest.FixtureRequest, make: Any) -> Result:
    """A whole run of one kind."""
    return WHOLE[request.param](make)


def test_every_row_of_the_json_is_in_the_text(make: Any) -> None:
    found = comparison(make)
    words = drawn(found).words
    rows = json.loads(formatted(found, "json"))["rows"]
    assert len(rows) > 8
    for row, known in zip(rows, table.ranked_rows(found), strict=True):
        assert f"{row['name']} {row['mode']}".strip() in words
        assert row["group"] in words
        if known.goodput_per_s:
            assert units.rate(known.goodput_per_s.median, known.goodput_per_s.spread) in words
        if known.end_to_end and known.end_to_end.p50_ns:
            assert units.duration(known.end_to_end.p50_ns) in words


def test_every_cell_of_the_json_is_in_the_text(make: Any) -> None:
    found = faults(make)
    words = drawn(found).words
    cells = json.loads(formatted(found, "json"))["cells"]
    assert len(cells) > 6
    for cell in cells:
        assert cell["row"].partition(":")[0] in words
        for what in (cell["action"], cell["scenario"], cell["finding"], *cell["hung"], *cell["broken"]):
            assert (what or "") in words
        if cell["histories"] and cell["findings"]:
            assert any(f"ipclab check results/run/1/{history}" in words for history in cell["histories"])


def test_every_cell_of_the_table_is_in_the_tables_of_the_page(result: Result) -> None:
    words = drawn(result).words
    for section in table.make(result).sections:
        for line in (line for block in section.blocks for line in block.lines):
            for cell in line.cells:
                assert " ".join(cell.split()) in words
    for note in (*table.make(result).footnotes, table.make(result).closing):
        assert " ".join(note.split()) in words


def test_the_page_needs_nothing_else(result: Result) -> None:
    text = make_page([gather(result)])
    found = Read(text)
    assert not list(found.attributes("src"))
    assert not {tag for tag, _ in found.tags} & {"link", "img", "iframe", "object", "base", "form"}
    assert all(address.startswith("#") for address in found.attributes("href"))
    style, script = "".join(found.inside["style"]), "".join(found.inside["script"])
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in style + script
    assert len(text.encode()) < 1_500_000


def test_no_tag_is_left_open_and_every_link_has_its_target(result: Result) -> None:
    found = drawn(result, result)
    assert found.unclosed == []
    ids = list(found.attributes("id"))
    assert len(ids) == len(set(ids))
    assert {address[1:] for address in found.attributes("href")} <= set(ids)
    named = {name for names in found.attributes("aria-labelledby") for name in names.split()}
    assert named <= set(ids)


def test_every_picture_has_a_title_and_a_description(result: Result) -> None:
    text = make_page([gather(result)])
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert re.search(r"<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", picture)


def test_only_the_script_of_the_page_may_run(result: Result) -> None:
    found = drawn(result)
    (policy,) = (a["content"] for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    (script,) = found.inside["script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("name", [HOSTILE, "a" * 200, "\x1b[31mred\x1b[0m\x07", "名字", "a b=c:d,e"])
def test_a_name_of_others_is_text_and_nothing_else(make: Any, tmp_path: Path, name: str) -> None:
    trial = make.stream("pipe", 1000.0)
    spec = msgspec.structs.replace(
        trial.spec, backend=msgspec.structs.replace(trial.spec.backend, name=name, options={"mode": name})
    )
    broker = msgspec.structs.replace(make.result().brokers[0], version=name, url=name)
    written = make.result(
        [msgspec.structs.replace(trial, spec=spec)],
        question=name,
        brokers=[broker],
        options={"backends": name},
        unavailable=[make.unavailable(name, name)],
    )
    path = tmp_path / "result.json"
    path.write_bytes(msgspec.json.encode(written))
    plain, hostile = drawn(make.result([trial], unavailable=[make.unavailable("a", "b")])), drawn(read(path))
    assert hostile.unclosed == []
    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in plain.tags} | {"ring"}
    assert len(hostile.inside["script"]) == 1
    assert not [key for _, attributes in hostile.tags for key in attributes if key.startswith("on")]
    assert "\x1b" not in make_page([gather(read(path))])
    for picture in pictures(gather(read(path))):
        assert "<script" not in picture.alone("")


def test_the_same_result_gives_the_same_bytes(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(msgspec.json.encode(result))
    program = (
        "import sys, pathlib\n"
        "from ipclab.report.formats import formatted\n"
        "from ipclab.results.store import read\n"
        "sys.stdout.buffer.write(formatted(read(pathlib.Path(sys.argv[1])), 'html').encode())\n"
    )
    pages = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert pages == {formatted(result, "html").encode()}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_page_about_trouble_reads_like_this(make: Any, name: str) -> None:
    text = drawn(TROUBLES[name](make)).text + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def banner(found: Read) -> str:
    return next(a["class"] or "" for _, a in found.tags if (a.get("class") or "").startswith("banner"))


@pytest.mark.parametrize(
    ("name", "tone"),
    [
        ("hung", "doubt"),
        ("withheld", "good"),
        ("unavailable", "good"),
        ("partial", "good"),
        ("busy", "good"),
        ("broken", "worst"),
    ],
)
def test_the_verdict_is_good_only_where_nothing_broke_hung_failed_or_stayed_unknown(
    make: Any, name: str, tone: str
) -> None:
    assert banner(drawn(TROUBLES[name](make))) == f"banner {tone}"


def test_a_run_without_trials_is_not_called_good(make: Any) -> None:
    assert banner(drawn(make.result([]))) == "banner none"


@pytest.mark.parametrize(("name", "says"), [("partial", "Partial: "), ("busy", "Busy machine: ")])
def test_a_partial_run_and_a_busy_machine_have_a_banner(make: Any, name: str, says: str) -> None:
    assert says in drawn(TROUBLES[name](make)).text
    assert says not in drawn(TROUBLES["broken"](make)).text


def test_a_hang_has_its_stack_and_the_command_that_checks_its_history(make: Any) -> None:
    words = drawn(faults(make)).words
    assert "consumer-1 hung here queues.py:103 get synchronize.py:95 __enter__" in words
    assert "ipclab check results/run/1/histories/0000.jsonl.gz" in words


def test_a_cell_of_the_matrix_has_a_sign_and_a_word_and_leads_to_its_evidence(make: Any) -> None:
    found = drawn(faults(make))
    lines = [line for line in found.text.split("\n") if line.startswith("|")]
    (matrix,) = [line for line in lines if "queue" in line and "■" in line and "hung in" in line][:1]
    assert "■hung in Queue.get (read lock)" in matrix
    assert any("✕BROKEN: lost 44" in line for line in lines)
    assert any("◇lost 12 (1.2%)" in line for line in lines)
    assert any("–not carried out" in line for line in lines)


def test_several_runs_and_claims_make_one_page(make: Any) -> None:
    claim = ClaimCard(
        number=4,
        name="mutex",
        statement="A lock <keeps> others out.",
        verdict="holds: it did",
        mark="✓",
        tone="good",
        evidence=(("tries", "1000"),),
        practice="Use it.",
    )
    found = drawn(comparison(make), faults(make), claims=(claim,))
    for words in ("comparison: how should", "crash: what is lost?", "A lock <keeps> others out.", "tries"):
        assert words in found.words


def test_a_claim_that_came_out_otherwise_makes_the_banner_red(make: Any) -> None:
    claim = ClaimCard(
        number=1, name="x", statement="x", verdict="refuted", mark="✕", tone="worst", evidence=(), practice=""
    )
    assert banner(drawn(TROUBLES["partial"](make), claims=(claim,))) == "banner worst"


def test_a_picture_as_a_file_has_its_colours_and_needs_nothing(make: Any) -> None:
    found = pictures(gather(comparison(make)))
    assert len(found) > 5
    for picture in found:
        text = picture.alone(of_picture("dark"))
        assert text.startswith("<svg xmlns=")
        assert "--fam-redis:#E8483F" in text
        assert "url(" not in text


def test_batches_and_single_messages_stand_side_by_side_on_a_card(make: Any) -> None:
    text = drawn(comparison(make)).text
    card = text[text.index("At least once, while the broker lives") :]
    assert card.index("in batches") < card.index("redis-stream · window 100") < card.index("one at a time")


def test_a_cell_may_be_broken_within_a_name_but_never_within_a_number() -> None:
    spot = Spot(None, "lost 1 (0.83%) in Queue.get of BrokenPipeError", "", None)
    assert "".join(spot.pieces) == spot.text
    assert any(piece.endswith("Queue.") for piece in spot.pieces)
    assert any("0.83%" in piece for piece in spot.pieces)

"""Payloads as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.payload.asked import parse
from ipclab.payload.sizes import Size, SizeRange


@pytest.mark.parametrize(
    ("text", "canonical", "size"),
    [
        ("dict", "dict", None),
        ("dict:2KiB", "dict", 2048),
        ("ndarray", "ndarray:float64", None),
        ("ndarray:float64:1MiB", "ndarray:float64", 2**20),
        ("ndarray:f4:1k-2k", "ndarray:float32", SizeRange(1000, 2000)),
        ("bytes", "bytes", None),
    ],
)
def test_a_payload_may_have_its_size(text: str, canonical: str, size: Size | None) -> None:
    found = parse(text)
    assert (found.text, found.size) == (canonical, size)
    assert parse(str(found)) == found


def test_a_file_is_known_by_its_whole_path_and_has_the_sizes_of_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs.jsonl").write_text('{"a": 1}\n[1, 2, 3, 4, 5]\n')
    monkeypatch.chdir(tmp_path)
    found = parse("file:jobs.jsonl")
    assert (found.text, found.size) == (f"file:{tmp_path}/jobs.jsonl", SizeRange(8, 15))
    assert parse(str(found)) == found

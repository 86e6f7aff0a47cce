"""Lines are broken at words, Chinese ones between characters, and no line begins with closing punctuation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ipclab.host.wrapping import units, wrap

TEXTS = st.text(st.sampled_from("ab -=/_，。）（“”「」锁与进程1."), max_size=60)


def test_english_is_broken_at_spaces() -> None:
    assert wrap("the lock is free", 8) == ["the lock", "is free"]


def test_a_word_that_is_wider_than_a_line_is_broken_after_a_mark_where_it_has_one() -> None:
    assert wrap("multiprocessing/synchronize.py", 20) == ["multiprocessing/", "synchronize.py"]
    assert wrap("abcdefgh", 5) == ["abcde", "fgh"]


def test_chinese_is_broken_between_characters_but_never_before_a_closing_mark() -> None:
    assert wrap("进程持锁，死亡。", 8) == ["进程持", "锁，死", "亡。"]


def test_chinese_is_not_broken_after_an_opening_mark() -> None:
    assert wrap("停止（stopped）和僵尸", 6) == ["停止", "（stop", "ped）", "和僵尸"]


def test_later_lines_are_indented() -> None:
    assert wrap("one two three", 9, "  ") == ["one two", "  three"]


@given(TEXTS, st.integers(8, 30))
def test_nothing_is_lost_and_no_line_is_too_wide(text: str, width: int) -> None:
    assert "".join(units(text)) == text
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", range(8, 40))
def test_no_line_of_chinese_prose_begins_with_a_closing_mark(width: int) -> None:
    text = "凡访问共享数据（包括“先读后写”的读）都要加锁，并使用 `with`。若进程被杀，改用 fcntl（锁文件）。"
    assert not [line for line in wrap(text, width) if line[0] in "，。：）”"]

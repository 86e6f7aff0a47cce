"""The catalogue of texts: compiled, complete in its fields, and used only where a reader wants it."""

from __future__ import annotations

import gettext
import importlib.util
import re
import string
from pathlib import Path
from types import ModuleType

import pytest

from ipclab.backends.registry import Variant
from ipclab.experiment import STANDARD_CHANNELS
from ipclab.faults.applicability import kind_of, reason
from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS, FaultSpec
from ipclab.host.texts import FOLDER, mark, speaking, tr
from ipclab.report.formats import formatted
from ipclab.report.html.page import make_page
from ipclab.report.html.run import gather
from ipclab.results.store import read
from tests.support.documents import CHECKOUT
from tests.support.pages import Read

RUN = read(CHECKOUT / "docs" / "run" / "comparison" / "result.json")


@pytest.fixture(scope="module")
def texts() -> ModuleType:
    """The program behind ``make texts``."""
    pytest.importorskip("babel", reason="Babel is part of the extra 'test'")
    spec = importlib.util.spec_from_file_location("texts", CHECKOUT / "scripts" / "texts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fields(text: str) -> list[str]:
    return sorted(f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


def test_a_text_is_in_the_language_that_is_spoken() -> None:
    assert tr("Evidence") == mark("Evidence") == "Evidence"
    with speaking("zh"):
        assert tr("Evidence") == "证据"
        assert tr("{n} processes", n=4) == "4 个进程"
    assert tr("{n} processes", n=4) == "4 processes"


def test_a_text_without_a_translation_is_shown_in_english() -> None:
    with speaking("zh"):
        assert tr("never seen {what}", what="before") == "never seen before"


def test_the_compiled_catalogue_is_that_of_the_texts(texts: ModuleType) -> None:
    with (FOLDER / "zh" / "LC_MESSAGES" / "ipclab.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in texts.translated():
        if message.id and message.string:
            assert compiled.gettext(message.id) == message.string, "run: make texts"


def test_every_translation_is_of_a_text_of_the_program_and_has_its_fields(texts: ModuleType) -> None:
    known = {message.id for message in texts.collected()}
    for message in texts.translated():
        if message.id:
            assert message.id in known, "run: make texts"
            # A plural of English, as in 'it declares' and 'they declare', may need no field of its own.
            assert set(fields(message.string)) <= set(fields(message.id)), message.id


def test_the_catalogue_has_nearly_every_text(texts: ModuleType) -> None:
    translated = {message.id for message in texts.translated() if message.string}
    missing = [message.id for message in texts.collected() if message.id and message.id not in translated]
    assert len(missing) < 0.25 * len(translated), missing


@pytest.mark.parametrize("format_", ["table", "md"])
def test_a_table_is_in_chinese_but_for_names_and_data(format_: str) -> None:
    with speaking("zh"):
        text = formatted(RUN, format_)
    sentences = [
        line for line in text.splitlines() if re.search(r"[a-z]+ (?:the|of|is|was|and) [a-z]+", line)
    ]
    assert sentences == []
    assert "至少一次，服务器重启后仍在" in text


def test_the_page_is_in_chinese_and_says_so() -> None:
    with speaking("zh"):
        page = make_page([gather(RUN)])
    assert '<html lang="zh">' in page
    lines = [
        line for line in Read(page).text.splitlines() if re.search(r" (?:the|of|is|was|and) [a-z]+", line)
    ]
    assert lines == []


def test_data_for_programs_is_the_same_in_every_language(tmp_path: Path) -> None:
    from ipclab.cli.options import emit

    for format_ in ("json", "csv"):
        for language in ("en", "zh"):
            emit(RUN, format_, tmp_path / f"{language}.{format_}", language=language)  # type: ignore[arg-type]
        assert (tmp_path / f"en.{format_}").read_bytes() == (tmp_path / f"zh.{format_}").read_bytes()


def test_a_plain_installation_has_the_compiled_catalogue() -> None:
    builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is part of the extra 'test'")
    builder = builders.WheelBuilder(str(CHECKOUT))
    included = {file.relative_path for file in builder.recurse_included_files()}
    assert "src/ipclab/locale/zh/LC_MESSAGES/ipclab.mo" in included


def test_every_reason_why_a_fault_does_not_apply_is_translated() -> None:
    kinds = [kind_of(Variant.parse(text)) for text in STANDARD_CHANNELS]
    faults = [
        FaultSpec(action=action, target=target, moment=moment)
        for action in ACTIONS
        for target in TARGETS
        for moment in MOMENTS
    ]
    reasons = {reason(fault, kind) for kind in kinds for fault in faults} - {""}
    assert len(reasons) > 8
    with speaking("zh"):
        assert [one for one in reasons if tr(one) == one] == []

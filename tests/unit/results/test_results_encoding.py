"""Results of plain bytes look as they did before there were payloads."""

from __future__ import annotations

import msgspec
import pytest

from ipclab.report.json import Report
from ipclab.results.encoding import LATER, encode
from ipclab.results.reader import parse
from ipclab.results.rows.build import rows
from tests.support.documents import CHECKOUT
from tests.support.records import Make


def test_the_later_fields_are_only_written_where_they_say_something() -> None:
    make = Make()
    plain = make.stream("queue", 1000.0)
    sent = make.stream("queue", 1000.0, spec={"payload": "dict", "codec": "json"})
    result = make.result([plain, sent])
    report = Report(**{n: getattr(result, n) for n in result.__struct_fields__}, rows=rows(result.trials))
    text = encode(report)
    whole = msgspec.json.decode(text)
    (first, second), lines = whole["trials"], whole["rows"]
    for names, found in ((LATER[type(plain.spec)], first["spec"]), (LATER[type(plain)], first)):
        assert not {*names} & found.keys()
    assert {"payload", "codec"} <= second["spec"].keys()
    assert ["payload" in row for row in lines] == [False, True]
    assert parse(text, "it") == result


def test_a_stored_result_of_plain_bytes_is_written_again_as_it_was() -> None:
    data = (CHECKOUT / "docs" / "run" / "comparison" / "result.json").read_bytes()
    assert msgspec.json.decode(encode(parse(data, "it"))) == msgspec.json.decode(data)


@pytest.mark.parametrize("struct", LATER, ids=lambda struct: struct.__name__)
def test_a_later_field_has_a_default_and_no_other_field_is_left_out(struct: type[msgspec.Struct]) -> None:
    defaults = {field.name for field in msgspec.structs.fields(struct) if not field.required}
    assert {*LATER[struct]} <= defaults

"""Every kind of payload, by every codec that carries it: what arrives is what was sent, or is damaged."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ipclab.errors import UnknownNameError, UsageError
from ipclab.host import segments
from ipclab.payload import codecs
from ipclab.payload.kinds import kind_of
from ipclab.payload.seal import DAMAGED, Opener, contents, sealer
from ipclab.payload.sizes import Size, SizeRange
from ipclab.trial.message import HEADER_BYTES, Stamper

SEED = "1/ipclab:unit:0"
KINDS: dict[str, Size] = {
    "bytes": SizeRange(40, 5000),
    "dict": SizeRange(500, 20_000),
    "json": 1000,
    "dataclass": 3000,
    "ndarray:float64": 4096,
    "ndarray:int16": SizeRange(64, 9000),
}
PREFIX = "ipclab-unit0pay-shm-"


def headers(count: int = 6, producer: int = 1) -> list[bytes]:
    return Stamper(producer, b"", count, 77).stamp(0, count)


def carried(codec: str, payload: str) -> bool:
    try:
        codecs.require(codec, payload)
    except UsageError:
        return False
    return True


CARRIED = [(kind, codec) for kind in KINDS for codec in codecs.CODECS if carried(codec, kind)]


def test_the_parts_agree_on_the_length_of_a_header() -> None:
    from ipclab.payload import seal

    assert seal.HEADER_BYTES == HEADER_BYTES


@pytest.mark.parametrize(("payload", "codec"), CARRIED)
def test_what_a_codec_carries_arrives_as_it_was_sent(payload: str, codec: str) -> None:
    made = codecs.make(codec, payload, f"{PREFIX}a")
    seal = sealer(payload, KINDS[payload], SEED, 1, in_place=True)
    opener = Opener(payload, KINDS[payload], SEED, 2)
    for header in headers():
        body = made.encode(seal(header))
        assert type(body) is bytes
        message = made.decode(body)
        assert opener.header_of(message) == header
        message = None
        if made.release is not None:
            made.release()
    assert segments.sweep(PREFIX) == 0


@pytest.mark.parametrize("payload", KINDS)
def test_an_object_that_travels_as_it_is_does_not_change_with_the_next_message(payload: str) -> None:
    seal = sealer(payload, KINDS[payload], SEED, 0, in_place=False)
    messages = [seal(header) for header in headers(producer=0)]
    opener = Opener(payload, KINDS[payload], SEED, 1)
    assert [opener.header_of(pickle.loads(pickle.dumps(m))) for m in messages] == headers(producer=0)


def edited(place: str, value: Any) -> Callable[[Any], Any]:
    def edit(message: Any) -> Any:
        message[place] = value
        return message

    return edit


def flipped(at: int) -> Callable[[Any], Any]:
    def flip(array: Any) -> Any:
        array.view(np.uint8)[at] ^= 1
        return array

    return flip


def renamed(job: Any) -> Any:
    job.customer.name += "x"
    return job


DAMAGES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("dict", "a value", edited("attempt", 2)),
    ("dict", "a type", edited("attempt", 1.0)),
    ("dict", "a boolean in place of a number", edited("attempt", True)),
    ("dict", "one more field", edited("extra", 1)),
    ("dict", "no dict", list),
    ("json", "a character", lambda text: text[:-3] + "?" + text[-2:]),
    ("json", "cut off", lambda text: text[:-1]),
    ("json", "bytes", str.encode),
    ("dataclass", "a nested value", renamed),
    ("dataclass", "another class", lambda job: (job.stamp,)),
    ("ndarray:float64", "a bit in the middle", flipped(2000)),
    ("ndarray:float64", "a bit of the first stamp", flipped(3)),
    ("ndarray:float64", "a bit of the last stamp", flipped(-3)),
    ("ndarray:float64", "the dtype", lambda array: array.view(np.int64)),
    ("ndarray:float64", "the shape", lambda array: array.reshape(2, -1)),
    ("ndarray:float64", "the length", lambda array: array[:-1]),
    ("ndarray:float64", "zeros", lambda array: array * 0),
    ("bytes", "a bit", lambda body: body[:-1] + bytes([body[-1] ^ 1])),
    ("bytes", "one byte more", lambda body: body + b"x"),
]


@pytest.mark.parametrize(
    ("payload", "damage"), [(p, d) for p, _, d in DAMAGES], ids=[f"{p}: {what}" for p, what, _ in DAMAGES]
)
def test_a_changed_object_is_damaged_and_never_another_message(
    payload: str, damage: Callable[[Any], Any]
) -> None:
    (header,) = headers(1)
    message = pickle.loads(pickle.dumps(sealer(payload, KINDS[payload], SEED, 1, in_place=False)(header)))
    opener = Opener(payload, KINDS[payload], SEED, 2)
    try:
        found = opener.header_of(damage(message))
    except Exception:  # noqa: BLE001 - the contract: an end of a channel takes any exception for damage
        found = DAMAGED
    # A header with a bit changed has a wrong checksum, which is verified after the window.
    assert found in (DAMAGED, header[:3] + bytes([header[3] ^ 1]) + header[4:])
    assert found != header


def test_the_content_of_another_message_under_this_sequence_is_damaged() -> None:
    """As where a sender fills its array anew for the next message before the last one was pickled."""
    size = SizeRange(4096, 4097)
    first, second = headers(2)
    opener = Opener("ndarray:uint8", size, SEED, 2)
    message = sealer("ndarray:uint8", size, SEED, 1, in_place=False)(first)
    other = sealer("ndarray:uint8", size, SEED, 1, in_place=False)(second)
    message[20:-20] = other[20 : len(message) - 20]
    assert opener.header_of(message) == DAMAGED


def test_contents_differ_between_producers_and_trials_and_not_between_processes() -> None:
    kind = kind_of("dict")
    checksums = [
        contents(kind, 1000, seed, producer)[0].checksum
        for seed, producer in (("a", 0), ("a", 0), ("a", 1), ("b", 0))
    ]
    assert len(set(checksums)) == 3
    assert checksums[0] == checksums[1]


@pytest.mark.parametrize("size_bytes", [420, 500, 4096, 50_000])
def test_a_job_has_the_size_that_was_asked_for_as_json(size_bytes: int) -> None:
    message = sealer("dict", size_bytes, SEED, 0, in_place=True)(headers(1)[0])
    assert len(codecs.make("json", "dict", "").encode(message)) == size_bytes


def test_the_lines_of_a_file_are_sampled_and_any_change_of_one_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"a": 1}\n\n[1, null]\n"text"\n')
    payload = f"file:{path}"
    opener = Opener(payload, SizeRange(6, 9), SEED, 1)
    seal = sealer(payload, SizeRange(6, 9), SEED, 0, in_place=False)
    sent = headers(3, producer=0)
    json = codecs.make("json", payload, "")
    values = [seal(header) for header in sent]
    assert sorted(str(value[1]) for value in values) == ["[1, None]", "text", "{'a': 1}"]
    assert [opener.header_of(json.decode(json.encode(value))) for value in values] == sent
    assert opener.header_of([values[0][0], "another"]) == DAMAGED


@pytest.mark.parametrize(
    ("text", "says"),
    [("{1}\n", "line 1 of .* is no JSON"), ("\n", "has no line"), (None, "cannot read")],
)
def test_a_file_that_has_no_messages_is_refused_in_one_line(
    tmp_path: Path, text: str | None, says: str
) -> None:
    path = tmp_path / "jobs.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=says):
        Opener(f"file:{path}", 100, SEED, 1)


@pytest.mark.parametrize("text", ["ndarray:complex128", "ndarray:no", "ndarray:U4", "ndarray:O", "dict:x"])
def test_a_payload_that_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        kind_of(text)


def test_an_unknown_payload_or_codec_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="dict"):
        kind_of("dct")
    with pytest.raises(UnknownNameError, match="pickle5"):
        codecs.require("pickle4", "dict")
    with pytest.raises(UsageError, match="the codec shm does not carry the payload dict"):
        codecs.require("shm", "dict")


def test_pickle5_copies_no_array_when_it_decodes() -> None:
    made = codecs.make("pickle5", "ndarray:float64", "")
    body = made.encode(np.arange(1000.0))
    array = made.decode(body)
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_a_dataframe_without_pandas_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"pip install 'ipclab\[payload\]'"):
        kind_of("dataframe")

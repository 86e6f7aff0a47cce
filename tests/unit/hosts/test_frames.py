"""Messages over a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.hosts.frames import Reader, framed


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_messages_arrive_whole_however_the_stream_is_cut(messages: list[bytes], piece: int) -> None:
    stream = b"".join(map(framed, messages))
    reader = Reader()
    found = [m for at in range(0, len(stream), piece) for m in reader.feed(stream[at : at + piece])]
    assert found == messages


def test_a_text_in_place_of_a_message_is_noticed() -> None:
    with pytest.raises(ValueError, match="a message of"):
        list(Reader().feed(b"Welcome to this machine"))

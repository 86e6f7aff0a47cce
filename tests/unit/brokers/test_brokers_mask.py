from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.brokers import mask


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:secret@host:6379/0", "redis://host:6379/0"),
        ("amqp://guest:guest@host/%2F", "amqp://host/%2F"),
        ("rediss://user:a/b#c@d@host:1/0", "rediss://***"),
        ("redis://host/0?password=secret&db=1", "redis://host/0?db=1"),
        ("memcached://host:11211", "memcached://host:11211"),
        ("nothing like a URL", "***"),
    ],
)
def test_only_what_is_known_to_be_harmless_is_shown(url: str, shown: str) -> None:
    assert mask(url) == shown


@given(password=st.text(min_size=1), user=st.text(alphabet="abc", max_size=3))
def test_no_password_survives_whatever_it_is_made_of(password: str, user: str) -> None:
    marked = f"<{password}>"
    assert marked not in mask(f"amqp://{user}:{marked}@host:5672/%2F")

"""A declared time to live excuses a loss only in a trial that lasted as long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.host.clock import now_ns
from ipclab.trial import expiry, judge

PLAIN = channel_class(Variant("queue"))(Site(namespace="ipclab:test")).guarantees
EXPIRING = replace(PLAIN, may_lose=PLAIN.may_lose | {"expired"})
COUNTS = {"lost": 3}


@pytest.mark.parametrize(
    ("guarantees", "after_s", "ago_s", "excused"),
    [
        (EXPIRING, 1.0, 2.0, True),
        (EXPIRING, 60.0, 2.0, False),
        (EXPIRING, None, 2.0, False),
        (PLAIN, 1.0, 2.0, False),
    ],
)
def test_a_message_expires_only_after_its_time_to_live(guarantees, after_s, ago_s, excused):
    expired = expiry.explains(guarantees, after_s, now_ns() - int(ago_s * 1e9))
    assert expired is excused
    broken = judge.promise(COUNTS, guarantees, "overload", fault=False, expired=expired)
    assert [one.kind for one in broken] == ([] if excused else ["lost"])


def test_nothing_has_expired_before_anything_was_sent():
    assert not expiry.explains(EXPIRING, 0.001, expiry.first_ns({}) + 10**9)
    assert expiry.first_ns({7: 30, 8: 20}) == 20

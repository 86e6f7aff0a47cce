"""The programs that ``ipclab choose`` shows, on real servers: in every mode, each job is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import kinds
from ipclab.choose import snippets
from ipclab.experiment import MORE_CHANNELS, STANDARD_CHANNELS
from tests.conftest import BrokerOf
from tests.unit.choose.test_choose_snippets import run

SERVED = [
    text
    for text in STANDARD_CHANNELS + MORE_CHANNELS
    if (variant := Variant.parse(text)).name in snippets.FILES and channel_class(variant).broker is not None
]


@pytest.mark.parametrize("backend", SERVED)
def test_the_program_does_every_job(backend: str, private_broker_of: BrokerOf, tmp_path: Path) -> None:
    variant = Variant.parse(backend)
    kind = channel_class(variant).broker
    assert kind is not None
    program = snippets.text(variant)
    assert program is not None
    # A queue of RabbitMQ keeps the type that it was declared with.
    program = program.replace('"jobs', f'"jobs-{variant.name}-{len(variant.options)}')
    environ = {**os.environ, kinds.get(kind).variables[0]: private_broker_of(kind).url}
    assert run(program, tmp_path, environ) == ["first job", "second job"]

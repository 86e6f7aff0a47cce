"""No secret of a URL, whatever its form, is told, stored or passed on to a child: drawn by hypothesis.

``tests/cli/test_secrets_of_urls.py`` has the same of the whole program, for some forms.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from ipclab import cli
from ipclab.backends.registry import Variant
from ipclab.brokers import kinds
from ipclab.brokers.outlook import describe
from ipclab.brokers.url import UrlBroker, connect, kept_from_children
from ipclab.host import text
from ipclab.trial import serving
from ipclab.trial.clean import cleaned
from ipclab.trial.record import Safety, TrialRecord
from ipclab.trial.spec import TrialSpec
from tests.support.secrets import FORMS, QUOTE, SECRETS, readable

NOBODY = "127.0.0.1:1"
KIND_OF = {"redis": "redis", "rediss": "redis", "unix": "redis", "amqp": "rabbitmq", "amqps": "rabbitmq"}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    text._in_use.clear()


def stored(url: str, kind: str, echo: str) -> str:
    """What is kept of a trial in which every foreign text echoes a secret."""
    said = f"unknown command 'HELLO', with args beginning with: '3' 'AUTH' '{echo}'"
    record = TrialRecord(
        spec=TrialSpec(workload="stream", backend=Variant("redis-list")),
        began_utc="2026-01-01T00:00:00+00:00",
        outcome="failed",
        reason=said,
        stuck={"producer-0": said},
        broker=serving.facts(UrlBroker(kind, url, said, "URL")),
        safety=Safety(
            model="delivery",
            verdict="unknown",
            refused=said,
            finding=said,
            hung={"consumer-0": said},
            gave_up={"consumer-0": said},
            counterexample=said,
        ),
        side_effects=[said],
    )
    return msgspec.json.encode(cleaned(record)).decode()


def told(kind: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What commands say of a server that the environment names and that cannot be used."""
    said = describe(kind)
    try:
        connect(kind)
    except Exception as error:  # noqa: BLE001 - the program tells every one
        cli._explain(error)
    out, err = capfd.readouterr()
    return said + out + err


def environment_of_children() -> str:
    with kept_from_children():
        return subprocess.run(["env"], capture_output=True, check=True).stdout.decode()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS, form=st.sampled_from(sorted(FORMS)), quoting=st.sampled_from(sorted(QUOTE)))
@example(secret="Tr0ub/dor:&3", form="bare", quoting="raw")
@example(secret="Top/se:cret 9é", form="ssl_options", quoting="json of json")
def test_no_secret_of_a_url_is_told_stored_or_passed_on(
    capfd: pytest.CaptureFixture[str], secret: str, form: str, quoting: str
) -> None:
    url = FORMS[form](secret, NOBODY)
    kind = KIND_OF.get(url.partition("://")[0], "memcached")
    variable = kinds.get(kind).variables[0]
    with pytest.MonkeyPatch.context() as patch:
        for name in kinds.variables():
            patch.delenv(name, raising=False)
        patch.setenv(variable, FORMS["password"]("another", NOBODY) if kind == "redis" else "nothing")
        nothing_secret = environment_of_children() + stored("", kind, "") + told(kind, capfd)
        patch.setenv(variable, url)
        text._in_use.clear()
        said, passed_on = told(kind, capfd), environment_of_children()
        kept = stored(url, kind, QUOTE[quoting](secret))
    assert variable in said or kinds.get(kind).title in said
    # What is there without it says nothing of it.
    assume(not readable(secret, nothing_secret))
    assert not readable(secret, said)
    assert not readable(secret, passed_on)
    assert not readable(secret, kept)

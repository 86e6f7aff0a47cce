"""The boundary for foreign text: no secret of a URL in any form, and no character that steers a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipclab.errors import ContractError
from ipclab.host import text
from ipclab.host.text import clean, escaped, keep_secret, line_of, masked, secrets_of, shown_url
from tests.support.secrets import FORMS, QUOTE, SECRETS, readable

HOSTS = st.sampled_from(["localhost:6379", "10.0.0.7", "[::1]:5672", "broker.example:5671"])


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    text._in_use.clear()


@given(
    secret=SECRETS,
    host=HOSTS,
    form=st.sampled_from(sorted(FORMS)),
    quoting=st.sampled_from(sorted(QUOTE)),
    around=st.sampled_from(["{}", "unknown command 'HELLO', with args '3' 'AUTH' '{}'", "x{}y", "({})"]),
)
@example(secret="Topsecret9", host="localhost:6379", form="password", quoting="raw", around="x{}y")
@example(secret="p/a@b:c#d?e", host="localhost:6379", form="bare", quoting="raw", around="{}")
@example(secret='it\'s "so"', host="localhost:6379", form="password", quoting="json of json", around="{}")
def test_no_secret_of_any_url_is_in_an_echo_of_it(
    secret: str, host: str, form: str, quoting: str, around: str
) -> None:
    url = FORMS[form](secret, host)
    echo = around.format(QUOTE[quoting](secret))
    text._in_use.clear()
    keep_secret(url)
    assert not readable(secret, clean(echo))
    assert not readable(secret, clean(f"cannot connect to {url}"))
    assert clean(clean(echo)) == clean(echo)


@given(secret=SECRETS.filter(lambda s: s not in "localhost broker.example redis amqps memcached"), host=HOSTS)
@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_url_is_shown_without_any_secret(form: str, secret: str, host: str) -> None:
    shown = shown_url(FORMS[form](secret, host))
    assert not readable(secret, shown)
    assert shown.partition("://")[0] in ("redis", "rediss", "unix", "amqp", "amqps", "memcached")
    assert text.MASK in shown or host in shown or "/nonexistent/redis.sock" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@localhost:6379/2", "redis://localhost:6379/2"),
        ("redis://hunter2@localhost", "redis://localhost"),
        ("rediss://u:pw@h:1/0?ssl_cert_reqs=none", "rediss://h:1/0"),
        ("amqp://guest:guest@h:5672/%2Fstage", "amqp://h:5672/%2Fstage"),
        ("amqps://h/?ssl_options=%7B%27password%27%3A+%27hunter2%27%7D", "amqps://h/"),
        ("unix:///run/redis.sock?db=3&password=x", "unix:///run/redis.sock?db=3"),
        ("memcached://h:11211", "memcached://h:11211"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
        ("redis://:a/b@h:6379", "redis://***"),
        ("redis://:a@b@h:6379", "redis://***"),
        ("redis://h/0?password=a@b", "redis://***"),
        ("redis://h/x/secret", "redis://h"),
        ("redis://h:99999/0", "redis://***"),
        ("hunter2", "***"),
        ("redis://h\x1b[31m/0", "redis://***"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_secret_that_a_server_cuts_off_is_masked_as_far_as_it_shows() -> None:
    keep_secret("redis://:abcdefghijklmnopqrstuvwxyz@h")
    assert clean("args beginning with: 'abcdefghijklmnop") == "args beginning with: '***"


def test_words_of_the_lab_stay_readable_beside_short_secrets_and_harmless_options() -> None:
    keep_secret("redis://:a@h/0?ssl_cert_reqs=none&db=1&socket_timeout=5")
    assert clean("a message of 5 bytes had not arrived") == "*** message of 5 bytes had not arrived"
    assert clean("none of 1000 came") == "none of 1000 came"


def test_urls_that_nobody_told_of_lose_their_login_too() -> None:
    assert clean("tried amqp://u:hunter2@h/, in vain") == "tried amqp://h/, in vain"
    assert clean("see https://redis.io/docs") == "see https://redis.io/docs"


@given(said=st.text())
def test_no_character_that_steers_a_terminal_is_left(said: str) -> None:
    for lines in (False, True):
        kept = set("\n\t" if lines else "")
        shown = escaped(said, lines=lines)
        assert {unicodedata.category(c) for c in set(shown) - kept}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
        shown.encode()
        assert escaped(shown, lines=lines) == shown


@given(said=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"])))
def test_harmless_text_is_left_as_it_is(said: str) -> None:
    assert escaped(said) == said


@given(url=st.text(), said=st.text())
def test_any_url_and_any_text_is_taken(url: str, said: str) -> None:
    secrets = secrets_of(url)
    assert isinstance(masked(said, secrets), str)
    assert isinstance(shown_url(url), str)


class Nasty(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_an_error_is_one_line() -> None:
    assert line_of(OSError("two\nlines \x1b[2J")) == "OSError: two lines \\x1b[2J"
    assert line_of(ContractError("odd: wrong")) == "odd: wrong"
    assert line_of(SystemExit(0)) == "SystemExit: it called sys.exit(0)"
    assert line_of(KeyError()) == "KeyError"
    assert line_of(Nasty()) == "Nasty"


def test_a_long_error_is_cut_after_its_secrets_are_masked() -> None:
    keep_secret("redis://:hunter2hunter2@localhost")
    text = "x" * 490 + "hunter2hunter2" + "y" * 100_000
    line = line_of(ValueError(text))
    assert len(line) < 600
    assert "hunter2" not in line
    assert line.endswith(" more characters)")
    assert line_of(ValueError("x" * 100)) == "ValueError: " + "x" * 100

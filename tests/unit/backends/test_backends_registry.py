"""The registry: names, options, and backends that other packages bring."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.backends import plugins, registry
from ipclab.backends.base import Channel, Counter, Site
from ipclab.backends.declared import check_class
from ipclab.backends.registry import Variant, channel_class, channel_names, counter_class, counter_names
from ipclab.errors import UnknownNameError, UsageError

words = st.from_regex(r"[a-z][a-z_-]{0,10}", fullmatch=True)
variants = st.builds(Variant, words, st.dictionaries(words, words | st.integers(0, 10**9), max_size=4))


@given(variant=variants)
def test_what_is_shown_of_a_variant_can_be_typed_again(variant: Variant) -> None:
    assert Variant.parse(str(variant)) == variant


@given(text=st.text(max_size=30) | st.text(alphabet=":=,\nab1", max_size=10))
def test_any_text_is_a_variant_or_a_usage_error_in_one_line(text: str) -> None:
    refusals = []
    try:
        Variant.parse(text)
    except UsageError as error:
        refusals.append(str(error))
    assert all(line.startswith("--backend") and "\n" not in line for line in refusals)


@pytest.mark.parametrize("text", ["pipe:", "pipe:x", "pipe:x=", "pipe:=1", "pipe:x=1,", "pipe:x=1,,y=2"])
def test_malformed_options_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write NAME:option=value"):
        Variant.parse(text)


def test_an_option_that_is_set_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="prefetch is set twice"):
        Variant.parse("rabbitmq:prefetch=1,prefetch=2")


def test_whole_numbers_are_numbers() -> None:
    assert Variant.parse("rabbitmq:ack=manual,prefetch=10").options == {"ack": "manual", "prefetch": 10}


def test_an_unknown_channel_gets_the_nearest_names() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no channel is called 'redis-steam'; did you mean redis-stream"
    ):
        channel_class(Variant("redis-steam"))


def test_an_unknown_counter_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="no counter is called 'reddis'; did you mean redis"):
        counter_class(Variant("reddis"))


def test_an_unknown_option_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'prefech'; did you mean prefetch"):
        channel_class(Variant("rabbitmq", {"prefech": 1}))


def test_a_value_outside_the_choices_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"ack must be one of .*auto.*, not 'sometimes'"):
        channel_class(Variant("rabbitmq", {"ack": "sometimes"}))


@pytest.mark.parametrize("value", [0, -1, "many"])
def test_a_number_that_is_none_above_zero_is_refused(value: str | int) -> None:
    with pytest.raises(UsageError, match="prefetch must be a whole number above 0"):
        channel_class(Variant("rabbitmq", {"prefetch": value}))


NUMBERED = """
from dataclasses import replace
from ipclab.backends.base import Option
from ipclab.backends.registry import channel_class, Variant
class Numbered(channel_class(Variant("queue"))):
    name = "{name}"
    options = (Option("qos", 1, "quality", (0, 1, 2)), Option("limit", 0, "0 for none", least=0))
"""


def test_an_option_takes_numbers_as_choices_and_may_allow_zero(install: Install) -> None:
    install("ipclab_other_backend:Numbered", module=NUMBERED)
    asked = Variant.parse("other:qos=0,limit=0")
    assert channel_class(asked)(Site(namespace="ipclab:test"), **asked.options).chosen == {
        "qos": 0,
        "limit": 0,
    }
    with pytest.raises(UsageError, match="qos must be one of 0, 1, 2, not 3"):
        channel_class(Variant.parse("other:qos=3"))
    with pytest.raises(UsageError, match="limit must be a whole number of 0 or more, not '-1'"):
        channel_class(Variant.parse("other:limit=-1"))


def test_the_package_of_a_backend_is_known_by_its_entry_point(install: Install) -> None:
    install("ipclab_other_backend:Numbered", module=NUMBERED)
    assert plugins.package_of(channel_class(Variant("other"))) == ("ipclab-other",)
    assert plugins.package_of(channel_class(Variant("queue"))) == ()


@pytest.mark.parametrize("name", channel_names())
def test_every_listed_channel_is_there_under_its_own_name(name: str) -> None:
    found = channel_class(Variant(name))
    assert issubclass(found, Channel)
    assert found.name == name
    assert found.summary


@pytest.mark.parametrize("name", counter_names())
def test_every_listed_counter_is_there_and_has_disciplines(name: str) -> None:
    found = counter_class(Variant(name))
    assert issubclass(found, Counter)
    assert found.name == name
    discipline = next(option for option in found.options if option.name == "discipline")
    assert discipline.default in discipline.choices


@pytest.mark.parametrize("name", [*channel_names(), *counter_names()])
def test_the_default_of_every_option_is_a_value_that_it_takes(name: str) -> None:
    for names, find in ((channel_names, channel_class), (counter_names, counter_class)):
        if name in names():
            for option in find(Variant(name)).options:
                find(Variant(name, {option.name: option.default}))


MODULE = """
from ipclab.backends.base import Channel
from ipclab.backends.local.queue import SimpleQueueChannel


class Other(SimpleQueueChannel):
    name = "{name}"


class NoBackend:
    name = "nothing"


VALUE = 3
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with one entry point where Python finds it, until the end of the test."""

    def forget() -> None:
        registry.load.cache_clear()
        registry._channels.cache_clear()
        registry._counters.cache_clear()
        importlib.invalidate_caches()

    def put(target: str, *, name: str = "other", module: str = MODULE) -> None:
        info = tmp_path / "ipclab_other-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-other\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ipclab.backends]\n{name} = {target}\n")
        (tmp_path / "ipclab_other_backend.py").write_text(module.replace("{name}", name))
        monkeypatch.syspath_prepend(str(tmp_path))
        forget()

    yield put
    sys.modules.pop("ipclab_other_backend", None)
    monkeypatch.undo()
    forget()


def test_a_backend_of_another_package_is_listed_last_and_can_be_used(install: Install) -> None:
    install("ipclab_other_backend:Other")
    assert channel_names()[-1] == "other"
    assert "other" not in counter_names()
    assert channel_class(Variant("other")).__name__ == "Other"
    assert not registry.is_own("other")
    assert registry.is_own("pipe")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("ipclab_other_backend:Missing", "cannot be imported"),
        ("ipclab_no_such_module:Other", "cannot be imported"),
        ("ipclab_other_backend:NoBackend", "is no Channel, Counter, Register or Mutex class"),
        ("ipclab_other_backend:VALUE", "is no Channel, Counter, Register or Mutex class"),
    ],
)
def test_a_package_whose_entry_point_is_no_backend_is_listed_as_broken_and_nothing_else_is_harmed(
    install: Install, target: str, line: str
) -> None:
    install(target)
    (broken,) = registry.broken_plugins()
    assert line in broken.sentence
    assert target in broken.sentence
    assert "\n" not in broken.sentence
    assert channel_class(Variant("pipe")).name == "pipe"


@pytest.mark.parametrize(
    "module",
    ["raise RuntimeError('two\\nlines')", "def broken(:", "import no_such_thing", "raise SystemExit(0)"],
)
def test_a_package_that_breaks_on_import_is_named_in_one_line(install: Install, module: str) -> None:
    install("ipclab_other_backend:Other", module=module)
    assert "other" not in channel_names()
    with pytest.raises(
        UsageError, match=r"the backend other .* cannot be imported: .*repair or uninstall"
    ) as caught:
        channel_class(Variant("other"))
    assert "\n" not in str(caught.value)


def test_a_package_that_changes_the_process_on_import_is_told_and_never_loaded(install: Install) -> None:
    install("ipclab_other_backend:Other", module=MODULE + "\nimport os\nos.chdir('/')\n")
    before = os.getcwd()
    (broken,) = registry.broken_plugins()
    assert "it changed the working folder of its process to /; repair" in broken.sentence
    assert (os.getcwd(), "ipclab_other_backend" in sys.modules) == (before, False)


def test_a_backend_that_takes_a_name_of_the_labs_own_is_refused(install: Install) -> None:
    install("ipclab_other_backend:Other", name="pipe")
    (broken,) = registry.broken_plugins()
    assert "takes the name pipe, which is ipclab's own" in broken.reason
    assert channel_class(Variant("pipe")).__module__.startswith("ipclab.")


def test_of_two_packages_with_one_name_the_second_is_refused(install: Install, tmp_path: Path) -> None:
    second = tmp_path / "ipclab_second-1.0.dist-info"
    second.mkdir()
    (second / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-second\nVersion: 1.0\n")
    (second / "entry_points.txt").write_text("[ipclab.backends]\nsecond = ipclab_other_backend:Second\n")
    install(
        "ipclab_other_backend:Other",
        module=MODULE + "\n\nclass Second(SimpleQueueChannel):\n    name = 'other'\n",
    )
    (broken,) = registry.broken_plugins()
    assert "takes the name other, as another package does" in broken.reason
    assert channel_names().count("other") == 1


DECLARING = """
from dataclasses import replace

from ipclab.backends.base import Guarantees, Option
from ipclab.backends.local.queue import SimpleQueueChannel


class Other(SimpleQueueChannel):
    name = "other"
    {line}
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("guarantees = replace(GOOD, order='total')", "order must be one of per-producer, none, not 'total'"),
        ("guarantees = replace(GOOD, delivery='exactly-once')", "delivery must be one of"),
        ("guarantees = replace(GOOD, may_lose={'overlaod'})", "may_lose must be one of"),
        ("guarantees = replace(GOOD, may_lose='overload')", "may_lose must be a frozenset"),
        ("guarantees = replace(GOOD, max_message_bytes=0)", "max_message_bytes must be None or"),
        ("guarantees = replace(GOOD, max_message_bytes=1e6)", "max_message_bytes must be None or"),
        ("guarantees = replace(GOOD, polling=1)", "polling must be one of False, True"),
        ("guarantees = {'delivery': 'at-most-once'}", "guarantees must be a Guarantees object"),
        ("guarantees = property(lambda self: 1 / 0)", "its declaration raises ZeroDivisionError"),
        ("name = 'a:b'", "its name must be letters"),
        ("name = 5", "its name must be letters"),
        ("name = 'a\\x1b[31mb'", "its name must be letters"),
        ("broker = 5", "broker must be None or the name of a kind"),
        ("max_producers = 0", "max_producers must be None or"),
        ("max_consumers = True", "max_consumers must be None or"),
        ("windowed = 'yes'", "windowed must be True or False"),
        ("carries_objects = True", "carries_objects must be '', 'at once' or 'later'"),
        ("summary = None", "summary must be one line"),
        ("summary = 'two\\nlines'", "summary must be one line"),
        ("summary = 'red \\x1b[31m'", "summary must be one line"),
        ("impossible_moments = {'mid-message': 5}", "impossible_moments must be a dict"),
        ("impossible_moments = ('mid-message',)", "impossible_moments must be a dict"),
        ("replaceable = 'no'", "replaceable must be True or False"),
        ("options = [Option('a', 1, 'x')]", "options must be a tuple of Option"),
        ("options = (Option('a', 1, 'x'), Option('a', 2, 'x'))", "two options are called a"),
        ("options = (Option('a,b', 1, 'x'),)", "the name of an option"),
        ("options = (Option('a', 'no', 'x', ('yes',)),)", "default of the option a must be one of yes"),
        ("options = (Option('a', True, 'x'),)", "default of the option a must be a whole number"),
        ("options = (Option('a', 1, 'x', (1, '2')),)", "must be a tuple of strings or of whole numbers"),
        ("options = (Option('a', '1', 'x', (0, 1)),)", "default of the option a must be one of 0, 1"),
        ("options = (Option('a', 0, 'x', (), -1),)", "least of the option a must be a whole number of 0 or"),
        ("options = (Option('a', 0, 'x', (), 2),)", "must be a whole number of 2 or more, not 0"),
        ("libraries = 'pyzmq'", "libraries must be a tuple of names"),
        ("guarantees = replace(GOOD, may_lose={'expired'})", "expires_after_s and the loss cause 'expired'"),
        ("expires_after_s = 5.0", "expires_after_s and the loss cause 'expired'"),
        ("expires_after_s = 0", "expires_after_s must be None or a number"),
        ("guarantees = replace(GOOD, log_offset='client')", "log_offset must be one of"),
        ("guarantees = replace(GOOD, log_offset='server')", "declares both log_offset and log_retention"),
        (
            "guarantees = replace(GOOD, log_offset='server', log_retention='age')",
            "log_retention 'age' needs 'expired' in may_lose",
        ),
        ("most_in_flight = 0", "most_in_flight must be None or"),
        ("redelivers_after_s = float('nan')", "redelivers_after_s must be a number of seconds"),
        ("def __init__(self, site, **options): raise SystemExit(3)", "it called sys.exit(3)"),
    ],
)
def test_a_wrong_declaration_is_told_and_the_backend_is_left_out(
    install: Install, line: str, said: str
) -> None:
    good = (
        "GOOD = Guarantees(delivery='at-most-once', may_lose=frozenset(), order='none', durability='none', "
        "confirm='written', reach='host')"
    )
    install("ipclab_other_backend:Other", module=DECLARING.replace("{line}", f"{good}\n    {line}"))
    (broken,) = registry.broken_plugins()
    assert said in broken.sentence
    assert "\n" not in broken.sentence
    assert "other" not in channel_names()


FACES = [
    *((registry.channel_class, name) for name in channel_names()),
    *((registry.counter_class, name) for name in counter_names()),
    *((registry.register_class, name) for name in registry.register_names()),
    *((registry.mutex_class, name) for name in registry.mutex_names()),
]


@pytest.mark.parametrize(("find", "name"), FACES)
def test_the_labs_own_backends_declare_only_what_the_contract_allows(
    find: Callable[[Variant], type], name: str
) -> None:
    check_class(find(Variant(name)))

"""docs/backends.md says what the code declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipclab.backends import registry
from ipclab.backends.base import Channel, SharedState, Site
from ipclab.backends.registry import Variant
from ipclab.experiment import MORE_CHANNELS, STANDARD_CHANNELS, UNSAFE_CHANNELS
from tests.support.documents import CHECKOUT, section, tables

PAGE = (CHECKOUT / "docs" / "backends.md").read_text()
SITE = Site(namespace="ipclab:docs")


def own(names: Sequence[str]) -> list[str]:
    return [name for name in names if registry.is_own(name)]


def largest(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "memory"
    if size_bytes < 2**20:
        return "just under 1 MiB" if size_bytes > 0.99 * 2**20 else f"{size_bytes // 1000} kB"
    return f"{round(size_bytes / 2**30)} GiB" if size_bytes >= 2**30 else f"{size_bytes // 2**20} MiB"


def declared(text: str) -> list[str]:
    variant = Variant.parse(text)
    kind = registry.channel_class(variant)
    found = kind(SITE, **variant.options).guarantees
    return [
        f"`{text}`",
        found.delivery.replace("-", " ")
        + (", fan-out" if found.fan_out else "")
        + ("" if found.safe else ", unsafe")
        + (f", log (offset: {found.log_offset})" if found.is_log else ""),
        ", ".join(sorted(found.may_lose)) or "nothing",
        ", ".join(sorted(found.may_corrupt)) or "nothing",
        found.order,
        found.durability,
        found.confirm,
        found.reach,
        largest(found.max_message_bytes),
        f"{kind.max_producers or 'n'}→{kind.max_consumers or 'm'}",
        "yes" if kind.windowed else "no",
        "polls" if found.polling else "blocks",
    ]


def option_rows(
    names: Sequence[str], load: Callable[[Variant], type[Channel] | type[SharedState]]
) -> list[list[str]]:
    return [
        [
            f"`{name}`",
            f"`{option.name}`",
            ", ".join(f"`{choice}`" for choice in option.choices) or "a whole number",
            f"`{option.default}`",
            option.help,
        ]
        for name in names
        for option in load(Variant(name)).options
    ]


def test_what_the_channels_declare_is_what_the_table_says() -> None:
    (found,) = tables(section(PAGE, "What the channels declare"))
    assert found[1:] == [declared(text) for text in STANDARD_CHANNELS + MORE_CHANNELS + UNSAFE_CHANNELS]


def test_every_channel_stands_in_the_table() -> None:
    shown = {Variant.parse(text).name for text in STANDARD_CHANNELS + MORE_CHANNELS + UNSAFE_CHANNELS}
    assert shown == set(own(registry.channel_names()))


def test_the_options_of_the_channels_are_those_of_the_code() -> None:
    (found,) = tables(section(PAGE, "Options"))
    assert found[1:] == option_rows(own(registry.channel_names()), registry.channel_class)


def test_the_options_of_the_counters_are_those_of_the_code() -> None:
    _, found = tables(section(PAGE, "Counters"))
    assert found[1:] == option_rows(own(registry.counter_names()), registry.counter_class)


def test_every_discipline_stands_in_the_table_as_safe_or_not() -> None:
    found, _ = tables(section(PAGE, "Counters"))
    expected = []
    for name in own(registry.counter_names()):
        kind = registry.counter_class(Variant(name))
        for choice in kind.disciplines():
            counter = kind(SITE, discipline=choice)
            expected.append([f"`{name}`", f"`{choice}`", "yes" if counter.safe else "no", counter.reach])
    assert [row[:4] for row in found[1:]] == expected


def test_the_options_of_registers_and_locks_are_those_of_the_code() -> None:
    _, registers = tables(section(PAGE, "Registers"))
    assert registers[1:] == option_rows(own(registry.register_names()), registry.register_class)
    _, locks = tables(section(PAGE, "Locks"))
    assert locks[1:] == option_rows(own(registry.mutex_names()), registry.mutex_class)


def test_every_discipline_of_a_register_stands_in_the_table_with_its_load() -> None:
    found, _ = tables(section(PAGE, "Registers"))
    expected = []
    for name in own(registry.register_names()):
        kind = registry.register_class(Variant(name))
        for choice in kind.disciplines():
            one = kind(SITE, discipline=choice)
            load = "compare and set" if one.compares else "read and write"
            expected.append([f"`{name}`", f"`{choice}`", "yes" if one.safe else "no", one.reach, load])
    assert [row[:5] for row in found[1:]] == expected


def test_every_discipline_of_a_lock_stands_in_the_table_and_whether_it_frees_itself() -> None:
    found, _ = tables(section(PAGE, "Locks"))
    expected = []
    for name in own(registry.mutex_names()):
        kind = registry.mutex_class(Variant(name))
        for choice in kind.disciplines():
            one = kind(SITE, discipline=choice)
            frees = "yes" if one.expires else "no"
            expected.append([f"`{name}`", f"`{choice}`", "yes" if one.safe else "no", one.reach, frees])
    assert [row[:5] for row in found[1:]] == expected


def test_how_each_channel_works_is_explained() -> None:
    explained = section(PAGE, "How each channel works")
    titles = [line for line in explained.splitlines() if line.startswith("### ")]
    for name in own(registry.channel_names()):
        assert any(f"`{name}`" in title for title in titles), name


def test_the_rights_that_a_redis_backend_asks_for_are_documented() -> None:
    (rows,) = (found[1:] for found in tables(PAGE) if found[0] == ["kind", "rights"])
    of_all = rows[0][1]
    by_name = {row[0].strip("`"): row[1] for row in rows}
    kinds = [registry.channel_class(Variant(name)) for name in own(registry.channel_names())]
    needing = {kind.name: kind.needs for kind in kinds if hasattr(kind, "needs")}
    assert len(needing) >= 4
    for name, needed in needing.items():
        for command in needed:
            assert f"`{command[0]}`" in by_name[name] + of_all, (name, command)

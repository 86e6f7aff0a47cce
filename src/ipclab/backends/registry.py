"""The list of all backends: the lab's own, and those of installed packages.

A package adds a backend with one entry point in the group ``ipclab.backends`` that names a subclass of
``Channel``, ``Counter``, ``Register`` or ``Mutex`` (``plugins.py`` loads those). A *guest* is a class without
an entry point that the user names by its file or module (``guests.py``); it is in no list, but can be used by
its name from then on. The lab's own modules are imported only when a backend is used, so listing names is
cheap.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never, get_args

import msgspec

from ipclab.backends import extras, guests
from ipclab.backends.base import Channel, Counter, Face, Option, OptionValue, SharedState
from ipclab.backends.plugins import Broken, Plugins, load
from ipclab.backends.shared import Mutex, Register
from ipclab.backends.tasks.base import TaskQueue
from ipclab.errors import UnknownNameError, UsageError
from ipclab.host.text import clean

_CHANNELS = {
    "manager-dict": "ipclab.backends.manager.channels:ManagerDictChannel",
    "manager-list": "ipclab.backends.manager.channels:ManagerListChannel",
    "manager-queue": "ipclab.backends.manager.channels:ManagerQueueChannel",
    "queue": "ipclab.backends.local.queue:QueueChannel",
    "simple-queue": "ipclab.backends.local.queue:SimpleQueueChannel",
    "joinable-queue": "ipclab.backends.local.queue:JoinableQueueChannel",
    "pipe": "ipclab.backends.local.pipe:PipeChannel",
    "pipe-locked": "ipclab.backends.local.pipe:LockedPipeChannel",
    "socketpair": "ipclab.backends.local.socketpair:SocketpairChannel",
    "shm-ring": "ipclab.backends.local.ring:RingChannel",
    "shm-ring-naive": "ipclab.backends.local.ring:NaiveRingChannel",
    "listener-unix": "ipclab.backends.local.listener:ListenerUnixChannel",
    "listener-tcp": "ipclab.backends.local.listener:ListenerTcpChannel",
    "sqlite": "ipclab.backends.local.sqlite:SqliteChannel",
    "redis-list": "ipclab.backends.redis.channels:RedisListChannel",
    "redis-list-reliable": "ipclab.backends.redis.channels:RedisReliableListChannel",
    "redis-stream": "ipclab.backends.redis.channels:RedisStreamChannel",
    "redis-pubsub": "ipclab.backends.redis.channels:RedisPubSubChannel",
    "rabbitmq": "ipclab.backends.rabbitmq.channels:RabbitmqChannel",
    "rabbitmq-quorum": "ipclab.backends.rabbitmq.channels:RabbitmqQuorumChannel",
    "rabbitmq-stream": "ipclab.backends.rabbitmq.stream:RabbitmqStreamChannel",
    "memcached-ticket": "ipclab.backends.memcached.channels:MemcachedTicketChannel",
    "nats": "ipclab.backends.nats.channels:NatsChannel",
    "nats-jetstream": "ipclab.backends.nats.jetstream:JetStreamChannel",
    "postgres-queue": "ipclab.backends.postgres.queue:PostgresQueueChannel",
    "mqtt": "ipclab.backends.mqtt.channels:MqttChannel",
    "zmq": "ipclab.backends.zmq.channels:ZmqChannel",
}

_COUNTERS = {
    "manager-dict": "ipclab.backends.manager.counter:ManagerDictCounter",
    "value": "ipclab.backends.local.counter:ValueCounter",
    "queue": "ipclab.backends.local.counter:QueueOwnerCounter",
    "pipe": "ipclab.backends.local.counter:PipeOwnerCounter",
    "redis": "ipclab.backends.redis.counter:RedisCounter",
    "memcached": "ipclab.backends.memcached.counter:MemcachedCounter",
    "rabbitmq": "ipclab.backends.rabbitmq.counter:RabbitmqCounter",
    "postgres": "ipclab.backends.postgres.counter:PostgresCounter",
}

_REGISTERS = {
    "manager-dict": "ipclab.backends.manager.shared:ManagerDictRegister",
    "value": "ipclab.backends.local.register:ValueRegister",
    "redis": "ipclab.backends.redis.register:RedisRegister",
    "memcached": "ipclab.backends.memcached.shared:MemcachedRegister",
}

_MUTEXES = {
    "manager-dict": "ipclab.backends.manager.shared:ManagerDictMutex",
    "value": "ipclab.backends.local.mutex:ValueMutex",
    "redis": "ipclab.backends.redis.mutex:RedisMutex",
    "memcached": "ipclab.backends.memcached.shared:MemcachedMutex",
    "rabbitmq": "ipclab.backends.rabbitmq.mutex:RabbitmqMutex",
}

_TASKS = {
    "pool": "ipclab.backends.tasks.local:PoolQueue",
    "process-pool": "ipclab.backends.tasks.local:ProcessPoolQueue",
    "celery-redis": "ipclab.backends.tasks.celery:CeleryRedisQueue",
    "celery-rabbitmq": "ipclab.backends.tasks.celery:CeleryRabbitmqQueue",
    "rq": "ipclab.backends.tasks.rq:RqQueue",
    "dramatiq-redis": "ipclab.backends.tasks.dramatiq:DramatiqRedisQueue",
    "dramatiq-rabbitmq": "ipclab.backends.tasks.dramatiq:DramatiqRabbitmqQueue",
    "huey": "ipclab.backends.tasks.huey:HueyQueue",
    "procrastinate": "ipclab.backends.tasks.procrastinate:ProcrastinateQueue",
    "taskiq-list": "ipclab.backends.tasks.taskiq:TaskiqListQueue",
    "taskiq-stream": "ipclab.backends.tasks.taskiq:TaskiqStreamQueue",
    "taskiq-rabbitmq": "ipclab.backends.tasks.taskiq:TaskiqRabbitmqQueue",
}


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backend and the options that were set for it.

    ``str()`` returns the text for ``--backend``; for a guest, ``typed()`` does.
    """

    name: str
    options: dict[str, OptionValue] = {}

    def __str__(self) -> str:
        settings = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{settings}" if settings else self.name

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read ``name`` or ``name:option=value,option=value``; a name may be the address of a guest.

        The class of a guest is loaded, see ``guests.admit``. Raise UsageError where the text is malformed or
        the guest cannot be used.
        """
        if found := _guest_in(text):
            name, settings = found
            colon = settings
        else:
            name, colon, settings = text.partition(":")
        options: dict[str, OptionValue] = {}
        for setting in settings.split(",") if colon else ():
            key, equals, value = setting.partition("=")
            if not equals or not key or not value:
                raise UsageError(f"--backend {text!r}: write {guests.FORMS}")
            if key in options:
                raise UsageError(f"--backend {text!r}: {key} is set twice")
            options[key] = int(value) if value.isdecimal() else value
        return cls(name.strip(), options)


def _guest_in(text: str) -> tuple[str, str] | None:
    """Return the name of the guest that this text is the address of, and its options; None for a name."""
    found = guests.split(text)
    if found is None:
        _refuse_bare_file(text)
        return None
    address, settings = found
    if address.path is None and any(is_known(face, address.where) for face in get_args(Face)):
        return None
    return guests.admit(address, is_own, _plugins().found), settings


def _refuse_bare_file(text: str) -> None:
    """Raise UsageError for the name of a file without the name of a class."""
    where, _, rest = text.partition(".py")
    if text.endswith(".py") or rest.startswith(":"):
        classes = guests.classes_in(Path(f"{where}.py"))
        offer = f"{where}.py:{classes[-1]}" if classes else f"{where}.py:CLASS"
        raise UsageError(f"--backend {text!r}: name the class too, such as {clean(offer)}")


def typed(variant: Variant) -> str:
    """Return the text for ``--backend`` by which another process in this folder gets the same backend."""
    for guest in guests.known():
        if guest.kind.name == variant.name:
            return str(Variant(str(guest.address), variant.options))
    return str(variant)


def is_known(face: Face, name: str) -> bool:
    """Return whether there is a backend of this name with this face, guests included."""
    return name in _all(face)


def channel_names() -> list[str]:
    """Return the names of all channels, the lab's own first."""
    return list(_channels())


def counter_names() -> list[str]:
    """Return the names of all counters, the lab's own first."""
    return list(_counters())


def register_names() -> list[str]:
    """Return the names of all registers, the lab's own first."""
    return list(_registers())


def mutex_names() -> list[str]:
    """Return the names of all locks, the lab's own first."""
    return list(_mutexes())


def task_names() -> list[str]:
    """Return the names of all task queues. Packages cannot add one."""
    return list(_TASKS)


def is_own(name: str) -> bool:
    """Return whether this backend is the lab's own, not of another package."""
    return any(name in own for own in (_CHANNELS, _COUNTERS, _REGISTERS, _MUTEXES, _TASKS))


def channel_class(variant: Variant) -> type[Channel]:
    """Return the class of a channel, after a check of its options. Raise UnknownNameError or UsageError."""
    found = _load("channel", variant)
    assert issubclass(found, Channel)
    return found


def counter_class(variant: Variant) -> type[Counter]:
    """Return the class of a counter, after a check of its options. Raise UnknownNameError or UsageError."""
    found = _load("counter", variant)
    assert issubclass(found, Counter)
    return found


def register_class(variant: Variant) -> type[Register]:
    """Return the class of a register, after a check of its options. Raise UnknownNameError or UsageError."""
    found = _load("register", variant)
    assert issubclass(found, Register)
    return found


def mutex_class(variant: Variant) -> type[Mutex]:
    """Return the class of a lock, after a check of its options. Raise UnknownNameError or UsageError."""
    found = _load("lock", variant)
    assert issubclass(found, Mutex)
    return found


def task_class(variant: Variant) -> type[TaskQueue]:
    """Return the class of a task queue, with its options checked. Raise UnknownNameError or UsageError."""
    found = _load("task", variant)
    assert issubclass(found, TaskQueue)
    return found


def shared_class(face: Face, variant: Variant) -> type[SharedState]:
    """Return the class of a counter, register or lock. Raise UnknownNameError or UsageError."""
    match face:
        case "counter":
            return counter_class(variant)
        case "register":
            return register_class(variant)
        case "lock":
            return mutex_class(variant)
        case "channel":
            raise UsageError(f"{variant} is asked for as shared state, and a channel is none")
        case "task":
            raise UsageError(f"{variant} is asked for as shared state, and a task queue is none")
        case _:
            assert_never(face)


def backend_class(face: Face, variant: Variant) -> type[Channel] | type[SharedState] | type[TaskQueue]:
    """Return the class of a backend with this face. Raise UnknownNameError or UsageError."""
    if face == "task":
        return task_class(variant)
    return channel_class(variant) if face == "channel" else shared_class(face, variant)


def backend_names(face: Face) -> list[str]:
    """Return the names of all backends with this face, the lab's own first."""
    names = {
        "channel": channel_names,
        "counter": counter_names,
        "register": register_names,
        "lock": mutex_names,
        "task": task_names,
    }
    return names[face]()


def refuse_broken(name: str) -> None:
    """Raise UsageError, with the reason, where a backend of this name is broken or needs a missing extra."""
    if extra := absent().get(name):
        raise UsageError(extra.lack(name))
    for plugin in broken_plugins():
        if name in (plugin.name, plugin.declared):
            raise UsageError(plugin.sentence)


def _load(face: Face, variant: Variant) -> type:
    known = _all(face)
    target = known.get(variant.name)
    if target is None:
        refuse_broken(variant.name)
        raise UnknownNameError(face, variant.name, known)
    if isinstance(target, str):
        target = _import(target)
    _check_options(f"{face} {variant.name}", target.options, variant.options)  # type: ignore[attr-defined]
    return target


def _import(target: str) -> type:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, type)
    return found


def _check_options(owner: str, options: tuple[Option, ...], chosen: Mapping[str, OptionValue]) -> None:
    known = {option.name: option for option in options}
    for name, value in chosen.items():
        option = known.get(name)
        if option is None:
            if not known:
                raise UsageError(f"{owner} has no options, so {name}={value} cannot be set")
            raise UnknownNameError(f"option of {owner}", name, known)
        if wrong := option.refusal(value):
            raise UsageError(f"{owner}: {name} must be {wrong}")


def _all(face: Face) -> dict[str, str | type]:
    """Return all backends with this face by name, guests last."""
    if face == "task":
        return dict(_TASKS)
    listed = {"channel": _channels, "counter": _counters, "register": _registers, "lock": _mutexes}
    base = {"channel": Channel, "counter": Counter, "register": Register, "lock": Mutex}[face]
    invited = {one.kind.name: one.kind for one in guests.known() if issubclass(one.kind, base)}
    return {**listed[face](), **invited}


def _installed(own: Mapping[str, str]) -> dict[str, str]:
    """Return those of the lab's own backends whose libraries are installed."""
    return {name: target for name, target in own.items() if extras.missing(target) is None}


def absent() -> dict[str, extras.Extra]:
    """Return the lab's own backends that need an extra which is not installed, each with its extra."""
    everything = {**_MUTEXES, **_REGISTERS, **_COUNTERS, **_CHANNELS}
    found = {name: extras.missing(target) for name, target in everything.items()}
    return {name: extra for name, extra in found.items() if extra is not None}


@functools.cache
def _channels() -> dict[str, str | type]:
    return {**_installed(_CHANNELS), **_third_party(Channel)}


@functools.cache
def _counters() -> dict[str, str | type]:
    return {**_installed(_COUNTERS), **_third_party(Counter)}


@functools.cache
def _registers() -> dict[str, str | type]:
    return {**_installed(_REGISTERS), **_third_party(Register)}


@functools.cache
def _mutexes() -> dict[str, str | type]:
    return {**_installed(_MUTEXES), **_third_party(Mutex)}


def broken_plugins() -> tuple[Broken, ...]:
    """Return the unusable backends of other packages, each with the reason; they are in no other list."""
    return _plugins().broken


def _third_party(base: type) -> dict[str, type]:
    # ``declared`` has checked that each has a name.
    return {found.name: found for found in _plugins().found if issubclass(found, base)}  # type: ignore[attr-defined]


def _plugins() -> Plugins:
    return load(is_own)

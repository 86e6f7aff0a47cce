"""9. memcached, RabbitMQ and Redis share data between processes as message middleware: not each of them."""

import time
from multiprocessing.synchronize import Barrier, Event
from typing import Any, Literal

import msgspec

from ipclab.backends.memcached import client as memcached
from ipclab.backends.rabbitmq import connection as rabbitmq_connection
from ipclab.backends.redis import client as redis_client
from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, holds_when, refuted
from ipclab.program import main_of_claim

Kind = Any
At = tuple[Any, str, str]

VALUE, ADDS, ENOUGH = 42, 200, 500


class Redis:
    def __init__(self, url: str, name: str) -> None:
        self.client = redis_client.connect(url, reply_timeout_s=None)
        self.state, self.counter, self.queue, self.taken = (f"{name}:{n}" for n in range(4))

    def write(self, value: int) -> None:
        self.client.set(self.state, value)

    def read(self) -> int:
        return int(self.client.get(self.state))  # type: ignore[arg-type]

    def add(self) -> Any:
        return self.client.incr(self.counter)

    def send(self, body: bytes) -> None:
        self.client.lpush(self.queue, body)

    def take(self, asked: Any) -> Any:
        asked.value += 1
        return self.client.blmove(self.queue, self.taken, 0, "RIGHT", "LEFT")  # waits in the server

    def finish(self) -> None:
        self.client.lpop(self.taken)

    def recover(self) -> Any:
        return self.client.lmove(self.taken, self.queue, "LEFT", "RIGHT")

    def clean(self) -> None:
        self.client.delete(self.state, self.counter, self.queue, self.taken)


class RabbitMQ:
    add = None  # it has no number that could be changed in place

    def __init__(self, url: str, name: str) -> None:
        self.connection = rabbitmq_connection.connect(url)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()  # a publish returns once the server has the message
        self.state, self.queue = f"{name}:state", f"{name}:queue"
        for queue in (self.state, self.queue):
            self.channel.queue_declare(queue, durable=True)

    def write(self, value: int) -> None:
        self.channel.basic_publish("", self.state, str(value).encode())

    def read(self) -> int | None:
        _, _, body = self.channel.basic_get(self.state)  # takes it; nothing can look at it where it is
        return None if body is None else int(body)

    def send(self, body: bytes) -> None:
        self.channel.basic_publish("", self.queue, body)

    def take(self, asked: Any) -> Any:
        asked.value += 1
        self.delivery, _, body = next(self.channel.consume(self.queue))  # the server sends it
        return body

    def finish(self) -> None:
        self.channel.basic_ack(self.delivery.delivery_tag)
        self.connection.close()

    def recover(self) -> None:
        """Do nothing: the server does it by itself once the connection of the consumer is gone."""

    def clean(self) -> None:
        self.channel.queue_delete(self.state), self.channel.queue_delete(self.queue)


class Memcached:
    def __init__(self, url: str, name: str) -> None:
        self.client, self.name = memcached.connect(url), name
        for counter in ("counter", "head", "tail"):
            self.client.add(f"{name}:{counter}", "0")

    def write(self, value: int) -> None:
        self.client.set(f"{self.name}:state", str(value))

    def read(self) -> int:
        return int(self.client.get(f"{self.name}:state"))

    def add(self) -> Any:
        return self.client.incr(f"{self.name}:counter", 1)

    def send(self, body: bytes) -> None:
        self.client.set(f"{self.name}:{self.client.incr(f'{self.name}:tail', 1)}", body)

    def take(self, asked: Any) -> Any:
        slot = f"{self.name}:{self.client.incr(f'{self.name}:head', 1)}"
        while asked.value < ENOUGH:
            asked.value += 1
            if body := self.client.get(slot):  # answers at once, also that there is nothing
                self.client.delete(slot)  # as the lab's own channel does, or the slots would fill the memory
                return body
            time.sleep(0.001)
        return None

    def finish(self) -> None:
        """Do nothing: the message left its slot for good when it was read."""

    def recover(self) -> Any:
        """Move what is left in a used slot to the next one; return whether there was any."""
        head = int(self.client.get(f"{self.name}:head"))
        left = self.client.get_many([f"{self.name}:{number}" for number in range(1, head + 1)])
        return left and self.client.set(f"{self.name}:{head + 1}", left.popitem()[1])

    def clean(self) -> None:
        keys = ("state", "counter", "head", "tail", *range(1, 6))
        self.client.delete_many([f"{self.name}:{key}" for key in keys])


KINDS = {"redis": Redis, "rabbitmq": RabbitMQ, "memcached": Memcached}
AGAIN = {
    "server": Text("sends a killed consumer's message again by itself", "会自行重新投递"),
    "client": Text("keeps a killed consumer's message until a client moves it back", "保留到客户端移回"),
    "nobody": Text("has lost a killed consumer's message", "已丢失"),
}


class Broker(msgspec.Struct, frozen=True):
    read: list[int | None]  # what two processes read at the same time after a third one wrote VALUE
    added: int | None  # by two processes in place, of 2 * ADDS; None where the broker has no such thing
    asked: int | None  # how often until it had a message that was sent later; None: it never had it
    again_by: Literal["server", "client", "nobody"]  # who brings that of a killed consumer to another one


class Evidence(msgspec.Struct, frozen=True):
    brokers: dict[str, Broker]


def act(kind: Kind, url: str, name: str, action: str, *args: Any) -> Any:
    return getattr(kind(url, name), action)(*args)


def read_together(kind: Kind, url: str, name: str, barrier: Barrier) -> int | None:
    broker = kind(url, name)
    value: int | None = broker.read()
    barrier.wait()  # the other one has read, too, and this one is not gone yet
    return value


def add_many(kind: Kind, url: str, name: str) -> int | None:
    broker = kind(url, name)
    return max(broker.add() for _ in range(ADDS)) if broker.add else None


def take_and_finish(kind: Kind, url: str, name: str, asked: Any) -> bytes | None:
    broker = kind(url, name)
    body: bytes | None = broker.take(asked)
    broker.finish()
    return body


def take_and_stay(kind: Kind, url: str, name: str, asked: Any, has_it: Event) -> None:
    broker = kind(url, name)
    if broker.take(asked) == b"second":
        has_it.set()
    time.sleep(60)


def state(bench: Bench, at: At) -> tuple[list[int | None], int | None]:
    """Return what two processes read at the same time, and the sum of what two of them added."""
    both = bench.context.Barrier(2)
    bench.start(act, *at, "write", VALUE).result()
    readers = [bench.start(read_together, *at, both) for _ in range(2)]
    read = sorted((reader.result() for reader in readers), key=str)
    adders = [bench.start(add_many, *at) for _ in range(2)]
    added = [adder.result() for adder in adders]
    return read, max(added) if all(added) else None


def asks(bench: Bench, at: At) -> int | None:
    """Return how often a consumer asks that is there before the message is."""
    asked = bench.context.RawValue("i")
    consumer = bench.start(take_and_finish, *at, asked)
    bench.until(lambda: asked.value, "the consumer to ask")
    later = time.monotonic() + 0.5
    bench.until(lambda: asked.value > 2 or time.monotonic() > later, "the consumer to ask again, or not")
    bench.start(act, *at, "send", b"first").result()
    return asked.value if consumer.result() == b"first" else None


def comes_again(bench: Bench, at: At) -> Literal["server", "client", "nobody"]:
    """Return who brings the message of a killed consumer to another one."""
    asked, has_it = bench.context.RawValue("i"), bench.context.Event()
    bench.start(act, *at, "send", b"second").result()
    victim = bench.start(take_and_stay, *at, asked, has_it, name="victim")
    bench.until(has_it.is_set, "the victim to have a message")
    victim.kill()
    for moves in (False, True):
        moved = moves and bench.start(act, *at, "recover").result()
        asked.value = 0
        next_one = bench.start(take_and_finish, *at, asked)
        bench.until(lambda: asked.value, "the next one to ask")
        again = next_one.watch(3).outcome == "returned" and next_one.result() == b"second"
        next_one.kill()
        if again:
            return "client" if moved else "server"
    return "nobody"


def examine(bench: Bench, kind: Kind, url: str) -> Broker:
    at = kind, url, bench.namespace
    seen = Broker(*state(bench, at), asks(bench, at), comes_again(bench, at))
    bench.timeline(f"{kind.__name__}: {seen}")
    return seen


def experiment(bench: Bench) -> Evidence:
    return Evidence({kind.__name__: examine(bench, kind, bench.url(name)) for name, kind in KINDS.items()})


def clean(bench: Bench) -> None:
    """Clean every server; one that does not answer does not keep the others from being cleaned."""
    cleaners = [bench.start(act, kind, bench.url(n), bench.namespace, "clean") for n, kind in KINDS.items()]
    for cleaner in cleaners:
        cleaner.result()


def verdict(seen: Evidence) -> Verdict:
    state = [name for name, one in seen.brokers.items() if one.read == [VALUE] * 2 and one.added == 2 * ADDS]
    messages = [name for name, one in seen.brokers.items() if one.asked == 1 and one.again_by != "nobody"]
    if len(state) == len(messages) == len(seen.brokers):
        return holds("each of them does both", "三者都能做到")
    if not state and not messages:
        return refuted("none of them does", "三者都做不到")
    by = [(name, AGAIN[seen.brokers[name].again_by]) for name in messages]
    return holds_when(
        f"state is shared through {' or '.join(state) or 'none'}, and messages go through "
        f"{' or '.join(messages) or 'none'}{''.join(f'; {name} {again.en}' for name, again in by)}",
        f"共享状态用 {' 或 '.join(state) or '（无）'}，传递消息用 {' 或 '.join(messages) or '（无）'}"
        f"{'；被杀消费者的消息：' * bool(by)}{'，'.join(f'{name} {again.zh}' for name, again in by)}",
    )


def show(seen: Evidence) -> list[Row]:
    def row(broker: Broker) -> Text:
        reads = ", ".join("nothing" if value is None else str(value) for value in broker.read)
        added = "cannot" if broker.added is None else f"{broker.added} / {2 * ADDS}"
        again = AGAIN[broker.again_by]
        times = f"{broker.asked} time(s)", f" {broker.asked} 次"
        asked = ("in vain", "未果") if broker.asked is None else times
        return Text(
            f"two readers at once get {reads}; added in place: {added}; asked for a message {asked[0]}; it "
            f"{again.en}",
            f"两个同时的读者得到 {reads.replace('nothing', '空')}；"
            f"原地累加：{added.replace('cannot', '不支持')}；"
            f"为一条消息询问{asked[1]}；被杀消费者的消息：{again.zh}",
        )

    return [Row(Text(name, name), row(broker), key=True) for name, broker in seen.brokers.items()]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=9,
    section="sharing",
    statement=Text(
        "memcached, RabbitMQ and Redis share data between processes as message middleware.",
        "memcached、RabbitMQ、Redis 作为消息中间件在进程间共享数据。",
    ),
    clean=clean,
    practice=Text(
        "A number or a cache that all read: Redis or memcached. Work that must not get lost: RabbitMQ with a "
        "durable queue, persistent messages, publisher confirms and manual acknowledgements; or Redis with "
        "an append-only file and a stream, or BLMOVE and a program that puts back what the dead had taken. "
        "memcached cannot make a reader wait, and what is in a classic or quorum queue of RabbitMQ cannot be "
        "read without being taken.",
        "大家都要读的数值或缓存：Redis 或 memcached。不能丢的任务：RabbitMQ（持久队列、持久化消息、发布确认、"
        "手动确认），或开启 AOF 的 Redis（用 stream；用 BLMOVE 时还要有程序把死亡消费者取走的消息放回）。"
        "memcached 不能让读者等待；RabbitMQ 经典队列和仲裁队列中的消息不能只看不取。",
    ),
    sources=(
        Source("Redis: BLMOVE, a reliable queue", "https://redis.io/docs/latest/commands/blmove/"),
        Source("RabbitMQ: acknowledgements", "https://www.rabbitmq.com/docs/confirms"),
        Source("memcached: protocol", "https://github.com/memcached/memcached/blob/master/doc/protocol.txt"),
    ),
    needs=("redis", "rabbitmq", "memcached"),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)

"""12. A Queue is process-safe: nothing is lost, but a process killed inside it blocks the others."""

from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Child,
    Fate,
    Row,
    Source,
    Text,
    Verdict,
    claim,
    holds,
    holds_when,
    joined,
    refuted,
)
from ipclab.program import main_of_claim

MESSAGES, SIDES = 1_000, 4
BIG = bytes(1_000_000)  # more than a pipe holds
TIMEOUT_S = 0.5


class Evidence(msgspec.Struct, frozen=True):
    sent: int  # by four producers to four consumers
    lost: int
    duplicated: int
    after_reader: Fate  # of a consumer with a message to fetch, after another one was killed in get()
    after_writer: Fate  # of a consumer, after a producer was killed in the middle of a message
    own_queue: Fate  # the same of get(timeout) of a queue that only these two have
    own_pipe: Fate  # the same of a pipe that only these two have, all unused ends of which are closed
    own_pipe_open: Fate  # the same where the consumer has left its writing end open


def produce(queue: Any, producer: int) -> None:
    for number in range(MESSAGES):
        queue.put((producer, number))


def consume(queue: Any) -> list[Any]:
    return list(iter(queue.get, None))


def many(bench: Bench) -> Counter[tuple[int, int]]:
    queue = bench.context.Queue()
    producers = [bench.start(produce, queue, n) for n in range(SIDES)]
    consumers = [bench.start(consume, queue) for _ in range(SIDES)]
    for producer in producers:
        producer.result(), producer.join()
    bench.start(put, queue, *[None] * SIDES).result()
    return Counter(tuple(item) for consumer in consumers for item in consumer.result())


def put(queue: Any, *items: object) -> None:
    for item in items:
        queue.put(item)


def get(queue: Any) -> Any:
    return queue.get()


def taken(lock: Lock) -> bool:
    if free := lock.acquire(block=False):
        lock.release()
    return not free


def reader_killed(bench: Bench) -> Child:
    queue: Any = bench.context.Queue()
    victim = bench.start(get, queue, name="victim")
    bench.until(lambda: taken(queue._rlock), "the consumer to be inside get()")
    victim.kill()
    bench.timeline("a consumer was killed in get()")
    bench.start(put, queue, "message", name="producer").join()
    bench.timeline("a message is in the queue's pipe")
    return bench.start(get, queue, name="consumer")


def writer_killed(bench: Bench, consume: Callable[..., Any]) -> Child:
    queue: Any = bench.context.Queue()
    victim = bench.start(put, queue, BIG, name="victim")
    bench.until(queue._reader.poll, "the first part of the message")
    victim.kill()
    bench.timeline("a producer was killed in the middle of a message")
    return bench.start(consume, queue, name="consumer")


def get_in_time(queue: Any) -> Any:
    return queue.get(timeout=TIMEOUT_S)


def send(reading: Connection, writing: Connection) -> None:
    reading.close()
    writing.send_bytes(BIG)


def receive(reading: Connection, writing: Connection, close: bool) -> bytes:
    if close:
        writing.close()
    return reading.recv_bytes()


def sender_killed(bench: Bench, close: bool) -> Child:
    """Return what a consumer of a pipe gets whose only producer was killed in the middle of a message."""
    reading, writing = bench.context.Pipe(duplex=False)
    victim = bench.start(send, reading, writing, name="victim")
    bench.until(reading.poll, "the first part of the message")
    victim.kill()
    consumer = bench.start(receive, reading, writing, close, name="consumer")
    writing.close()
    return consumer


def experiment(bench: Bench) -> Evidence:
    received = many(bench)
    stuck = reader_killed(bench), writer_killed(bench, get), writer_killed(bench, get_in_time)
    pipes = [sender_killed(bench, close) for close in (True, False)]
    return Evidence(
        sent=SIDES * MESSAGES,
        lost=SIDES * MESSAGES - len(received),
        duplicated=received.total() - len(received),
        after_reader=stuck[0].watch(),
        after_writer=stuck[1].watch(),
        own_queue=stuck[2].watch(),
        own_pipe=pipes[0].watch(PATIENCE_S),
        own_pipe_open=pipes[1].watch(),
    )


def verdict(seen: Evidence) -> Verdict:
    if seen.lost or seen.duplicated:
        return refuted("messages were lost or came twice", "有消息丢失或重复")
    inside, left, hung = [], [], True
    if seen.after_reader.outcome != "returned":
        inside.append("get()")
        left.append(Text("the lock that it held", "它持有的锁"))
        hung = seen.after_reader.hung
    if seen.after_writer.outcome != "returned":
        inside.append("put()")
        left.append(Text("the half message that it left", "它留下的半条消息"))
        hung = hung and seen.after_writer.hung
    if inside:
        what = joined(left, " or ", "或")
        harm = Text("blocks the others for ever", "会让其他进程永远阻塞")
        if not hung:
            harm = Text("harms the others", "会妨害其他进程")
        more = Text("", "")
        if seen.own_queue.hung and seen.after_writer.hung:
            more = Text(
                "; a queue of its own does not help its consumer, which has the writing end open, too",
                "；单独的队列也无济于事：消费者自己也开着写端",
            )
        return holds_when(
            f"no process is killed inside {' or '.join(inside)}: {what.en} {harm.en}{more.en}",
            f"没有进程在 {' 或 '.join(inside)} 中被杀：{what.zh}{harm.zh}{more.zh}",
        )
    return holds("nothing was lost or came twice, and a kill did no harm", "没有丢失或重复，进程被杀也无影响")


def show(seen: Evidence) -> list[Row]:
    got = Text("gets a message", "取到消息")
    return [
        Row(
            Text("4 producers, 4 consumers: lost", "4 个生产者、4 个消费者：丢失"),
            f"{seen.lost} / {seen.sent}",
            key=True,
        ),
        Row(Text("came twice", "重复"), f"{seen.duplicated} / {seen.sent}"),
        Row(
            Text(
                "a consumer was killed in get(), a message is there: the next one",
                "消费者在 get() 中被杀，队列里有消息：下一个消费者",
            ),
            seen.after_reader.text(got),
            key=True,
        ),
        Row(
            Text("a producer was killed within a message: the consumer", "生产者在消息中途被杀：消费者"),
            seen.after_writer.text(got),
            key=True,
        ),
        Row(
            Text(
                f"the same with a queue of their own: get(timeout={TIMEOUT_S})",
                f"同上，两者有单独的队列：get(timeout={TIMEOUT_S})",
            ),
            seen.own_queue.text(got),
            key=True,
        ),
        Row(
            Text("the same with a pipe, all unused ends closed", "同上，用管道，未用的端都已关闭"),
            seen.own_pipe.text(got),
            key=True,
        ),
        Row(
            Text("the same, the consumer's writing end left open", "同上，消费者的写端未关"),
            seen.own_pipe_open.text(got),
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=12,
    section="sharing",
    statement=Text("A Queue is process-safe.", "Queue 是进程安全的。"),
    practice=Text(
        "Never terminate a process that uses a Queue: send it a message that tells it to end. Where "
        "processes may be killed, give each its own Pipe and close every end that is not used, so that the "
        "others get an error (a queue of its own is no help: its time-out does not bound the rest of a "
        "message), or use a broker that redelivers.",
        "不要强行终止正在使用 Queue 的进程：发一条结束消息让它自行退出。若进程可能被杀，"
        "给每个进程单独的 Pipe 并关闭所有未用的端，这样其他进程会得到异常（单独的队列没有用：它的超时不限制"
        "一条消息的剩余部分），或使用会重新投递的消息中间件。",
    ),
    sources=(
        Source(
            "multiprocessing: warning on terminate() and queues",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Process.terminate",
        ),
        Source("CPython: Queue.get holds _rlock while it reads", "Lib/multiprocessing/queues.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)

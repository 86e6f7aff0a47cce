"""The needs of the README's first table: what to take for each, and what that costs.

No figure is written here: ``docs/fill_readme.py`` takes them from the stored runs in ``docs/run``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Need:
    """``backend`` names the rows of the run of ``experiment`` whose figures are shown; ``shown`` is a shorter
    name. In ``cost``, ``{lost}`` is the share of its updates that ``unsafe`` lost, and ``{also}`` has the
    figures of the backend ``also``."""

    need: Text
    backend: str
    cost: Text
    experiment: str = "comparison"
    shown: str = ""
    unsafe: str = ""
    also: str = ""


NEEDS = (
    Need(
        Text("the fastest way on one host", "在一台机器上尽可能快"),
        "pipe",
        Text(
            "one sender and one receiver; what is under way dies with its process",
            "一个发送者、一个接收者；进程一死，在途的消息就丢了",
        ),
    ),
    Need(
        Text("jobs must not be lost when a worker is killed", "工作进程被杀时，任务不能丢"),
        "redis-stream",
        Text(
            "a Redis server, whose restart may lose jobs; an unfinished job is done again, so it must be "
            "safe to repeat",
            "需要 Redis 服务器，它重启可能丢任务；没做完的任务会重做，所以任务必须可以重复执行",
        ),
    ),
    Need(
        Text("messages must survive a restart of the broker", "服务器重启后消息仍在"),
        "rabbitmq-quorum",
        Text(
            "a RabbitMQ server, which writes every message to disk; a message may come twice",
            "需要 RabbitMQ 服务器，每条消息都要写盘；消息可能重复",
        ),
    ),
    Need(
        Text("several hosts", "跨多台机器"),
        "redis-list",
        Text(
            "a Redis server; a message dies with its consumer; measured on one host, so add your network",
            "需要 Redis 服务器；消费者一死，它手上的消息就丢了；数字在一台机器上测得，网络另算",
        ),
    ),
    Need(
        Text("a shared counter", "共享计数器"),
        "value:discipline=locked",
        Text(
            "one host; every process takes the lock: without it, {lost} of the updates were lost. "
            "Several hosts: `redis`, {also}",
            "限一台机器；每个进程都要取锁：不取锁时丢失了 {lost} 的更新。跨机器用 `redis`，{also}",
        ),
        shown="value",
        unsafe="value:discipline=naive",
        also="redis:discipline=incr",
    ),
    Need(
        Text("large arrays (1 MiB each)", "大数组（每个 1 MiB）"),
        "pipe",
        Text(
            "one host; the array lies in shared memory and only its name is sent (`--codec shm`); "
            "whoever dies may leave a segment behind",
            "限一台机器；数组放在共享内存里，只发送它的名字（`--codec shm`）；进程死去可能留下内存段",
        ),
        experiment="throughput",
    ),
    Need(
        Text("every consumer gets every message (fan-out)", "每个消费者都收到每条消息（扇出）"),
        "redis-pubsub",
        Text(
            "a Redis server; a subscriber that is away or too slow misses messages",
            "需要 Redis 服务器；不在线或太慢的订阅者收不到消息",
        ),
    ),
    Need(
        Text("nothing to install, any number of processes", "不安装任何东西，进程数不限"),
        "queue",
        Text(
            "one host; a process that is killed at a bad moment blocks all others for ever",
            "限一台机器；进程在不巧的时刻被杀，其余的会永远卡住",
        ),
    ),
)

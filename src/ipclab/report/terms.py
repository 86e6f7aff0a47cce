"""Words that are translated where they are shown, and that come from tables and experiments as plain text."""

from __future__ import annotations

from ipclab.host.texts import mark

TERMS = (
    # questions of the experiments
    mark("Which losses, copies and hangs are the client library's doing, and what setting prevents them?"),
    mark("How can my processes share state here, how fast is each way, and what does it lose?"),
    mark("What does each channel lose, repeat or hang in when something fails?"),
    mark("How long is a message under way, at a rate that the sender does not choose?"),
    mark("Who overtakes whom: does each producer's order hold, and the order in real time?"),
    mark("What do processes lose that share a number, a value or a lock, and what does safety cost?"),
    mark("How long does it take to ask another process and get its answer?"),
    mark("How many messages a second does each way carry, by shape, size and window?"),
    # columns, in the terminal and in full
    *(mark("backend and mode"), mark("backend and discipline"), mark("shape"), mark("size"), mark("win")),
    *(mark("window"), mark("confirm"), mark("goodput"), mark("offered"), mark("round\ntrip")),
    *(mark("round trips"), mark("round trip p50"), mark("service\np50"), mark("service p50")),
    *(mark("service p99"), mark("late/\nskipped"), mark("late/skipped"), mark("CPU µs\nwork")),
    *(mark("/msg\nbroker"), mark("/upd\nbroker"), mark("CPU µs/message, workers")),
    *(mark("CPU µs/message, broker"), mark("CPU µs/update, workers"), mark("CPU µs/update, broker")),
    *(mark("lost/dup\nreo/corr"), mark("lost/duplicated/reordered/corrupted"), mark("limit")),
    *(mark("verdict"), mark("pro-\ncesses"), mark("processes"), mark("updates"), mark("price of\nsafety")),
    *(mark("price of safety"), mark("observed"), mark("possible"), mark("lost updates"), mark("lost")),
    *(mark("operations"), mark("anomalies"), mark("max")),
    # the load on a register
    *(mark("compare and set"), mark("read and write")),
    # facts at the end of the page
    *(mark("began"), mark("ended"), mark("seed"), mark("libraries"), mark("brokers"), mark("trials")),
    # why a fault does not apply
    mark("there is no broker: the channel has no process of its own"),
    mark("the kernel takes and gives each datagram whole"),
    mark("a message appears in the ring whole, by one store of its end"),
    mark("there is no network connection: nothing can be cut or dropped on the way"),
    mark("a reply is dropped for the one who asked: see producer and consumer"),
    mark("a reply can be dropped only where one is on its way: see busy"),
    mark("the broker does not answer its producers, so there is no reply to drop"),
    mark("memory is filled by messages that flow: see busy"),
    mark("the memory that messages fill is the broker's"),
    mark("it has no limit of its own: it grows until the machine's memory is used up"),
    mark("a worker that is started again is a new process: see kill"),
    mark("the server process of a Manager cannot be started again under its old address"),
    mark("a broker that is told to end does so in good order: see restart"),
    mark("was not tried in this run"),
)

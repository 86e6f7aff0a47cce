"""The loop of a consumer that works: receive, do the work, acknowledge. Used only in trials with work.

A handler that raises ends its job and not the consumer, as in the worker processes of task queues. Then the
consumer rejects the message where its backend can, so that the channel delivers it again. Elsewhere the job
has failed for good: the channel has no second copy of it, or no way to be told. Such a message is
acknowledged like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipclab.backends.base import Consumer
from ipclab.host.clock import now_ns
from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import ends
from ipclab.trial.assignment import Assignment, OfChannel, receipts_path, tails, works_path
from ipclab.trial.message import HEADER_BYTES, NO_HEADER, is_stop, tails_by_first_byte
from ipclab.trial.orders import Done
from ipclab.trial.rawlog import RECEIPT_BYTES, START_BYTES, RawLog, receipt_packer
from ipclab.trial.work import HandlerError, handler_of
from ipclab.trial.worker import await_go


def work(mine: Assignment[OfChannel], parent: Link) -> None:
    """Play the role of a consumer that does the work of each job, until a stop message comes."""
    receipts = RawLog(receipts_path(mine.logs, mine.name))
    works = RawLog(works_path(mine.logs, mine.name))
    consumer = ends.consumer(mine, mine.part.channel)
    own_tails = tails(mine.spec, mine.content)
    handle = handler_of(mine.spec, mine.index)
    await_go(parent)
    returned = consume(consumer, own_tails, receipts, works, handle)
    done = Done(
        count=receipts.progress[0],
        returned=returned,
        peak_rss_bytes=own_peak_rss_bytes(),
        **ends.spent(consumer),
    )
    parent.send(done)
    consumer.close()


def consume(
    consumer: Consumer, own_tails: list[bytes], receipts: RawLog, works: RawLog, handle: Callable[[], None]
) -> int:
    """Receive, log, work, log and settle, until the stop message comes; return how many jobs were rejected.

    The time of a receipt is also when its work began. The time in ``works`` is when it was over, negative
    where the handler raised.
    """
    assert works.stamps is not None
    receive, ack, reject = _receive_any(consumer), consumer.ack, consumer.reject
    acknowledges, rejects = consumer.acknowledges, consumer.rejects
    log, ends, progress, clock = receipts.map, works.stamps, receipts.progress, now_ns
    pack, record_bytes = receipt_packer(receipts.record_bytes), receipts.record_bytes
    keeps_tails = record_bytes > RECEIPT_BYTES
    size_bytes = len(own_tails[0]) + HEADER_BYTES
    by_first_byte = tails_by_first_byte(own_tails)
    i, at, returned, going = 0, START_BYTES, 0, True
    while going:
        raised = False
        for body in receive():
            received_ns = clock()
            if len(body) == size_bytes and (keeps_tails or body.endswith(by_first_byte[body[4]])):
                pack(log, at, received_ns, body)
            elif is_stop(body):
                going = False
                continue
            else:
                pack(log, at, received_ns, NO_HEADER)
            try:
                handle()
            except HandlerError:
                raised = True
                ends[i] = -clock()
            else:
                ends[i] = clock()
            at += record_bytes
            i += 1
        if raised and rejects:
            reject()
            returned += 1
        elif acknowledges:
            ack()
        progress[0] = i
    return returned


def _receive_any(consumer: Consumer) -> Callable[[], Sequence[bytes]]:
    """Return a function that receives messages of this consumer, by the call that streams measure."""
    receive_one = consumer.receiver()
    return consumer.receive if receive_one is None else lambda: (receive_one(),)

"""A tiny server: queues in memory, behind one TCP port and a password in the variable TINY_PASSWORD.

A request is a line of words and, for PUSH, a body: ``PASS p``, ``PUSH queue size``, ``POP queue`` (waits),
``DROP queue``, ``LIST``, ``VERSION``. An answer is a line with a size, and so many bytes.
"""

import asyncio
import collections
import os
import sys

queues: dict[str, asyncio.Queue[bytes]] = collections.defaultdict(asyncio.Queue)


async def answer(words: list[str], reader: asyncio.StreamReader) -> bytes:
    match words:
        case ["PUSH", queue, size]:
            queues[queue].put_nowait(await reader.readexactly(int(size)))
            return b"ok"
        case ["POP", queue]:
            return await queues[queue].get()
        case ["DROP", queue]:
            queues.pop(queue, None)
            return b"ok"
        case ["LIST"]:
            return " ".join(queues).encode()
    return b"1.0"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    trusted = False
    try:
        while line := await reader.readline():
            words = line.decode().split()
            if words[0] == "PASS":
                trusted = words[1:] == [os.environ["TINY_PASSWORD"]]
                body = b"ok" if trusted else b"wrong password"
            else:
                body = await answer(words, reader) if trusted else b"say PASS first"
            writer.write(b"%d\n%b" % (len(body), body))
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def run(port: int) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


def main() -> None:
    asyncio.run(run(int(sys.argv[1])))


if __name__ == "__main__":
    main()

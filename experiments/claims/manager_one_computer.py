"""7. A Manager's dict and list work only on one computer: they are reached from another one, over TCP."""

import secrets
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import address_type  # type: ignore[attr-defined]
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, refuted
from ipclab.claims.networks import joined
from ipclab.program import main_of_claim

SERVER = """
import sys
from multiprocessing.managers import BaseManager, DictProxy, ListProxy
class Board(BaseManager): pass
notes, log = {"server": "was here"}, ["server"]
Board.register("notes", lambda: notes, DictProxy)
Board.register("log", lambda: log, ListProxy)
server = Board((sys.argv[1], 0), authkey=sys.argv[2].encode()).get_server()
print(server.address[1], flush=True)
server.serve_forever()
"""

CLIENT = """
import sys
from multiprocessing.managers import BaseManager, DictProxy, ListProxy
class Board(BaseManager): pass
Board.register("notes", proxytype=DictProxy)
Board.register("log", proxytype=ListProxy)
host, port, key, me = sys.argv[1:]
board = Board((host, int(port)), authkey=key.encode())
board.connect()
print(sorted(board.notes().items()), board.log()[:])
board.notes().update({me: "was here"})
board.log().append(me)
"""


class Evidence(msgspec.Struct, frozen=True):
    two_networks: bool  # the far side shares no network interface with the server, not even the loopback
    far_saw: str  # in dict and list, of what was in the server
    near_saw: str  # a client beside the server, after the far one wrote to them
    wrong_key: str  # what a client with another key gets
    plain: str  # the kind of address of a Manager() that is given none


def interpreter(enter: Sequence[str], code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an interpreter that inherits nothing: no handle, no module, no environment, another folder."""
    return subprocess.Popen(
        [*enter, sys.executable, "-I", "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def talk(bench: Bench, networks: Any) -> tuple[str, str, str]:
    """Return what the clients see, one after the other."""
    near, far = (network.enter for network in networks) if networks else ((), ())
    host, key = networks[0].address if networks else "127.0.0.1", secrets.token_hex()
    server = interpreter(near, SERVER, host, key)
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    bench.timeline(f"a Manager serves at {host}")

    def client(enter: Sequence[str], key: str, me: str) -> str:
        out, error = interpreter(enter, CLIENT, host, port, key, me).communicate(timeout=20)
        saw = out.strip() or error.splitlines()[-1]
        bench.timeline(f"the {me} client saw {saw}")
        return saw

    seen = client(far, key, "far"), client(near, key, "near"), client(far, "guess", "far")
    server.kill()
    return seen


def experiment(bench: Bench) -> Evidence:
    with joined(bench) as networks, bench.context.Manager() as plain:
        return Evidence(networks is not None, *talk(bench, networks), address_type(plain.address))


def verdict(seen: Evidence) -> Verdict:
    if "server" not in seen.far_saw or "far" not in seen.near_saw:
        return holds("the other side did not see what was written", "另一方看不到写入的内容")
    only = ("", "") if seen.two_networks else (" (seen over the loopback only)", "（此处只在环回接口上见到）")
    return refuted(
        "given an address and a key, it serves any interpreter that reaches that address over TCP; only the "
        f"default, a Unix socket, is bound to one computer{only[0]}",
        f"给定地址和密钥后，凡能通过 TCP 连到该地址的解释器都能使用；只有默认的 Unix 套接字限于本机{only[1]}",
    )


def show(seen: Evidence) -> list[Row]:
    where = Text("another network", "另一个网络") if seen.two_networks else Text("the loopback", "环回接口")
    return [
        Row(Text("the client's way to the server", "客户端到服务器的路径"), where, key=True),
        Row(
            Text("what a far client saw in dict and list", "远端客户端在 dict 和 list 中看到"),
            seen.far_saw,
            key=True,
        ),
        Row(Text("what a near one saw after that", "随后近端客户端看到"), seen.near_saw),
        Row(Text("with a wrong key", "密钥错误时"), seen.wrong_key),
        Row(Text("where a plain Manager() listens", "默认的 Manager() 监听于"), seen.plain),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=7,
    section="sharing",
    statement=Text(
        "A Manager's dict and list work only on one computer.",
        "Manager 的 dict 和 list 只能在一台电脑上使用。",
    ),
    practice=Text(
        "To share over a network, give a `BaseManager` an address and a secret `authkey`, and let only "
        "trusted hosts reach it: what travels is pickled and not encrypted. Set `current_process().authkey` "
        "to the same secret in every client, or a proxy inside a proxy raises AuthenticationError (claim 8). "
        "For many clients use a broker.",
        "跨机共享时给 `BaseManager` 指定地址和保密的 `authkey`，且只让可信主机访问：数据不加密，"
        "服务器会反序列化收到的内容。每个客户端还要把 `current_process().authkey` 设为同一密钥，"
        "否则嵌套的代理会抛出 AuthenticationError（见第 8 条）。客户端多时请用消息中间件。",
    ),
    sources=(
        Source(
            "multiprocessing: using a remote manager",
            "https://docs.python.org/3/library/multiprocessing.html#using-a-remote-manager",
        ),
        Source("CPython: the server and its address", "Lib/multiprocessing/managers.py"),
    ),
    recorded="refuted",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)

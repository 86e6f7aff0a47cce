"""The other end of a socket on this machine, by inode: Unix sockets from the kernel, TCP from /proc/net."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_SOCK_DIAG = 4
_BY_FAMILY = 20
_DUMP = 0x301
_SHOW_PEER = 4
_PEER = 2
_DONE, _ERROR = 3, 2
_WITHIN_S = 2.0


def peers(pid: int) -> dict[str, str]:
    """Return the inode of the other end for each connected socket that this process's network has."""
    return {**_tcp(pid), **_unix()}


def _tcp(pid: int) -> dict[str, str]:
    by_address: dict[tuple[str, str], str] = {}
    for family in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            by_address[_plain(fields[1]), _plain(fields[2])] = fields[9]
    return {
        inode: other
        for (here, there), inode in by_address.items()
        if (other := by_address.get((there, here))) not in (None, "0") and other is not None
    }


def _plain(address: str) -> str:
    """Return an address of IPv4 in the same words in both tables."""
    host, _, port = address.partition(":")
    return f"{host[-8:] if host.startswith('0000000000000000FFFF0000') else host}:{port}"


def _unix() -> dict[str, str]:
    """Return the peers of Unix sockets, which only the kernel's socket diagnosis tells."""
    found: dict[str, str] = {}
    ask = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_PEER, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
            link.settimeout(_WITHIN_S)
            link.send(struct.pack("=IHHII", 16 + len(ask), _BY_FAMILY, _DUMP, 1, 0) + ask)
            while _take(link.recv(1 << 16), found):
                pass
    except OSError:
        return found
    return found


def _take(raw: bytes, found: dict[str, str]) -> bool:
    """Enter the peers of one answer; return whether more answers follow."""
    at = 0
    while at + 16 <= len(raw):
        size, kind = struct.unpack_from("=IH", raw, at)
        if kind in (_DONE, _ERROR) or size < 16:
            return False
        inode = struct.unpack_from("=I", raw, at + 20)[0]
        attribute = at + 32
        while attribute + 8 <= at + size:
            length, name = struct.unpack_from("=HH", raw, attribute)
            if name == _PEER:
                found[str(inode)] = str(struct.unpack_from("=I", raw, attribute + 4)[0])
            attribute += max(4, (length + 3) // 4 * 4)
        at += (size + 3) // 4 * 4
    return True

"""What the proxy does to a connection, by what a client and a server on its two sides see."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ipclab.faults.proxy.handle import Proxy
from tests.support.proxies import PATIENCE_S, SILENCE_S, Connect, echoes, is_reset, is_silent, receive


@pytest.fixture
def client(proxy: Proxy, connect: Connect) -> socket.socket:
    """A client whose connection through the proxy has been used."""
    client = connect(proxy)
    assert echoes(client, b"hello")
    return client


@dataclass(slots=True)
class Pair:
    """A proxy with a client on one side, and on the other the server's end of the same connection."""

    proxy: Proxy
    client: socket.socket
    server: socket.socket


@pytest.fixture
def pair(connect: Connect, nothing_left: None) -> Iterator[Pair]:
    """Both ends of a connection through a proxy in the hands of the test."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Proxy("127.0.0.1", listener.getsockname()[1], "fork") as proxy,
    ):
        listener.settimeout(PATIENCE_S)
        client = connect(proxy)
        server, _ = listener.accept()
        with server:
            server.settimeout(PATIENCE_S)
            yield Pair(proxy, client, server)


def data_segments_received(side: socket.socket) -> int:
    """What the kernel has counted (``tcpi_data_segs_in``)."""
    info = side.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("I", info, 152)[0])


def test_what_is_sent_comes_through_in_both_directions_and_is_counted(
    proxy: Proxy, client: socket.socket
) -> None:
    message = os.urandom(1_000_000)
    client.setblocking(False)
    sent, got = 0, b""
    while len(got) < len(message):
        readable, writable, _ = select.select([client], [client] if sent < len(message) else [], [], 20)
        if writable:
            sent += client.send(message[sent : sent + 65536])
        if readable:
            got += client.recv(65536)
    assert got == message
    assert proxy.forwarded() == (1_000_005, 1_000_005)


def test_a_close_is_passed_on_and_leaves_the_other_direction_open(pair: Pair) -> None:
    pair.client.sendall(b"last words")
    pair.client.shutdown(socket.SHUT_WR)
    assert receive(pair.server, 100) == b"last words"
    pair.server.sendall(b"an answer")
    pair.server.close()
    assert receive(pair.client, 100) == b"an answer"


def test_a_reset_of_one_side_is_passed_on_to_the_other(pair: Pair) -> None:
    pair.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.server.close()
    assert is_reset(pair.client)


def test_a_server_that_refuses_resets_the_client(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    # It may come as soon as the proxy has accepted, before the client knows that it is connected.
    with Proxy("127.0.0.1", port, "fork") as proxy, pytest.raises(ConnectionResetError):
        connect(proxy).recv(1)


def test_a_black_hole_swallows_and_never_gives_back(proxy: Proxy, client: socket.socket) -> None:
    proxy.swallow()
    client.sendall(b"gone" * 1_000_000)
    assert is_silent(client)
    assert proxy.forwarded() == (5, 5)
    proxy.pass_all()
    assert echoes(client, b"again")


def test_a_black_hole_accepts_new_connections_and_they_get_nothing_until_it_is_healed(
    proxy: Proxy, connect: Connect
) -> None:
    proxy.swallow()
    late = connect(proxy)
    late.sendall(b"gone")
    assert is_silent(late)
    proxy.pass_all()
    assert echoes(late, b"again")


def test_a_black_hole_does_not_tell_that_the_other_side_has_gone(pair: Pair) -> None:
    pair.proxy.swallow()
    pair.server.close()
    assert is_silent(pair.client)
    pair.proxy.pass_all()
    assert receive(pair.client, 1) == b""


def test_held_bytes_are_forwarded_once_it_passes(proxy: Proxy, client: socket.socket) -> None:
    proxy.hold()
    client.sendall(b"patience")
    assert is_silent(client)
    assert proxy.forwarded() == (5, 5)
    proxy.pass_all()
    assert receive(client, 8) == b"patience"


def test_a_held_sender_is_not_relieved_of_its_bytes(proxy: Proxy, client: socket.socket) -> None:
    proxy.hold()
    client.setblocking(False)
    taken = 0
    while select.select([], [client], [], SILENCE_S)[1]:
        taken += client.send(b"x" * 65536)
        assert taken < 100_000_000
    assert proxy.forwarded() == (5, 5)


def test_a_reset_reaches_both_sides_of_every_connection_and_later_ones_pass(
    pair: Pair, proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    pair.proxy.reset()
    assert is_reset(pair.client)
    assert is_reset(pair.server)
    another = connect(proxy)
    proxy.reset()
    assert is_reset(client)
    assert is_reset(another)
    assert echoes(connect(proxy), b"later")


def test_a_reset_in_a_black_hole_leaves_the_black_hole(
    proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    proxy.swallow()
    proxy.reset()
    assert is_reset(client)
    late = connect(proxy)
    late.sendall(b"gone")
    assert is_silent(late)


def test_a_trap_upwards_holds_to_the_byte(pair: Pair) -> None:
    pair.proxy.hold_after("up", 300_000)
    assert not pair.proxy.held(0.0)
    pair.client.sendall(bytes(400_000))
    assert receive(pair.server, 300_000) == bytes(300_000)
    assert pair.proxy.held(PATIENCE_S)
    assert is_silent(pair.server)
    assert pair.proxy.forwarded() == (300_000, 0)
    pair.server.sendall(b"held as well")
    assert is_silent(pair.client)
    pair.proxy.pass_all()
    assert receive(pair.server, 100_000) == bytes(100_000)
    assert receive(pair.client, 12) == b"held as well"


def test_a_trap_downwards_holds_one_connection_and_no_other(
    proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    proxy.hold_after("down", 4)
    client.sendall(b"0123456789")
    assert proxy.held(PATIENCE_S)
    assert receive(client, 4) == b"0123"
    assert is_silent(client)
    assert echoes(connect(proxy), b"more than four bytes")
    proxy.reset()
    assert is_reset(client)
    assert echoes(connect(proxy), b"more than four bytes")


def test_a_trap_counts_each_connection_by_itself(
    proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    another = connect(proxy)
    proxy.hold_after("up", 6)
    assert echoes(client, b"12345")
    assert echoes(another, b"12345")
    assert not proxy.held(0.0)
    client.sendall(b"67")
    assert proxy.held(PATIENCE_S)


def test_the_message_of_a_dead_sender_ends_where_the_trap_held_it_once_it_is_reset(pair: Pair) -> None:
    pair.proxy.hold_after("up", 1000)
    pair.client.sendall(bytes(5000))
    assert pair.proxy.held(PATIENCE_S)
    pair.client.close()
    assert receive(pair.server, 1000) == bytes(1000)
    assert is_silent(pair.server)
    pair.proxy.reset()
    assert is_reset(pair.server)


def test_the_request_arrives_and_its_reply_is_dropped_once(pair: Pair, connect: Connect) -> None:
    pair.proxy.drop_reply()
    assert not pair.proxy.dropped(0.0)
    pair.client.sendall(b"request")
    assert receive(pair.server, 7) == b"request"
    pair.server.sendall(b"reply")
    assert pair.proxy.dropped(PATIENCE_S)
    assert is_reset(pair.client)
    assert is_reset(pair.server)
    assert pair.proxy.forwarded() == (7, 0)


def test_after_one_dropped_reply_everything_passes(
    proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    another = connect(proxy)
    proxy.drop_reply()
    client.sendall(b"request")
    assert proxy.dropped(PATIENCE_S)
    assert is_reset(client)
    assert echoes(another, b"request")
    assert echoes(connect(proxy), b"request")


def test_what_was_asked_for_before_is_not_the_reply_that_is_dropped(pair: Pair) -> None:
    pair.client.sendall(b"a blocking request")
    assert receive(pair.server, 18) == b"a blocking request"
    pair.proxy.drop_reply()
    pair.server.sendall(b"pushed")
    assert receive(pair.client, 6) == b"pushed"
    assert not pair.proxy.dropped(0.0)


def test_what_was_asked_for_before_is_the_delivery_that_is_dropped(pair: Pair) -> None:
    pair.client.sendall(b"a blocking request")
    assert receive(pair.server, 18) == b"a blocking request"
    pair.proxy.drop_delivery()
    pair.server.sendall(b"pushed")
    assert pair.proxy.dropped(PATIENCE_S)
    assert is_reset(pair.client)


def test_a_drop_that_was_not_needed_is_called_off_by_pass_all(proxy: Proxy, client: socket.socket) -> None:
    proxy.drop_reply()
    proxy.pass_all()
    assert echoes(client, b"kept")
    assert not proxy.dropped(0.0)


def test_delayed_bytes_come_later_and_in_their_order(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay(0.1)
    began_s = time.monotonic()
    for part in (b"one ", b"two ", b"three"):
        client.sendall(part)
        time.sleep(0.01)
    assert receive(client, 13) == b"one two three"
    assert time.monotonic() - began_s >= 0.2  # there and back
    proxy.pass_all()
    assert echoes(client, b"now")


def test_sliced_bytes_come_whole_and_in_a_segment_of_each_slice(pair: Pair) -> None:
    pair.server.sendall(bytes(1000))
    assert receive(pair.client, 1000) == bytes(1000)
    before = data_segments_received(pair.client)
    assert before < 50
    pair.proxy.slice(10)
    message = os.urandom(1000)
    pair.server.sendall(message)
    assert receive(pair.client, 1000) == message
    assert data_segments_received(pair.client) - before >= 100


def test_a_limited_line_takes_its_time(proxy: Proxy, client: socket.socket) -> None:
    proxy.limit(100_000)
    began_s = time.monotonic()
    assert echoes(client, bytes(30_000))
    assert time.monotonic() - began_s >= 0.25
    proxy.pass_all()
    assert echoes(client, b"fast again")


def test_half_open_closes_the_servers_side_and_keeps_the_clients_silent(pair: Pair) -> None:
    pair.proxy.half_open()
    assert receive(pair.server, 1) == b""
    pair.client.sendall(b"anybody there?" * 1000)
    assert is_silent(pair.client)
    pair.proxy.pass_all()
    assert is_reset(pair.client)


def test_a_client_may_leave_a_half_open_connection(proxy: Proxy, client: socket.socket) -> None:
    proxy.half_open()
    client.shutdown(socket.SHUT_WR)
    assert receive(client, 1) == b""


def test_half_open_leaves_new_connections_alone(proxy: Proxy, connect: Connect) -> None:
    proxy.half_open()
    assert echoes(connect(proxy), b"new")


def test_what_was_swallowed_is_missing_from_no_connection_that_goes_on(
    proxy: Proxy, client: socket.socket, connect: Connect
) -> None:
    proxy.swallow()
    during = connect(proxy)
    for side in (client, during):
        side.sendall(b"lost")
    proxy.reset_and_pass()
    assert is_reset(client)
    assert is_reset(during)
    assert echoes(connect(proxy), b"hello again")

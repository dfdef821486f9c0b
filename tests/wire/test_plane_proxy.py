"""PROXY headers: who may and must send them, who the client is then, and what goes to origins that want them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire.plane_ends import End, read_messages
from tests.wire.plane_rig import LOG, Rig
from worker.plane.proxy_doors import read, written
from worker.settings import packed_networks

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LOCAL_GET = b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = [(bytes([127, 0, 0, 0]), 8)]
TCP4 = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n"
V2 = written(ipaddress.ip_address("2001:db8::7").packed, 4712, bytes(16), 80)
NAMELESS = [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", written(b"", 0, b"", 0)]


def head_at(rig: Rig, number: int = 0) -> dict[bytes, bytes]:
    """The fields that the origin got, lower-cased."""
    message = read_messages(bytes(rig.origin(number).got))[0]
    return {name.lower(): value for name, value in message.fields}


# ---- in


@pytest.mark.parametrize(("header", "client"), [(TCP4, "192.0.2.7"), (V2, "2001:db8::7")])
def test_the_client_is_who_the_header_says(
    make_rig: Callable[..., Rig], header: bytes, client: str
) -> None:
    rig = make_rig(announced=LOOPBACK, log=LOG.replace("$request ", "$remote_port $request "))
    end = rig.client(header + GET)
    rig.origin().send(OK)
    assert rig.response(end).status == 200
    assert head_at(rig)[b"x-forwarded-for"] == client.encode()
    assert rig.lines(1)[0].client == client
    end.take()
    end.send(GET)  # the header was for the connection
    rig.until(lambda: rig.origins[0].heads() == 2)
    rig.origins[0].ends[0].send(OK)
    rig.response(end)
    assert [line.client for line in rig.lines(2)] == [client, client]


@pytest.mark.parametrize("header", [TCP4, V2])
def test_a_header_cut_at_every_octet(make_rig: Callable[..., Rig], header: bytes) -> None:
    rig = make_rig(announced=LOOPBACK)
    for cut in range(1, len(header) + 1):
        end = rig.client(header[:cut])
        rig.settle(0.001)
        end.send(header[cut:] + LOCAL_GET)
        assert rig.response(end).status == 200
    assert {line.client for line in rig.lines(len(header))} <= {"192.0.2.7", "2001:db8::7"}


@pytest.mark.parametrize("header", NAMELESS, ids=["UNKNOWN", "LOCAL", "UNSPEC"])
def test_a_header_that_names_nobody_leaves_the_sender(
    make_rig: Callable[..., Rig], header: bytes
) -> None:
    rig = make_rig(announced=LOOPBACK)
    assert rig.response(rig.client(header + LOCAL_GET)).status == 200
    assert rig.lines(1)[0].client == "127.0.0.1"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (GET, "it begins with no PROXY protocol header"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 0x10 80\r\n" + GET, "a port in the PROXY line"),
        (b"PROXY " + b"x" * 200, "longer than 107 bytes"),
        (V2[:13] + b"\xff" + V2[14:], "unknown address family"),
    ],
)
def test_who_must_send_a_header_and_does_not_is_turned_away(
    make_rig: Callable[..., Rig], data: bytes, cause: str
) -> None:
    rig = make_rig(announced=LOOPBACK)
    end = rig.client(data)
    rig.ended(end)
    assert end.got == b""
    assert rig.origins[0].ends == []
    [(client, said)] = rig.events.unwelcomed
    assert client == "127.0.0.1"
    assert cause in said


def test_a_header_that_does_not_come_in_time(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=LOOPBACK, header_ms=150)
    silent, slow = rig.client(), rig.client(TCP4[:10])
    for end in (silent, slow):
        rig.ended(end)
        assert end.got == b""
    assert {said for _, said in rig.events.unwelcomed} == {
        "its PROXY header did not come within [timeouts] header"
    }


def test_a_connection_that_only_looks_whether_the_port_is_open(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(announced=LOOPBACK)
    rig.client().half_close()
    rig.ended(rig.clients[0])
    assert rig.events.unwelcomed == []
    rig.client(TCP4[:9]).half_close()
    rig.ended(rig.clients[1])
    assert rig.events.unwelcomed == [("127.0.0.1", "it ended within its PROXY header")]


def test_from_elsewhere_a_header_is_no_request(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=[(bytes([10, 0, 0, 0]), 8)])
    assert rig.response(rig.client(LOCAL_GET)).status == 200
    for header in (TCP4, V2):
        end = rig.client(header + LOCAL_GET)
        rig.ended(end)
        assert rig.response(end).status == 400
    assert {line.client for line in rig.lines(3)} == {"127.0.0.1"}


def test_other_listeners_are_as_before(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=LOOPBACK, announced_listeners={1})
    assert rig.response(rig.client(LOCAL_GET)).status == 200


def test_a_connection_within_its_header_is_cut_at_the_end(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=LOOPBACK)
    rig.client(TCP4[:9])
    rig.until(lambda: rig.plane.stats()["clients"] == 1)
    rig.plane.drain(100)
    rig.settle()
    assert rig.plane.stats()["clients"] == 1
    assert rig.plane.close_all() == 1
    rig.ended(rig.clients[0])


def test_forwarded_fields_are_believed_of_the_client_that_the_header_names(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(announced=LOOPBACK, trusted=packed_networks(["192.0.2.0/24"]))
    forwarded = b"GET /local HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    rig.response(rig.client(TCP4 + forwarded))
    rig.response(rig.client(TCP4.replace(b"192.0.2.7", b"198.51.100.1") + forwarded))
    assert [line.client for line in rig.lines(2)] == ["203.0.113.9", "198.51.100.1"]


def test_who_is_announced_from_elsewhere_is_not_of_this_host(make_rig: Callable[..., Rig]) -> None:
    own = (b"/own", {"reply_kind": 1, "reply_status": 200, "loopback_only": True})
    rig = make_rig(announced=LOOPBACK, built_in=[own])
    ask = b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n"
    rig.response(rig.client(b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n" + ask))
    away = rig.client(TCP4 + ask)
    rig.origin().send(OK)
    assert rig.response(away).body == b"ok"


def test_who_came_with_a_header_stays_where_that_is_known(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=LOOPBACK)
    rig.response(rig.client(TCP4 + LOCAL_GET))
    rig.settle()
    assert rig.plane.detach_idle() == []


def test_a_proxy_on_a_unix_socket(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig(announced=packed_networks(["unix"]))
    assert rig.response(rig.client(LOCAL_GET)).status == 200  # TCP is plain
    path = str(tmp_path / "web.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as ours:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        rig.plane.add_listener(listener.fileno(), 0, "unix")
        ours.connect(path)
        end = End(ours)
        rig.clients.append(end)
        end.send(V2 + LOCAL_GET)
        assert rig.response(end).status == 200
        assert rig.lines(2)[1].client == "2001:db8::7"
        rig.plane.remove_listener(listener.fileno())


# ---- out


def opened(rig: Rig, number: int = 0, peer: int = 0) -> tuple[str, int, str, int]:
    """Whom the connection of that number says it is for; its requests come behind that."""
    end = rig.origin(number, peer=peer)
    said = read(bytes(end.got))
    assert isinstance(said, tuple)
    size, version, source, port, destination, our_port = said
    assert version == 2
    del end.got[:size]
    if not source:
        return "", 0, "", 0
    names = [str(ipaddress.ip_address(address)) for address in (source, destination)]
    return names[0], port, names[1], our_port


def answered(rig: Rig, client: End, number: int) -> End:
    """Have the connection of that number answer; the client's connection is at rest again."""
    origin = rig.origin(number)
    origin.take()
    origin.send(OK)
    assert rig.response(client).status == 200
    client.take()
    return client


def test_a_connection_to_the_origin_tells_the_client(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"send_proxy": True})
    client = rig.client(GET)
    assert opened(rig) == (*client.socket.getsockname(), *rig.listener.getsockname())
    answered(rig, client, 0)
    client.send(GET)  # the same client, so the same connection
    answered(rig, client, 0)
    assert rig.plane.stats()["upstream_reused"] == 1


def test_two_clients_never_share_a_connection(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"send_proxy": True})
    clients = [rig.client() for _ in range(3)]
    seen: list[tuple[str, int]] = []
    for turn in range(2):
        for number, client in enumerate(clients):
            client.send(GET)
            rig.until(lambda wanted=turn * 3 + number + 1: rig.origins[0].heads() == wanted)
            if turn == 0:
                seen.append(opened(rig, number)[:2])
            end = rig.origins[0].ends[number]
            assert end.got.count(GET[:15]) == turn + 1
            end.send(OK)
            rig.response(client)
            client.take()
    assert seen == [client.socket.getsockname() for client in clients]
    assert len(rig.origins[0].ends) == 3
    assert rig.plane.stats()["idle_upstream"] == 3


def test_behind_a_trusted_proxy_the_client_is_who_it_forwards_for(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(peer={"send_proxy": True}, trusted=packed_networks(["loopback"]))
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n"
    client = rig.client(ask % b"203.0.113.9")
    assert opened(rig)[:2] == ("203.0.113.9", 0)
    answered(rig, client, 0)
    client.send(ask % b"2001:db8::9")  # the same connection, another client
    assert opened(rig, 1)[:3] == ("2001:db8::9", 0, "::ffff:7f00:1")
    answered(rig, client, 1)
    client.send(ask % b"203.0.113.9")
    answered(rig, client, 0)


def test_who_came_with_a_header_is_passed_on(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(announced=LOOPBACK, peer={"send_proxy": True})
    rig.client(TCP4 + GET)
    assert opened(rig)[:2] == ("192.0.2.7", 4711)
    rig.client(V2 + GET)
    assert opened(rig, 1)[:3] == ("2001:db8::7", 4712, "::ffff:7f00:1")


def test_a_retry_opens_with_a_header_of_its_own(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(origins=2, peer={"send_proxy": True}, route={"retry_attempts": 1})
    refusing = rig.origins.pop(0)
    refusing.close()
    for _ in range(4):  # whichever peer is first
        client = rig.client(GET)
        assert opened(rig, len(rig.clients) - 1)[:2] == client.socket.getsockname()
        answered(rig, client, len(rig.clients) - 1)


def test_a_connection_whose_client_has_left_serves_no_other(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"send_proxy": True})
    client = rig.client(GET)
    opened(rig)
    answered(rig, client, 0).close()
    rig.settle()
    assert rig.plane.stats()["idle_upstream"] == 1
    rig.client(GET)
    assert opened(rig, 1)[:2] == rig.clients[1].socket.getsockname()

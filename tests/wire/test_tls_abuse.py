"""TLS from clients that mean harm: floods without data, endless hellos, crowds at the door, garbage in the middle."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.wire.libssl_client import TLS1_2, TLS1_3, LibsslClient
from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig
from tests.wire.tls_ends import AUTHORITY, client_context, identity
from worker.plane.tls_context import TlsServer

MakeRig = Callable[..., Rig]
GET = b"GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> TlsServer:
    return TlsServer(identity())


@pytest.fixture
def clients() -> Iterator[list[LibsslClient]]:
    made: list[LibsslClient] = []
    yield made
    for client in made:
        client.close()


def established(rig: Rig, clients: list[LibsslClient], newest: int) -> tuple[End, LibsslClient]:
    """A connection whose handshake is done, and that has had an answer."""
    client, end = LibsslClient(newest), rig.client()
    clients.append(client)

    def done() -> bool:
        client.feed(end.take())
        over = client.shake()
        end.send(client.drain())
        return over

    rig.until(done)
    client.write(GET)
    assert b"here" in asked(rig, end, client)
    return end, client


def asked(rig: Rig, end: End, client: LibsslClient) -> bytes:
    """Send what the client has to say; its next answer."""
    end.send(client.drain())
    got = b""

    def answered() -> bool:
        nonlocal got
        client.feed(end.take())
        got += client.read()
        return b"here" in got

    rig.until(answered)
    return got


def hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def others_are_served(rig: Rig) -> None:
    assert rig.response(rig.client(GET)).body == b"here"
    assert rig.response(rig.client(GET, secure=client_context())).body == b"here"


# ---- floods without data


@pytest.mark.parametrize("asks", [True, False])
def test_keys_may_be_updated_but_not_for_ever(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient], asks: bool
) -> None:
    rig = make_rig(tls=server)
    end, client = established(rig, clients, TLS1_3)
    for _ in range(100):
        client.update_keys(asks=asks)
        client.write(GET)
        assert b"here" in asked(rig, end, client)
    for _ in range(5000):
        client.update_keys(asks=asks)
    flood = client.drain()
    assert len(flood) > 100_000
    end.send(flood)
    others_are_served(rig)
    rig.ended(end)
    assert len(end.take()) < 100_000  # what the server said to it


def test_a_renegotiation_is_refused_and_others_are_served(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient]
) -> None:
    rig = make_rig(tls=server)
    end, client = established(rig, clients, TLS1_2)
    client.renegotiate()
    end.send(client.drain())
    rig.until(lambda: end.got)
    client.feed(end.take())
    assert not client.shake()
    assert "no renegotiation" in client.error()
    others_are_served(rig)
    rig.settle()
    assert rig.plane.stats()["handshakes"] == 0


# ---- hellos


@pytest.mark.parametrize(
    "start",
    [
        b"\x16\x03\x01\x00\x04\x01\x01\xff\xff",  # 128 KiB are announced
        b"\x16\x03\x01\x02\x00\x01\x00\x40\x01",  # more than 16 KiB
        b"\x16\x03\x01\x00\x03\x01\x00\x00",  # or in one without room for its length
        b"\x16\x03\x01\x40\x01",  # in a record that may not be
        b"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x03\x01\xff\xff",  # in records of one and three octets
    ],
)
@pytest.mark.parametrize("cut", [True, False])
def test_a_hello_that_says_it_will_be_long_is_not_waited_for(
    make_rig: MakeRig, server: TlsServer, start: bytes, cut: bool
) -> None:
    rig = make_rig(tls=server)
    end = rig.client()
    for piece in [bytes([octet]) for octet in start] if cut else [start]:
        end.send(piece)
        rig.move()
    rig.ended(end)
    assert rig.events.unwelcomed[0][1] == "TLS handshake: its ClientHello is too long"


def test_a_hello_in_one_record_of_many_sizes_is_read(make_rig: MakeRig, server: TlsServer) -> None:
    """Names of different lengths, so that the record's length crosses 255 and 256 (RFC 8446 5.1)."""
    rig = make_rig(tls=server)
    for size in (1, 20, 60, 61, 62, 63):
        context = client_context()
        context.check_hostname = False
        context.set_alpn_protocols(["http/1.1", *(f"x{n:060}" for n in range(size))])
        end = rig.client(GET, secure=context)
        assert rig.response(end).body == b"here"


def test_garbage_after_a_hello_is_answered_with_an_alert(
    make_rig: MakeRig, server: TlsServer
) -> None:
    rig = make_rig(tls=server)
    end = rig.client(hello() + b"\x16\x03\x03\xff\xff" + bytes(200))
    rig.ended(end, "fin")
    assert end.got[-24:-19] == b"\x17\x03\x03\x00\x13"  # an alert, encrypted as all is by then
    assert rig.events.unwelcomed[0][1].startswith("TLS handshake: ")
    others_are_served(rig)


@pytest.mark.parametrize("newest", [TLS1_2, TLS1_3])
@pytest.mark.parametrize(
    "record",
    [
        b"\x17\x03\x03\x48\x01" + bytes(18433),  # larger than any may be
        b"\x17\x03\x03\x00\x40" + bytes(64),  # encrypted by nobody
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x99" * 40,
    ],
)
def test_a_bad_record_ends_its_connection_and_no_other(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient], record: bytes, newest: int
) -> None:
    rig = make_rig(tls=server)
    end, _ = established(rig, clients, newest)
    end.send(record)
    rig.ended(end)
    others_are_served(rig)


# ---- refusals that can be read


def test_who_is_refused_after_its_handshake_can_read_why(make_rig: MakeRig) -> None:
    """RFC 8446 4.4.2.4: the client sends its request before we have seen that it has no certificate."""
    strict = identity(client_ca=AUTHORITY.cert_pem.bytes(), client_verify="required")
    rig = make_rig(tls=TlsServer(strict))
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    end = rig.client(GET * 2000, secure=context)
    rig.until(lambda: end.problem)
    assert "certificate required" in str(end.problem)
    rig.ended(end, "fin")
    assert rig.plane.stats()["handshakes"] == 0
    rig.lines(0)


def test_a_certificate_of_hundreds_of_names_is_too_much(make_rig: MakeRig) -> None:
    strict = identity(client_ca=AUTHORITY.cert_pem.bytes(), client_verify="required")
    rig = make_rig(tls=TlsServer(strict))
    names = [f"{number:04}.a-rather-long-domain-name.test" for number in range(1200)]
    end = rig.client(GET, secure=client_context(AUTHORITY.issue_cert(*names)))
    rig.until(lambda: end.problem or end.ended)
    assert "excessive message size" in rig.events.unwelcomed[0][1]


# ---- crowds


def test_a_crowd_of_hellos_does_not_keep_others_waiting(
    make_rig: MakeRig, server: TlsServer
) -> None:
    rig = make_rig(tls=server, most_handshakes=1000)
    first = rig.client(GET)
    rig.response(first)
    first.take()
    said = hello()
    crowd = [rig.client(said) for _ in range(300)]
    first.send(GET)
    rig.plane.ready()  # eight turns at most
    first.move()
    assert first.got.endswith(b"here")
    for end in crowd:
        end.move()
    assert 0 < sum(bool(end.got) for end in crowd) <= 64
    rig.until(lambda: all(end.got for end in crowd))


def test_no_more_handshakes_begin_in_a_second_than_the_rate_says(
    make_rig: MakeRig, server: TlsServer
) -> None:
    rig = make_rig(tls=server, handshake_rate=20)
    said = hello()
    crowd = [rig.client(said) for _ in range(30)]
    rig.until(lambda: sum(bool(end.got) for end in crowd) >= 20)
    assert rig.plane.stats()["handshakes"] == 30
    rig.response(rig.client(GET))  # plain ones need not wait
    late = [end for end in crowd if not end.got]
    assert late
    rig.until(lambda: all(end.got for end in crowd))
    assert all(end.got[0] == 0x16 for end in crowd)
    assert not rig.events.unwelcomed


def test_who_has_to_wait_too_long_is_told_so_and_who_leaves_is_forgotten(
    make_rig: MakeRig, server: TlsServer
) -> None:
    rig = make_rig(tls=server, handshake_rate=1, handshake_ms=300)
    said = hello()
    crowd = [rig.client(said) for _ in range(12)]
    rig.until(lambda: rig.plane.stats()["handshakes"] == 12)
    for end in crowd[6:]:
        end.reset()
    rig.until(lambda: rig.plane.stats()["handshakes"] == 0)
    causes = {cause for _, cause in rig.events.unwelcomed}
    assert "TLS handshake: too many others began before it ([limits] handshake_rate)" in causes


def test_records_of_one_octet_are_served(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient]
) -> None:
    rig = make_rig(tls=server)
    end, client = established(rig, clients, TLS1_3)
    for octet in GET:
        client.write(struct.pack("B", octet))
    assert b"here" in asked(rig, end, client)


@pytest.mark.parametrize("newest", [TLS1_2, TLS1_3])
def test_who_has_said_goodbye_behind_its_request_is_answered(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient], newest: int
) -> None:
    """RFC 8446 6.1: each side closes its own direction."""
    rig = make_rig(tls=server)
    end, client = established(rig, clients, newest)
    client.write(GET.replace(b"/local", b"/from-the-origin"))
    client.say_goodbye()
    end.send(client.drain())
    rig.origin(0).send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
    assert asked(rig, end, client).endswith(b"here")
    rig.ended(end, "fin")


@pytest.mark.parametrize("says_so", [True, False])
def test_a_request_that_ends_in_its_body_is_not_taken_for_whole(
    make_rig: MakeRig, server: TlsServer, clients: list[LibsslClient], says_so: bool
) -> None:
    rig = make_rig(tls=server)
    end, client = established(rig, clients, TLS1_3)
    client.write(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    end.send(client.drain())
    origin = rig.origin(0, wanted=b"abc")
    if says_so:
        client.say_goodbye()
        end.send(client.drain())
    end.close()
    rig.until(lambda: origin.ended)
    assert b"\r\n0\r\n" not in origin.got

"""TLS towards clients, seen from the wire: bytes both ways, the first byte, half handshakes, the end."""

from __future__ import annotations

import os
import ssl

import pytest

from tests.wire.plane_rig import LOG
from tests.wire.tls_ends import AUTHORITY, client_context, identity
from worker.plane.tls_context import TlsServer
from worker.plane.tls_facts import libssl

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def server() -> TlsServer:
    return TlsServer(identity())


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def context(request):
    made = client_context()
    version = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}[request.param]
    made.minimum_version = made.maximum_version = version
    return made


def answered(rig, end, number=0, answer=OK):
    origin = rig.origin(number)
    origin.send(answer)
    return rig.response(end)


def test_a_request_over_tls_is_served(make_rig, server, context):
    rig = make_rig(tls=server, scheme="https")
    end = rig.client(GET, secure=context)
    reply = answered(rig, end)
    assert reply.body == b"ok"
    assert b"X-Forwarded-Proto: https\r\n" in rig.origins[0].ends[0].got
    end.take()
    end.send(GET)
    rig.origins[0].ends[0].take()
    rig.origin(0).send(OK)
    assert rig.response(end).status == 200
    assert not rig.events.unwelcomed


def test_one_port_serves_both_and_the_first_byte_tells(make_rig, server, context):
    rig = make_rig(tls=server, origins=1)
    secret = rig.client(GET, secure=context)
    assert answered(rig, secret).body == b"ok"
    plain = rig.client(GET)
    rig.origins[0].ends[0].take()
    rig.origin(0).send(OK)
    assert rig.response(plain).body == b"ok"
    assert b"X-Forwarded-Proto: http\r\n" in rig.origins[0].ends[0].got


def test_a_plain_request_to_a_port_for_tls_is_told_so(make_rig, server):
    rig = make_rig(tls=server, scheme="https")
    end = rig.client(GET)
    rig.ended(end, "fin")
    assert end.got.startswith(b"HTTP/1.1 400 ")
    assert rig.response(end).body.startswith(b"This port speaks TLS")
    assert [said for _, said in rig.events.unwelcomed] == [
        "TLS handshake: it began with something else"
    ]


def test_garbage_on_a_port_for_tls_is_closed(make_rig, server):
    rig = make_rig(tls=server, scheme="https")
    end = rig.client(b"\x00\x01\x02")
    rig.ended(end)
    assert bytes(end.got) == b""


def test_large_bodies_pass_both_ways(make_rig, server, context):
    rig = make_rig(tls=server)
    body = os.urandom(3_000_000)
    head = b"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    end = rig.client(head + body, secure=context)
    origin = rig.origin(0)
    rig.until(lambda: origin.got.endswith(body[-64:]))
    assert bytes(origin.got).partition(b"\r\n\r\n")[2] == body
    origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert rig.response(end).body == body


def test_a_client_that_reads_slowly_gets_all_of_it(make_rig, server, context):
    rig = make_rig(tls=server)
    body = os.urandom(9_000_000)
    end = rig.client(GET, secure=context, receive_buffer=8192)
    origin = rig.origin(0)
    end.reading = False
    origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    rig.settle(0.1)
    assert rig.plane.stats()["active"] == 1
    end.reading = True
    assert rig.response(end).body == body


def test_many_small_requests_in_one_write(make_rig, server, context):
    rig = make_rig(tls=server)
    end = rig.client(b"GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400, secure=context)
    assert {reply.body for reply in rig.responses(end, 400)} == {b"here"}


def test_a_handshake_in_single_bytes(make_rig, server):
    rig = make_rig(tls=server)
    end = rig.client(secure=client_context(), server_name="localhost")
    assert rig.until(lambda: end.tls.version())
    again = rig.client()
    hello = client_hello()
    for at in range(len(hello)):
        again.send(hello[at : at + 1])
        rig.move()
    rig.until(lambda: len(again.got) > 100)
    assert again.got[0] == 0x16


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_a_handshake_that_does_not_end_in_time_is_closed(make_rig, server):
    rig = make_rig(tls=server, handshake_ms=150)
    hello = client_hello()
    ends = [rig.client(hello[:200]) for _ in range(50)]
    rig.until(lambda: rig.plane.stats()["handshakes"] == 50)
    for end in ends:
        rig.ended(end)
    assert {said for _, said in rig.events.unwelcomed} == {
        "TLS handshake: it did not end within [timeouts] handshake"
    }
    assert rig.plane.stats()["handshakes"] == 0


def test_more_handshakes_at_once_than_allowed_are_refused(make_rig, server):
    rig = make_rig(tls=server, most_handshakes=5)
    hello = client_hello()
    ends = [rig.client(hello[:100]) for _ in range(8)]
    rig.until(lambda: sum(bool(end.ended) for end in ends) == 3)
    assert rig.plane.stats()["handshakes"] == 5
    served = [end for end in ends if not end.ended]
    served[0].send(hello[100:])
    rig.until(lambda: served[0].got)


def test_versions_before_1_2_are_refused(make_rig, server):
    rig = make_rig(tls=server)
    context = client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    end = rig.client(GET, secure=context)
    rig.until(lambda: end.problem)
    assert "protocol" in str(end.problem)
    assert "version" in rig.events.unwelcomed[0][1] or "protocol" in rig.events.unwelcomed[0][1]


def test_alpn_agrees_on_http_1_1_and_refuses_what_is_no_http(make_rig, server):
    rig = make_rig(tls=server)
    context = client_context()
    context.set_alpn_protocols(["imap", "http/1.1"])
    end = rig.client(GET, secure=context)
    answered(rig, end)
    assert end.tls.selected_alpn_protocol() == "http/1.1"
    end.close()
    context = client_context()
    context.set_alpn_protocols(["imap"])
    other = rig.client(GET, secure=context)
    rig.until(lambda: other.problem)


def test_alpn_agrees_on_http_2_when_the_client_knows_it(make_rig, server):
    rig = make_rig(tls=server, scheme="https")
    context = client_context()
    context.set_alpn_protocols(["http/1.1", "h2"])
    end = rig.client(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), secure=context
    )
    rig.until(
        lambda: bytes(end.got).count(b"\x04\x01\x00\x00\x00\x00")
    )  # their SETTINGS acknowledged
    assert end.tls.selected_alpn_protocol() == "h2"


def test_the_end_is_said_after_a_whole_answer(make_rig, server, context):
    rig = make_rig(tls=server)
    end = rig.client(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), secure=context)
    assert answered(rig, end).body == b"ok"
    rig.ended(end, "fin")
    assert end.closed_well
    assert end.problem is None


def test_an_answer_that_is_cut_is_not_ended_well(make_rig, server, context):
    rig = make_rig(tls=server)
    end = rig.client(GET.replace(b"1.1\r\n", b"1.0\r\n"), secure=context)
    origin = rig.origin(0)
    # without a length only the close would end it
    origin.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")
    rig.until(lambda: b"only this" in end.got)
    origin.close()
    rig.ended(end)
    assert not end.closed_well


def test_names_choose_certificates(make_rig):
    names = {"a.test": identity("a.test", mark=b"a"), "*.b.test": identity("*.b.test", mark=b"b")}
    rig = make_rig(tls=TlsServer(identity("localhost"), names))
    for name in ("localhost", "a.test", "A.TEST", "x.b.test"):
        end = rig.client(secure=client_context(), server_name=name)
        assert rig.until(lambda end=end: end.tls.version()), end.problem
    end = rig.client(secure=client_context(), server_name="other.test")
    rig.until(lambda: end.problem)
    assert "not valid for 'other.test'" in str(end.problem)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_required_where_the_name_says_so(make_rig, version):
    authority = AUTHORITY.cert_pem.bytes()
    secret = identity("in.test", mark=b"s", client_ca=authority, client_verify="required")
    rig = make_rig(tls=TlsServer(identity("localhost"), {"in.test": secret}))
    context = client_context()
    context.minimum_version = context.maximum_version = version
    end = rig.client(GET, secure=context, server_name="in.test")
    rig.until(lambda: end.problem)
    assert "did not return a certificate" in rig.events.unwelcomed[0][1]
    shown = client_context(AUTHORITY.issue_cert("joe@in.test"))
    shown.minimum_version = shown.maximum_version = version
    assert answered(rig, rig.client(GET, secure=shown, server_name="in.test")).status == 200


@pytest.fixture
def guarded(make_rig):
    """in.test wants certificates of clients, localhost does not."""
    authority = AUTHORITY.cert_pem.bytes()
    secret = identity("in.test", mark=b"s", client_ca=authority, client_verify="required")
    return make_rig(tls=TlsServer(identity("localhost"), {"in.test": secret}))


def asking(host):
    return GET.replace(b"localhost", host)


@pytest.mark.parametrize("host", [b"in.test", b"IN.test", b"in.test:443", b"in.test."])
@pytest.mark.parametrize("secure", [True, False])
def test_no_request_gets_round_the_certificate_by_naming_the_host(guarded, host, secure):
    context = client_context(AUTHORITY.issue_cert("joe@in.test")) if secure else None
    for request in (asking(host), asking(b"x").replace(b"/x", b"http://" + host + b"/x")):
        end = guarded.client(request, secure=context)
        assert guarded.response(end).status == 421
    assert not guarded.origins[0].ends


def test_who_has_shown_a_certificate_and_who_asks_for_another_host_is_served(guarded):
    shown = client_context(AUTHORITY.issue_cert("joe@in.test"))
    end = guarded.client(asking(b"in.test"), secure=shown, server_name="in.test")
    assert answered(guarded, end).status == 200
    end.take()
    end.send(GET)
    guarded.origin(0).send(OK)
    assert guarded.response(end).status == 200
    plain = guarded.client(GET)
    guarded.origin(0).send(OK)
    assert guarded.response(plain).status == 200


def test_the_log_tells_of_the_connection(make_rig):
    rig = make_rig(
        tls=TlsServer(identity()), log=f"{LOG} $scheme $ssl_protocol $ssl_cipher $ssl_server_name"
    )
    answered(rig, rig.client(GET, secure=client_context()))
    # The client likes AES-256 better; it has no say. BoringSSL has an order of its own.
    suite = "AES_256_GCM_SHA384" if libssl().startswith("BoringSSL") else "AES_128_GCM_SHA256"
    assert rig.lines(1)[0].request.endswith(f" https TLSv1.3 TLS_{suite} localhost")

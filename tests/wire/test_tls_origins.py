"""TLS towards origins: whom we believe, who we are, what never shares a connection, and sessions that go on."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
import trustme

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig
from tests.wire.tls_origin import CA, TlsOriginEnd, secure_rig
from worker.plane.tls_client import TlsClient, TlsOrigin

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WHOLE = b"\r\n0\r\n\r\n"  # the last chunk
MakeRig = Callable[..., Rig]


def asked(rig: Rig, number: int = 0, peer: int = 0) -> End:
    """Answer the request that comes over the connection of that number."""
    end = rig.origin(number, peer=peer)
    end.take()
    return end.send(OK)


def answered(rig: Rig, client: End) -> bytes:
    body = rig.response(client).body
    client.take()
    return body


def refused(rig: Rig) -> str:
    """The cause of the one 502 that a request gets."""
    client = rig.client(GET)
    assert rig.response(client).status == 502
    line = rig.lines(1)[0]
    assert (line.status, line.ending) == (502, "tls_failed")
    [(status, cause)] = rig.events.refusals
    assert status == 502
    return cause


# ---- whom we believe


@pytest.mark.parametrize("name", ["origin.test", "127.0.0.1", "::1"])
def test_a_good_certificate(make_rig: MakeRig, name: str) -> None:
    rig = secure_rig(make_rig, name=name, issued_to=[name])
    client = rig.client(GET)
    asked(rig)
    assert answered(rig, client) == b"ok"
    assert rig.lines(1)[0].ending == "ok"


def test_the_name_asked_for_is_that_of_the_url_and_an_address_is_none(make_rig: MakeRig) -> None:
    for name, wanted in (("origin.test", "origin.test"), ("127.0.0.1", None)):
        rig = secure_rig(make_rig, name=name, issued_to=[name])
        rig.client(GET)
        end = asked(rig)
        assert isinstance(end, TlsOriginEnd)
        assert end.asked_for == wanted


@pytest.mark.parametrize(
    ("name", "issued_to", "why"),
    [
        ("origin.test", ["other.test"], "hostname mismatch"),
        ("a.b.test", ["*.test"], "hostname mismatch"),
        ("127.0.0.1", ["127.0.0.2"], "IP address mismatch"),
        ("127.0.0.1", ["localhost"], "IP address mismatch"),
    ],
)
def test_a_certificate_for_somebody_else(
    make_rig: MakeRig, name: str, issued_to: list[str], why: str
) -> None:
    cause = refused(secure_rig(make_rig, name=name, issued_to=issued_to))
    assert cause.lower() == f"tls with the origin failed: certificate verify failed ({why.lower()})"


def test_a_certificate_of_another_authority(make_rig: MakeRig) -> None:
    cause = refused(secure_rig(make_rig, authority=trustme.CA()))
    assert "certificate verify failed (" in cause
    assert "certificate" in cause.partition("(")[2]


def test_the_system_does_not_know_our_authority(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, client=TlsClient())
    assert "unable to get local issuer certificate" in refused(rig)


def test_an_expired_certificate(make_rig: MakeRig) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    cause = refused(secure_rig(make_rig, not_after=past))
    assert "(certificate has expired)" in cause


def test_only_where_it_is_spelled_out_anybody_is_believed(make_rig: MakeRig) -> None:
    rig = secure_rig(
        make_rig, client=TlsClient(verify=False), authority=trustme.CA(), issued_to=["other.test"]
    )
    client = rig.client(GET)
    asked(rig)
    assert answered(rig, client) == b"ok"
    with pytest.raises(ValueError, match="needs a name"):
        TlsOrigin(TlsClient(), b"", False)


# ---- who we are, and how


def test_an_origin_that_wants_a_certificate_gets_ours(make_rig: MakeRig) -> None:
    ours = CA.issue_cert("proxy.test")
    chain = b"".join(blob.bytes() for blob in ours.cert_chain_pems)
    shown = TlsClient(
        authorities=CA.cert_pem.bytes(), chain=chain, key=ours.private_key_pem.bytes()
    )
    rig = secure_rig(make_rig, client=shown, wants_certificate=True)
    client = rig.client(GET)
    end = asked(rig)
    assert isinstance(end, TlsOriginEnd)
    assert end.peer_name == "proxy.test"
    assert answered(rig, client) == b"ok"


@pytest.mark.parametrize("newest", ["1.2", "1.3"])
def test_an_origin_that_wants_a_certificate_and_gets_none(make_rig: MakeRig, newest: str) -> None:
    rig = secure_rig(make_rig, wants_certificate=True, newest=newest)
    client = rig.client(GET)
    assert rig.response(client).status == 502
    [(_, cause)] = rig.events.refusals
    # with TLS 1.3 the origin says so only after the handshake (RFC 8446 4.4.2.4)
    said = "certificate required" if newest == "1.3" else "handshake failure"
    assert cause.startswith("TLS with the origin failed: ")
    assert cause.endswith(f"alert {said}")
    assert rig.lines(1)[0].ending == "tls_failed"


def test_an_origin_that_turns_us_away_while_we_send_is_heard_all_the_same(
    make_rig: MakeRig,
) -> None:
    rig = secure_rig(make_rig, wants_certificate=True, newest="1.3")
    size = 20_000_000
    client = rig.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    end = rig.origins[0]
    rig.until(lambda: end.ends and end.ends[0].problem)  # type: ignore[attr-defined]
    client.send(bytes(size))
    assert rig.response(client).status == 502
    [(_, cause)] = rig.events.refusals
    assert cause.endswith("certificate required")


def test_an_origin_that_just_leaves_after_its_handshake_has_not_failed_at_tls(
    make_rig: MakeRig,
) -> None:
    for leave in (End.close, End.reset):
        rig = secure_rig(make_rig)
        client = rig.client(GET)
        leave(rig.origin())
        assert rig.response(client).status == 502
        assert rig.lines(1)[0].ending == "upstream_closed"
        assert rig.events.refusals[0][1].startswith("the origin closed the connection")


def test_a_key_of_another_certificate_is_no_identity() -> None:
    one, other = CA.issue_cert("a.test"), CA.issue_cert("b.test")
    with pytest.raises(ValueError, match="not that of the certificate"):
        TlsClient(chain=one.cert_chain_pems[0].bytes(), key=other.private_key_pem.bytes())
    with pytest.raises(ValueError, match="no certificate to believe"):
        TlsClient(authorities=b"nothing")


def test_an_origin_that_is_too_old(make_rig: MakeRig) -> None:
    modern = TlsClient(authorities=CA.cert_pem.bytes(), min_version="1.3")
    for client, newest in ((modern, "1.2"), (None, "1.0")):
        cause = refused(secure_rig(make_rig, client=client, newest=newest))
        assert "version" in cause or "unsupported protocol" in cause


def test_http_1_is_what_we_say_we_speak(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig)
    rig.client(GET)
    end = asked(rig)
    assert isinstance(end, TlsOriginEnd)
    assert end.tls.selected_alpn_protocol() == "http/1.1"


# ---- what goes wrong


def test_an_origin_that_speaks_plainly(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, plain=True)
    client = rig.client(GET)
    rig.until(lambda: rig.origins[0].ends and rig.origins[0].ends[0].got)
    rig.origins[0].ends[0].send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert rig.response(client).status == 502
    assert rig.lines(1)[0].ending == "tls_failed"


def test_an_origin_that_leaves_within_the_handshake(make_rig: MakeRig) -> None:
    for leave in (End.close, End.reset):
        rig = secure_rig(make_rig, plain=True)
        client = rig.client(GET)
        rig.until(lambda rig=rig: rig.origins[0].ends and rig.origins[0].ends[0].got)
        leave(rig.origins[0].ends[0])
        assert rig.response(client).status == 502
        assert rig.lines(1)[0].ending == "tls_failed"
        assert "the connection was" in rig.events.refusals[0][1]


def test_a_handshake_that_does_not_end_in_time(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, plain=True, route={"connect_ms": 200})
    client = rig.client(GET)
    assert rig.response(client).status == 504
    assert rig.lines(1)[0].ending == "connect_timeout"


def test_a_client_that_leaves_within_the_handshake(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, plain=True)
    client = rig.client(GET)
    rig.until(lambda: rig.origins[0].ends and rig.origins[0].ends[0].got)
    client.reset()
    assert rig.lines(1)[0].status == 499


def test_another_peer_is_tried_and_each_only_once(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, origins=2, route={"retry_attempts": 5}, authority=trustme.CA())
    assert rig.response(rig.client(GET)).status == 502
    assert rig.lines(1)[0].retries == 1
    assert [len(origin.ends) for origin in rig.origins] == [1, 1]


def test_the_end_of_a_body_without_length_must_be_said(make_rig: MakeRig) -> None:
    """RFC 8446 6.1: without close_notify anybody may have cut the connection."""
    until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"
    for says_so in (True, False):
        rig = secure_rig(make_rig)
        client = rig.client(GET)
        end = rig.origin().send(until_close)
        rig.until(lambda client=client: b"all of it" in client.got)
        assert isinstance(end, TlsOriginEnd)
        end.leave(says_so)
        rig.until(lambda client=client: client.ended or client.got.endswith(WHOLE))
        assert client.got.endswith(WHOLE) is says_so


# ---- connections and sessions


def test_a_connection_is_used_again(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig)
    for _ in range(3):
        client = rig.client(GET)
        asked(rig)
        assert answered(rig, client) == b"ok"
    assert len(rig.origins[0].ends) == 1
    assert rig.plane.stats()["upstream_reused"] == 2


def test_a_connection_that_the_origin_has_ended_is_not_used_again(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig)
    client = rig.client(GET)
    end = asked(rig)
    answered(rig, client)
    assert isinstance(end, TlsOriginEnd)
    end.leave(True)
    rig.until(lambda: rig.plane.stats()["idle_upstream"] == 0)
    client.send(GET)
    asked(rig, 1)
    assert answered(rig, client) == b"ok"


def test_what_nobody_asked_for_ends_an_idle_connection(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig)
    client = rig.client(GET)
    end = asked(rig)
    answered(rig, client)
    end.send(b"HTTP/1.1 200 OK\r\n\r\n")
    rig.until(lambda: rig.plane.stats()["idle_upstream"] == 0)
    client.send(GET)
    asked(rig, 1)
    assert answered(rig, client) == b"ok"


@pytest.mark.parametrize("newest", ["1.2", "1.3"])
def test_the_second_connection_resumes_the_first_ones_session(
    make_rig: MakeRig, newest: str
) -> None:
    rig = secure_rig(make_rig, newest=newest)
    reused = []
    for number in range(3):
        client = rig.client(GET)
        end = rig.origin(number)
        assert isinstance(end, TlsOriginEnd)
        reused.append(end.tls.session_reused)
        end.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answered(rig, client) == b"ok"
    assert reused == [False, True, True]


def test_sessions_of_one_identity_are_not_anothers(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, origins=1)
    believer = TlsClient(authorities=CA.cert_pem.bytes())
    other = rig.make_peer(rig.origins[0].port, tls=TlsOrigin(believer, b"origin.test", False))
    reused = []
    for number, peer in enumerate([rig.peers[0], other, rig.peers[0], other]):
        rig.pool.set_peers([peer])
        client = rig.client(GET)
        end = rig.origin(number)
        assert isinstance(end, TlsOriginEnd)
        reused.append(end.tls.session_reused)
        end.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answered(rig, client)
    assert reused == [False, False, True, True]


@pytest.mark.parametrize("size", [1, 16384, 16385, 3_000_000])
def test_bodies_both_ways(make_rig: MakeRig, size: int) -> None:
    rig = secure_rig(make_rig)
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    client = rig.client(post + body)
    end = rig.origins[0]
    rig.until(
        lambda: end.ends and end.ends[0].got.endswith(body[-100:]) and len(end.ends[0].got) > size
    )
    assert bytes(end.ends[0].got).partition(b"\r\n\r\n")[2] == body
    end.ends[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)
    assert rig.response(client).body == body


def test_a_tunnel_to_an_origin_that_speaks_tls(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, route={"websocket": True, "tunnel_ms": 60000})
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client = rig.client(upgrade)
    end = rig.origin()
    end.take()
    switched = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    end.send(switched + b"first")
    rig.until(lambda: client.got.endswith(b"first"))
    data = bytes(range(256)) * 2000
    client.take()
    client.send(data)
    end.send(data)
    rig.until(lambda: len(client.got) == len(end.got) == len(data))
    assert client.got == end.got == data

"""HTTP/2 over TLS towards origins: agreed on by ALPN or not at all, verified and resumed like HTTP/1.1."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trustme

from tests.wire.h2_origin import H2Origin
from tests.wire.plane_rig import Rig
from tests.wire.tls_origin import TlsOriginEnd, secure_rig
from worker.plane.proxy_doors import read

GET = b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n"
MakeRig = Callable[..., Rig]


def over_tls(rig: Rig, number: int = 0) -> TlsOriginEnd:
    end = rig.origins[0].ends[number]
    assert isinstance(end, TlsOriginEnd)
    return end


def test_requests_share_a_connection(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, route={"h2": True})
    clients = [rig.client(GET % number) for number in range(3)]
    origin = H2Origin(rig)
    for number in range(3):
        link, asked = origin.request(number)
        assert asked.get(b":scheme") == b"https"
        origin.answer(link, asked, b"for " + (asked.get(b":path") or b""))
    for number, client in enumerate(clients):
        assert rig.response(client).body == b"for /%d" % number
    assert len(rig.origins[0].ends) == 1
    assert over_tls(rig).tls.selected_alpn_protocol() == "h2"
    assert over_tls(rig).asked_for == "origin.test"


def test_an_origin_that_does_not_speak_it(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, route={"h2": True}, protocols=["http/1.1"])
    assert rig.response(rig.client(GET % 1)).status == 502
    assert rig.lines(1)[0].ending == "tls_failed"
    [(_, cause)] = rig.events.refusals
    assert cause in (
        "TLS with the origin failed: the origin does not speak HTTP/2",
        "TLS with the origin failed: tlsv1 alert no application protocol",
    )


def test_everybody_who_waits_hears_of_a_certificate_that_is_not_good(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, route={"h2": True}, authority=trustme.CA())
    clients = [rig.client(GET % number) for number in range(3)]
    assert [rig.response(client).status for client in clients] == [502, 502, 502]
    assert {line.ending for line in rig.lines(3)} == {"tls_failed"}
    assert all("certificate verify failed" in cause for _, cause in rig.events.refusals)


def test_a_handshake_that_does_not_end_in_time(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, plain=True, route={"h2": True, "connect_ms": 200})
    assert rig.response(rig.client(GET % 1)).status == 504
    assert rig.lines(1)[0].ending == "connect_timeout"


def test_a_session_goes_on(make_rig: MakeRig) -> None:
    rig = secure_rig(make_rig, route={"h2": True})
    reused = []
    origin = H2Origin(rig)
    for number in range(2):
        client = rig.client(GET % number)
        link, asked = origin.request(number)
        reused.append(over_tls(rig, number).tls.session_reused)
        origin.answer(link, asked)
        assert rig.response(client).body == b"ok"
        over_tls(rig, number).leave(True)
        rig.settle()
    assert reused == [False, True]


@pytest.mark.parametrize("h2", [True, False])
def test_a_proxy_header_comes_before_tls(make_rig: MakeRig, h2: bool) -> None:
    rig = secure_rig(make_rig, peer={"send_proxy": True}, route={"h2": h2})
    client = rig.client(GET % 1)
    if h2:
        origin = H2Origin(rig)
        origin.answer(*origin.request())
    else:
        rig.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert rig.response(client).body == b"ok"
    said = read(over_tls(rig).before)
    assert isinstance(said, tuple)
    assert said[3] == client.socket.getsockname()[1]

"""TLS sessions go on in another worker, under the last key too, and never under another identity."""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Callable, Iterator

import pytest

from pingpy.config.load import load
from pingpy.config.source import ConfigSource
from pingpy.shared import TicketKeys, ticket_keys
from tests.wire.libssl_client import LibsslClient
from tests.wire.plane_rig import LOG
from tests.wire.tls_ends import AUTHORITY, client_context, identity, pem
from worker.identities import tls_server
from worker.plane.tls_context import TlsServer
from worker.plane.tls_tickets import Tickets

LOCAL = b"GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n"
CA = AUTHORITY.cert_pem.bytes()
HOUR = 3600.0


@pytest.fixture
def keys() -> Iterator[TicketKeys]:
    made = TicketKeys.create(0.0)
    yield made
    os.close(made.fd)  # the mapping stays as long as a plane looks at it


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def context(request):
    return pinned(client_context(), request.param)


def pinned(context: ssl.SSLContext, version: str) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context


def secret(**how):
    """Who wants certificates of clients."""
    return identity("in.test", mark=b"s", client_ca=CA, client_verify="required", **how)


@pytest.fixture
def worker(make_rig, keys) -> Callable:
    """One more worker with the same keys."""

    def make(lifetime=HOUR, names=None, **options):
        return make_rig(tls=TlsServer(identity(), names, Tickets(keys.octets, lifetime)), **options)

    return make


def visit(rig, context, session=None, name="localhost"):
    """One request over a connection of its own: whether its session was resumed, and the session to go on with."""
    end = rig.client(LOCAL, secure=context, session=session, server_name=name)
    rig.until(lambda: b"here" in end.got or end.problem)
    assert not end.problem, end.problem
    found = end.tls.session_reused, end.tls.session
    end.close()
    return found


def test_a_session_is_resumed_by_another_worker(worker, context):
    resumed, session = visit(worker(), context)
    assert not resumed
    other = worker()
    for _ in range(3):
        resumed, session = visit(other, context, session)
        assert resumed
    assert other.events.unwelcomed == []


def test_without_common_keys_it_is_not(make_rig, context):
    def stranger():
        own = TicketKeys.create(0.0)
        os.close(own.fd)
        return make_rig(tls=TlsServer(identity(), None, Tickets(own.octets, HOUR)))

    _, session = visit(stranger(), context)
    other = stranger()
    assert visit(other, context, session)[0] is False
    assert other.events.unwelcomed == []


def test_after_a_rotation_the_old_key_decrypts_and_the_ticket_is_renewed(worker, keys, context):
    one, other = worker(), worker()
    _, first = visit(one, context)
    keys.rotate(1.0)
    resumed, second = visit(other, context, first)
    assert resumed
    keys.rotate(2.0)
    assert visit(one, context, second)[0] is True
    # the key of the first one is overwritten
    assert visit(one, context, first)[0] is False
    assert one.events.unwelcomed == other.events.unwelcomed == []


def test_a_ticket_of_the_next_key_is_known_to_who_has_not_yet_seen_the_rotation(
    worker, keys, context
):
    late = TicketKeys.create(0.0)
    os.close(late.fd)
    late.octets[:] = keys.octets
    keys.rotate(1.0)
    _, session = visit(worker(), context)
    keys.octets[:] = late.octets
    assert visit(worker(), context, session)[0] is True


def test_a_key_of_that_name_that_does_not_fit_is_a_full_handshake(worker, keys, context):
    rig = worker()
    _, session = visit(rig, context)
    at = ticket_keys.SLOTS_AT + ticket_keys.NAME_BYTES
    keys.octets[at : at + 64] = os.urandom(64)
    resumed, session = visit(rig, context, session)
    assert not resumed
    assert visit(rig, context, session)[0] is True
    assert rig.events.unwelcomed == []


def test_no_session_goes_on_under_another_name_that_asks_for_more(worker, context):
    rig = worker(names={"in.test": secret(), "b.test": identity("b.test", mark=b"b")})
    _, session = visit(rig, context)
    assert visit(rig, context, session, "b.test")[0] is False
    end = rig.client(LOCAL, secure=context, session=session, server_name="in.test")
    rig.until(lambda: end.problem)
    assert "did not return a certificate" in rig.events.unwelcomed[0][1]
    assert not end.got


def test_a_session_with_a_client_certificate_goes_on_at_its_own_name_only(worker, context):
    AUTHORITY.issue_cert("joe@in.test", common_name="joe").configure_cert(context)
    log = f"{LOG} $ssl_session_reused $ssl_client_verify $ssl_client_s_dn"
    names = {"in.test": secret(), "too.test": identity("too.test", mark=b"t", client_ca=CA)}
    rig = worker(names=names, log=log)
    _, session = visit(rig, context, name="in.test")
    assert visit(rig, context, session, "in.test")[0] is True
    for name in ("too.test", "localhost"):
        assert visit(rig, context, session, name)[0] is False
    said = [line.request.split("HTTP/1.1 ")[1] for line in rig.lines(4)]
    assert said[0].startswith(". SUCCESS ")
    assert "CN=joe" in said[0]
    assert said[1] == said[0].replace(".", "r", 1)


def test_a_reload_with_another_client_ca_refuses_what_was_issued_before(make_rig, keys, context):
    AUTHORITY.issue_cert("joe@in.test").configure_cert(context)
    stranger = type(AUTHORITY)().cert_pem.bytes()
    chain, key = pem(AUTHORITY.issue_cert("localhost"))
    text = """[[network.tls]]
        certificate = "c"
        key = "k"
        client_ca = "ca"
        client_verify = "%s"
        """

    def generation(authorities, verify="required"):
        config = load(ConfigSource("c.toml", (text % verify).encode()))
        secrets = {"c": chain, "k": key, "ca": authorities}
        return make_rig(tls=tls_server(config, secrets, keys))

    _, session = visit(generation(CA), context)
    assert visit(generation(CA), context, session)[0] is True
    for authorities, verify in ((CA + stranger, "required"), (CA, "optional"), (CA, "off")):
        assert visit(generation(authorities, verify), context, session)[0] is False
    refusing = generation(stranger)
    end = refusing.client(LOCAL, secure=context, session=session)
    refusing.until(lambda: end.problem)
    assert not end.got


def test_a_reload_that_only_writes_the_names_differently_ends_no_session(make_rig, keys, context):
    pair = pem(AUTHORITY.issue_cert("a.test", "b.test"))

    def generation(names):
        text = f"""[[network.tls]]
            server_name = {names}
            certificate = "c"
            key = "k"
            """
        config = load(ConfigSource("c.toml", text.encode()))
        return make_rig(tls=tls_server(config, dict(zip("ck", pair, strict=True)), keys))

    _, session = visit(generation(["a.test", "b.test"]), context, name="b.test")
    assert visit(generation(["B.test", "a.test"]), context, session, "b.test")[0] is True
    assert visit(generation(["b.test"]), context, session, "b.test")[0] is False


def test_clients_are_told_how_long_a_ticket_lives(worker, context):
    _, session = visit(worker(lifetime=77.5), context)
    assert session.ticket_lifetime_hint == 77


def test_a_session_ends_when_its_time_is_over_however_often_it_was_renewed(worker, context):
    rig = worker(lifetime=2)
    sessions = [visit(rig, context)[1]]

    def ended():
        resumed, session = visit(rig, context, sessions[-1])
        sessions.append(session)
        return not resumed

    rig.until(ended, 30)
    assert rig.events.unwelcomed == []
    assert visit(rig, context, sessions[-1])[0] is True  # the full handshake gave a new one


def test_a_session_ends_with_the_certificate_that_its_client_has_shown(worker, context):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=3)
    AUTHORITY.issue_cert("joe@in.test", not_after=soon).configure_cert(context)
    rig = worker(names={"in.test": secret()})
    _, session = visit(rig, context, name="in.test")

    def refused():
        end = rig.client(LOCAL, secure=context, session=session, server_name="in.test")
        rig.until(lambda: b"here" in end.got or end.problem)
        return end.problem

    rig.until(refused, 30)
    assert "certificate has expired" in rig.events.unwelcomed[0][1]


def test_early_data_that_comes_all_the_same_is_skipped(worker):
    rig = worker()
    first, second = LibsslClient(), LibsslClient()

    def answer(end, client):
        """To a request that is sent after the handshake."""
        got = b""

        def done():
            client.feed(end.take())
            over = client.shake()
            end.send(client.drain())
            return over

        def here():
            nonlocal got
            client.feed(end.take())
            got += client.read()
            return b"here" in got

        rig.until(done)
        client.write(LOCAL)
        end.send(client.drain())
        rig.until(here)
        return got

    answer(rig.client(), first)
    second.say_early(b"GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n", first)
    end = rig.client()
    assert answer(end, second).count(b"HTTP/1.1 ") == 1
    assert second.resumed()
    assert second.early_data_was_refused()
    assert [line.request for line in rig.lines(2)] == ["GET /local HTTP/1.1"] * 2
    for client in (first, second):
        client.close()


def test_without_keys_there_are_no_tickets(make_rig, context):
    rig = make_rig(tls=TlsServer(identity()))
    _, session = visit(rig, context)
    assert not session.has_ticket
    assert visit(rig, context, session)[0] is False


def test_nobody_sees_the_keys_and_what_is_no_page_is_refused(keys):
    tickets = Tickets(keys.octets, HOUR)
    assert repr(tickets) == "<Tickets for 3600 s>"
    with pytest.raises(ValueError, match="no page"):
        Tickets(b"x" * 128, HOUR)

"""/healthz and /readyz."""

from types import SimpleNamespace

import pytest

from pingpy.http import Headers
from pingpy.session import Address
from worker.policy.responders import allowed, healthz, only_loopback, readyz


def test_health_is_always_good():
    response = healthz(None)
    assert (response.status, response.body) == (200, b"ok\n")
    assert response.headers.get("cache-control") == b"no-store"


def test_readiness_follows_the_workers_life():
    serves = [True]
    respond = readyz(lambda: serves[0])
    assert respond(None).status == 200
    serves[0] = False
    assert (respond(None).status, respond(None).body) == (503, b"not ready\n")


def test_loopback_and_unix_alone_are_left_to_the_plane():
    assert only_loopback(("loopback", "unix"))
    assert not only_loopback(("loopback", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("client", "forwarded", "status"),
    [
        ("127.0.0.1", False, 200),
        ("127.0.0.1", True, 403),
        ("::1", False, 200),
        ("10.1.2.3", False, 200),
        ("10.1.2.3", True, 200),
        ("192.0.2.1", False, 403),
        ("2001:db8::1", False, 403),
        ("unix:", False, 403),
    ],
)
def test_a_page_is_for_whom_it_is_meant(client, forwarded, status):
    fields = [("X-Forwarded-For", "1.2.3.4")] if forwarded else []
    request = SimpleNamespace(headers=Headers(fields))
    session = SimpleNamespace(client=Address(client, 1), request=request)
    assert allowed(["loopback", "10.0.0.0/8"], healthz)(session).status == status

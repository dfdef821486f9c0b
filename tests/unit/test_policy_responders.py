"""/healthz and /readyz."""

from worker.policy.responders import healthz, readyz


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

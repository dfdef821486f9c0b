"""Which of our own pages are where, and for whom."""

from types import SimpleNamespace

import pytest

from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.resolved import ResolvedMetrics
from pingpy.config.source import ConfigSource
from pingpy.http import Headers, Response
from worker.policy.pages import Pages


def pages(metrics, serves=True):
    return Pages.of(metrics, lambda session: Response(200, (), "counters"), lambda: serves)


def shown(pages):
    return [(page.path, page.loopback_only) for page in pages]


def asked(page, host, *fields):
    session = SimpleNamespace(
        client=SimpleNamespace(host=host), request=SimpleNamespace(headers=Headers(fields))
    )
    return page.responder(session).status


OWN = [("/healthz", True), ("/readyz", True)]


def test_without_metrics():
    assert shown(pages(None).everywhere) == OWN
    assert pages(None).apart == ()


def test_metrics_on_every_listener():
    found = pages(ResolvedMetrics("/metrics", ("loopback", "unix")))
    assert shown(found.everywhere) == [*OWN, ("/metrics", True)]
    assert found.apart == ()
    found = pages(ResolvedMetrics("/m", ("10.0.0.0/8",)))
    assert shown(found.everywhere) == [*OWN, ("/m", False)]


def test_metrics_on_listeners_of_their_own_are_there_alone_and_open():
    found = pages(ResolvedMetrics("/m", None, apart=True))
    assert shown(found.everywhere) == OWN
    assert shown(found.apart) == [("/healthz", False), ("/readyz", False), ("/m", False)]
    assert [asked(page, "192.0.2.1") for page in found.apart] == [200, 200, 200]
    stopping = pages(ResolvedMetrics("/m", None, apart=True), serves=False)
    assert [asked(page, "192.0.2.1") for page in stopping.apart] == [200, 503, 200]


@pytest.mark.parametrize(("host", "status"), [("10.1.2.3", 200), ("192.0.2.1", 403)])
def test_allow_narrows_the_page_on_its_own_listener(host, status):
    page = pages(ResolvedMetrics("/m", ("10.0.0.0/8",), apart=True)).apart[2]
    assert asked(page, host) == status


def resolved(text):
    return resolve(load(ConfigSource("c.toml", text.encode())))


def test_a_listener_of_the_metrics_own_is_for_all_who_reach_it_unless_the_file_says_whom():
    found = resolved('[metrics]\nlisten = "0.0.0.0:9090"').metrics
    assert (found.allow, found.apart) == (None, True)
    found = resolved('[metrics]\nlisten = "0.0.0.0:9090"\nallow = "10.0.0.0/8"').metrics
    assert (found.allow, found.apart) == (("10.0.0.0/8",), True)
    off = resolved('[metrics]\nenabled = false\nlisten = "0.0.0.0:9090"').metrics
    assert off is None

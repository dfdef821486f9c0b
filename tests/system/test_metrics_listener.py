"""The metrics page on listeners of its own: there and nowhere else, through reloads and an upgrade, and then gone."""

from __future__ import annotations

import errno
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
from free_ports import free_port
from matrix_rig import Real, until
from prometheus_client.parser import text_string_to_metric_families


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, whose path stands for the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.host)


def get(place: int | str, path: str, **headers: str) -> tuple[int, str]:
    """Status and body from a port of this host or from a Unix socket."""
    connection = (
        http.client.HTTPConnection("127.0.0.1", place, timeout=20)
        if isinstance(place, int)
        else UnixConnection(place)
    )
    try:
        connection.request("GET", path, headers={"Host": "local", "Connection": "close", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode("latin-1")
    finally:
        connection.close()


def counted(page: str, family: str) -> float:
    """The sum of a family's samples; fails unless the page is what Prometheus takes."""
    families = {one.name: one for one in text_string_to_metric_families(page)}
    return sum(
        sample.value for sample in families[family].samples if sample.name.endswith("_total")
    )


class Scraper(threading.Thread):
    """Scrapes without a pause; whatever is no page is kept in `failures`."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.over = threading.Event()
        self.counts: list[float] = []
        self.failures: list[object] = []

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                status, page = get(self.port, "/metrics")
                self.counts.append(counted(page, "pingpy_connections_accepted"))
                if status != 200:
                    self.failures.append(status)
            except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
                self.failures.append(error)

    def __enter__(self) -> Scraper:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        assert self.failures == []
        assert self.counts == sorted(self.counts)
        assert len(self.counts) > 5


def refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@pytest.fixture
def rig(tmp_path) -> Iterator[Real]:
    rig = Real(tmp_path)
    yield rig
    rig.stop()


def test_what_is_there_and_what_is_not(rig: Real) -> None:
    port, path = free_port(), f"{rig.folder}/m.sock"
    rig.write(body=f'[metrics]\nlisten = ["127.0.0.1:{port}", "unix:{path}"]\n')
    rig.start()
    until(lambda: rig.settled_on(1))
    for place in (port, path):
        status, page = get(place, "/metrics")
        assert status == 200
        assert counted(page, "pingpy_connections_accepted") >= 1
        assert get(place, "/metrics", **{"X-Forwarded-For": "192.0.2.1"})[0] == 200
        assert get(place, "/healthz") == (200, "ok\n")
        assert get(place, "/readyz") == (200, "ready\n")
        for other in ("/", "/metrics/", "/ws", "/%6detric"):
            assert get(place, other)[0] == 404
    assert get(port, "/%6detrics")[0] == 200  # the normalised path decides, as everywhere
    assert "# TYPE" not in get(rig.port, "/metrics")[1]
    assert get(rig.port, "/healthz") == (200, "ok\n")


def test_it_survives_reloads_and_an_upgrade_and_is_gone_when_the_file_says_so(rig: Real) -> None:
    port = free_port()
    body = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    rig.write(body=body)
    rig.start()
    until(lambda: rig.settled_on(1))
    with Scraper(port):
        for generation in (2, 3):
            assert rig.tell("reload", timeout=60)["code"] == 0
            until(lambda number=generation: rig.settled_on(number))
        master = rig.owner()
        assert rig.tell("upgrade", timeout=90)["code"] == 0
        until(lambda: rig.settled_on(4))
        assert rig.owner() != master
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rig.write(body=f'[metrics]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
        answer = rig.tell("reload", timeout=60)
        assert (answer["code"], "is in use by" in answer["text"]) == (4, True), answer
    assert get(port, "/metrics")[0] == 200
    rig.write()
    assert rig.tell("reload", timeout=60)["code"] == 0
    until(lambda: refuses(port))
    assert "# TYPE" in get(rig.port, "/metrics")[1]

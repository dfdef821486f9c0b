"""The fault matrix over TLS: reloads and upgrades with HTTP/2, WebSockets, half handshakes and bad certificates."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from matrix_rig import Mixed, Real, decreased, until

GET = b"GET /bytes/100 HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"
QUICK = {"short": 1, "kept": 3, "h2": 3}
SLOW = {"upload": 1, "download": 2, "sse": 1, "websocket": 3}
T = TypeVar("T")


@pytest.fixture
def rig(tmp_path) -> Iterator[Real]:
    rig = Real(tmp_path)
    rig.write(body=rig.certificate())
    rig.start()
    yield rig
    rig.stop()


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize("verb", ["reload", "upgrade"])
def test_22_h2_and_websocket_clients_notice_nothing(rig, verb, secure):
    before = rig.scrape()
    with Mixed(rig, QUICK, SLOW, secure=secure) as load:
        for generation in (2, 3):
            assert rig.tell(verb, no_probation=True, timeout=60)["code"] == 0
            until(lambda: rig.tell("status").get("pid") == rig.pid_in_file(), 60)
            until(lambda g=generation: rig.serves(g), 60)
            seen = rig.log_lines(rf"^{generation} 200 ")
            until(lambda g=generation, s=seen: rig.log_lines(rf"^{g} 200 ") > s + 20, 60)
    load.nothing_lost()
    for kind in (*QUICK, *SLOW):
        assert load.answered[kind] > 0, load.answered
    after = rig.scrape()
    assert decreased(before, after) == []
    handshakes = 'pingpy_tls_handshakes_total{version="TLSv1.3",resumed="false"}'
    assert (after[handshakes] - before.get(handshakes, 0) > 20) is secure


class Client:
    """A TLS client whose bytes leave when the test says so."""

    def __init__(self, sock: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = sock
        self.theirs, self.ours = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.theirs, self.ours, server_hostname="localhost")

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.ours.read()

    def step(self, function: Callable[[], T]) -> T:
        """Until it has what it wants of the other side."""
        while True:
            try:
                done = function()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.ours.read())
                part = self.sock.recv(65536)
                assert part
                self.theirs.write(part)
                continue
            self.sock.sendall(self.ours.read())
            return done

    def answer(self) -> bytes:
        self.step(self.tls.do_handshake)
        self.step(lambda: self.tls.write(GET))
        got = b""
        while len(got.partition(b"\r\n\r\n")[2]) < 100:
            got += self.step(lambda: self.tls.read(65536))
        return got


@pytest.mark.parametrize("verb", ["reload", "upgrade"])
def test_22_handshakes_that_have_begun_are_finished_and_answered(rig, verb):
    """One byte, half a ClientHello, a whole one whose answer nobody has read, a handshake that is done."""
    socks = [socket.create_connection(("127.0.0.1", rig.port), timeout=30) for _ in range(4)]
    clients = [Client(sock) for sock in socks]
    hellos = [client.hello() for client in clients[:3]]
    cuts = [1, 100, len(hellos[2])]
    with Mixed(rig, {"short": 1, "h2": 2}, {"websocket": 2}, secure=True) as load:
        for client, hello, cut in zip(clients, hellos, cuts, strict=False):
            client.sock.sendall(hello[:cut])
        clients[3].step(clients[3].tls.do_handshake)
        assert rig.tell(verb, no_probation=True, timeout=60)["code"] == 0
        for client, hello, cut in zip(clients, hellos, cuts, strict=False):
            client.sock.sendall(hello[cut:])
        for client in clients:
            assert client.answer().startswith(b"HTTP/1.1 200 ")
    load.nothing_lost()


def test_2_what_tls_cannot_be_had_with_refuses_the_reload(rig):
    """An unreadable key, a key of another certificate, no PEM: the old generation serves on, over TLS."""
    good = {name: (rig.folder / name).read_bytes() for name in ("cert.pem", "key.pem")}
    generation, pids = rig.current(), rig.worker_pids()
    with Mixed(rig, {"kept": 2, "h2": 2}, {"websocket": 2}, secure=True) as load:
        (rig.folder / "key.pem").unlink()
        assert_refused(rig, "cannot read ", "key.pem: No such file or directory")
        rig.certificate()
        (rig.folder / "cert.pem").write_bytes(good["cert.pem"])
        assert_refused(rig, "the key is not that of the certificate")
        (rig.folder / "key.pem").write_text("nothing of the kind")
        assert_refused(rig, "cannot use ")
    load.nothing_lost()
    assert rig.settled_on(generation)
    assert rig.worker_pids() == pids
    for name, data in good.items():
        (rig.folder / name).write_bytes(data)
    assert rig.tell("reload", timeout=60)["code"] == 0


def assert_refused(rig: Real, *causes: str) -> None:
    answer = rig.tell("reload", timeout=60)
    assert answer["code"] == 4, answer
    for cause in causes:
        assert cause in answer["text"]

"""The HTTP client against real servers: ours, nginx, and some that misbehave."""

import asyncio
import shutil
import ssl
import subprocess

import pytest
import trustme
import uvloop

from pingpy.client import connect_check, request
from pingpy.errors import (
    BadResponse,
    ConnectFailed,
    ConnectTimeout,
    TlsFailed,
    UpstreamClosed,
    UpstreamTimeout,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    def runner(coroutine):
        with asyncio.Runner(loop_factory=request.param) as loop_runner:
            return loop_runner.run(coroutine)

    return runner


class Origin:
    """Answers each connection with fixed bytes, or keeps it waiting; remembers what it was asked."""

    def __init__(self, answer, *, hold=False, tls=None, path=None):
        self.answer = answer
        self.hold = hold
        self.tls = tls
        self.path = path
        self.asked = []
        self.closed = asyncio.Event()

    async def __aenter__(self):
        if self.path:
            self.server = await asyncio.start_unix_server(self.serve, self.path)
            self.address = f"unix:{self.path}"
        else:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
            self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]  # noqa: UP031
        return self

    async def __aexit__(self, *exc):
        self.server.close()

    async def serve(self, reader, writer):
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            if self.hold:
                await reader.read()
            self.closed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()


def test_a_request_reaches_the_address_and_names_the_host(run):
    async def scenario():
        async with Origin(OK) as origin:
            response = await request(
                "GET",
                "http://backend:8080/healthz?x=1",
                address=origin.address,
                headers=[("X-Probe", "1"), ("Host", "ignored")],
            )
            return response, origin.asked[0]

    response, asked = run(scenario())
    assert (response.status, response.body) == (200, b"ok")
    assert asked.startswith(b"GET /healthz?x=1 HTTP/1.1\r\nHost: backend:8080\r\n")
    assert b"X-Probe: 1\r\n" in asked
    assert b"ignored" not in asked


def test_a_unix_socket_is_an_address(run, tmp_path):
    async def scenario():
        async with Origin(OK, path=str(tmp_path / "s")) as origin:
            await connect_check(origin.address)
            response = await request("GET", "http://a/", address=origin.address, host="b")
            return response.status, origin.asked[-1]

    status, asked = run(scenario())
    assert status == 200
    assert b"Host: b\r\n" in asked


def test_the_connection_is_closed_as_soon_as_the_response_is_there(run):
    async def scenario():
        async with Origin(OK, hold=True) as origin:
            await request("GET", f"http://{origin.address}/")
            await asyncio.wait_for(origin.closed.wait(), 5)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "hold", "expected"),
    [
        (b"", True, UpstreamTimeout),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", True, UpstreamTimeout),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", False, UpstreamClosed),
        (b"", False, UpstreamClosed),
        (b"SSH-2.0\r\n", True, BadResponse),
    ],
)
def test_a_bad_origin_is_named_by_its_fault(run, answer, hold, expected):
    async def scenario():
        async with Origin(answer, hold=hold) as origin:
            with pytest.raises(expected):
                await request("GET", f"http://{origin.address}/", timeout_seconds=0.3)

    run(scenario())


def test_nobody_listens(run, unused_address):
    async def scenario():
        with pytest.raises(ConnectFailed, match=unused_address):
            await request("GET", f"http://{unused_address}/")
        with pytest.raises(ConnectFailed, match=unused_address):
            await connect_check(unused_address)
        with pytest.raises(ConnectFailed):
            await connect_check("unix:/nonexistent/socket")

    run(scenario())


@pytest.fixture
def unused_address():
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, never listening
        yield "127.0.0.1:%d" % held.getsockname()[1]  # noqa: UP031


def test_a_full_queue_is_a_connect_timeout(run):
    import socket

    async def scenario():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            name = full.getsockname()
            waiting = []
            for _ in range(3):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(name)
                waiting.append(one)
            with pytest.raises(ConnectTimeout):
                await request("GET", f"http://127.0.0.1:{name[1]}/", timeout_seconds=0.3)
            with pytest.raises(ConnectTimeout):
                await connect_check(f"127.0.0.1:{name[1]}", timeout_seconds=0.3)
            for one in waiting:
                one.close()

    run(scenario())


def test_tls_is_checked_against_the_host_of_the_url(run):
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("backend").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def scenario():
        async with Origin(OK, tls=server) as origin:
            good = await request("GET", "https://backend/", address=origin.address, tls=trusting)
            with pytest.raises(TlsFailed):
                await request("GET", "https://other/", address=origin.address, tls=trusting)
            return good.status

    assert run(scenario()) == 200


@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "http://u:p@a/", "http://a/ b", "http://a/\r\nX: y", "/x"]
)
def test_an_impossible_url_is_refused(run, url):
    with pytest.raises(ValueError, match="URL"):
        run(request("GET", url))


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_answers(run, tmp_path):
    socket_path = tmp_path / "nginx.sock"
    (tmp_path / "conf").write_text(
        f"""daemon off; master_process off; pid {tmp_path}/pid; error_log stderr;
        events {{}} http {{ access_log off; client_body_temp_path {tmp_path}/b;
        proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u;
        scgi_temp_path {tmp_path}/s; server {{ listen unix:{socket_path};
        location /healthz {{ return 204; }} location / {{ return 200 "{"x" * 3000}"; }} }} }}"""
    )
    nginx = subprocess.Popen(["nginx", "-c", f"{tmp_path}/conf", "-p", str(tmp_path)])
    try:

        async def scenario():
            address = f"unix:{socket_path}"
            async with asyncio.timeout(10):
                while True:
                    try:
                        await connect_check(address)
                        break
                    except ConnectFailed:
                        await asyncio.sleep(0.02)
            probe = await request("GET", "http://a/healthz", address=address)
            page = await request("GET", "http://a/", address=address)
            head = await request("HEAD", "http://a/", address=address)
            return probe.status, len(page.body), head.headers.get("content-length"), head.body

        assert run(scenario()) == (204, 3000, b"3000", b"")
    finally:
        nginx.terminate()
        nginx.wait(10)

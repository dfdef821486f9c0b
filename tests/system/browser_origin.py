"""An origin for a browser: a page that asks for fifty resources, speaks over a WebSocket, and posts how it went."""

from __future__ import annotations

import http.server
import threading
from typing import Any

from websockets.sync.server import Server, ServerConnection, serve

RESOURCES = 50

PAGE = """<!doctype html><title>pingpy</title><body><script>
const text = async (number) => (await fetch(`/resource/${number}`)).text();
const numbers = [...Array(RESOURCES).keys()];
const talk = (messages) => new Promise((done, failed) => {
  const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/ws`);
  const heard = [];
  socket.onopen = () => messages.forEach((message) => socket.send(message));
  socket.onmessage = (event) => { if (heard.push(event.data) == messages.length) { socket.close(1000); done(heard); } };
  socket.onerror = () => failed(new Error("the WebSocket failed"));
});
(async () => {
  const texts = await Promise.all(numbers.map(text));
  const whole = texts.every((body, number) => body == `resource ${number} `.repeat(500));
  const heard = await talk(["one", "two", "three"]);
  const timings = performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/resource/"));
  const protocols = [...new Set(timings.map((entry) => entry.nextHopProtocol))].sort();
  return `protocols=${protocols} resources=${timings.length} whole=${whole} heard=${heard} page=${
      performance.getEntriesByType("navigation")[0].nextHopProtocol}`;
})().catch(String).then((verdict) => fetch("/verdict", {method: "POST", body: verdict}));
</script></body>""".replace("RESOURCES", str(RESOURCES))


class Pages(http.server.BaseHTTPRequestHandler):
    """The page and its resources."""

    protocol_version = "HTTP/1.1"
    verdicts: list[str]  # what the page has posted

    def do_POST(self) -> None:
        self.verdicts.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        body = PAGE.encode()
        if self.path.startswith("/resource/"):
            body = (f"resource {self.path.rpartition('/')[2]} " * 500).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test tells what went wrong."""


class BrowserOrigin:
    """Both servers, in threads; as a context manager they are gone afterwards."""

    def __init__(self) -> None:
        self.verdicts: list[str] = []
        pages = type("PagesOfThisOrigin", (Pages,), {"verdicts": self.verdicts})
        self._pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), pages)
        self._sockets: Server = serve(echo, "127.0.0.1", 0)
        self.pages_port = int(self._pages.server_address[1])
        self.sockets_port = int(self._sockets.socket.getsockname()[1])

    def __enter__(self) -> BrowserOrigin:
        for server in (self._pages, self._sockets):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pages.shutdown()
        self._pages.server_close()
        self._sockets.shutdown()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)

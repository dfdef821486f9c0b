"""A page in Chromium that calls a gRPC server by gRPC-Web: a stream read as it comes, and text by XMLHttpRequest."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

import grpc_service
import pytest
from chromium import SECONDS, needs_chromium, visiting
from free_ports import free_port
from master_rig import until
from one_worker import serving

PAGE = """<!doctype html><script>
const framed = text => {
  const message = new TextEncoder().encode(text), all = new Uint8Array(5 + message.length);
  new DataView(all.buffer).setUint32(1, message.length);
  all.set(message, 5);
  return all;
};
const frames = bytes => {
  const found = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const size = new DataView(bytes.buffer, bytes.byteOffset + at + 1).getUint32(0);
    found.push([bytes[at], new TextDecoder().decode(bytes.slice(at + 5, at + 5 + size))]);
    at += 5 + size;
  }
  return found;
};
const shown = list => list.map(([flags, text]) =>
  flags === 128 ? text.match(/grpc-status: (\\d+)/)[1] : text.slice(0, 8)).join(",");
const stream = async () => {
  const answer = await fetch("/test.Echo/ServerStream", {method: "POST", body: framed("3 8"),
    headers: {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "x-sleep": "0.5"}});
  const reader = answer.body.getReader();
  let bytes = new Uint8Array(0), pieces = 0;
  for (let piece; !(piece = await reader.read()).done; pieces++) {
    const all = new Uint8Array(bytes.length + piece.value.length);
    all.set(bytes);
    all.set(piece.value, bytes.length);
    bytes = all;
  }
  return shown(frames(bytes)) + (pieces >= 3 ? " in pieces" : " at once");
};
const text = () => new Promise(done => {
  const request = new XMLHttpRequest();
  request.open("POST", "/test.Echo/Unary");
  request.setRequestHeader("content-type", "application/grpc-web-text");
  request.setRequestHeader("accept", "application/grpc-web-text");
  request.onload = () => {
    const groups = request.responseText.match(/..../g).map(atob).join("");
    done(shown(frames(Uint8Array.from(groups, octet => octet.charCodeAt(0)))));
  };
  request.send(btoa(String.fromCharCode(...framed("from XHR"))));
});
const failure = async () => {
  const answer = await fetch("/test.Echo/Nothing", {method: "POST", body: framed(""),
    headers: {"content-type": "application/grpc-web"}});
  return answer.headers.get("grpc-status");
};
(async () => {
  let said;
  try { said = [await stream(), await text(), await failure()].join(" | "); }
  catch (error) { said = "failed: " + error; }
  fetch("/verdict/" + encodeURIComponent(said));
})();
</script>"""
pytestmark = pytest.mark.system


def config(folder: Path, port: int, origin: int) -> str:
    return (
        f'[global]\nworker_threads = 1\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
        f'access_log = "{folder}/access.log"\n[network]\nlisten = ["127.0.0.1:{port}"]\n'
        '[[proxy.rules]]\npath = "/test.Echo/*"\ngrpc = true\ngrpc_web = true\n'
        f'upstream = "http://127.0.0.1:{origin}"\n'
        '[[proxy.rules]]\npath = "/verdict/*"\nrespond = 204\n'
        '[[proxy.rules]]\npath = "/"\nrespond = { content_type = "text/html", body = \'\'\''
        f"{PAGE}''' }}\n"
    )


def verdict(folder: Path, port: int) -> re.Match[str]:
    """What the page says once a browser is there."""
    log = folder / "access.log"
    with visiting(folder, f"http://127.0.0.1:{port}/"):
        return until(lambda: re.search(r"GET /verdict/(\S+)", log.read_text()), SECONDS)


@needs_chromium
@pytest.mark.row("S22")
def test_a_page_calls_a_grpc_server(tmp_path: Path) -> None:
    server, _, origin = grpc_service.start()
    port = free_port()
    try:
        with serving(tmp_path, config(tmp_path, port, origin)):
            found = verdict(tmp_path, port)
    finally:
        server.stop(None)
    assert urllib.parse.unquote(found[1]) == (
        "00000000,00000001,00000002,0 in pieces | from XHR,0 | 12"
    )

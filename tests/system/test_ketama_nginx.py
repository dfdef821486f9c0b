"""Our consistent hash sends 10,000 keys where a real nginx sends them."""

import shutil
import socket
import subprocess
import time
import zlib

import pytest
from free_ports import free_port

from pingpy.balance.ketama import ring
from pingpy.shared import Region
from worker.plane.cells import Cells
from worker.plane.pick import Peer
from worker.plane.pick_hash import ConsistentHash

pytestmark = pytest.mark.system
WEIGHTS = (1, 1, 2, 5, 3)
KEYS = 10_000
BATCH = 200

CONFIG = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off; keepalive_requests 100000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream origins {{ hash $arg_key consistent; {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://origins; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
    server {{ {listens} location / {{ return 200 "$server_port\\n"; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "nginx is one of the test suite's tools: see scripts/test"
    port, *origins = (free_port() for _ in range(1 + len(WEIGHTS)))
    pairs = list(zip(origins, WEIGHTS, strict=True))
    text = CONFIG.format(
        folder=tmp_path,
        port=port,
        servers=" ".join(f"server 127.0.0.1:{p} weight={w};" for p, w in pairs),
        listens=" ".join(f"listen 127.0.0.1:{p};" for p in origins),
    )
    config = tmp_path / "nginx.conf"
    config.write_text(text)
    process = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(config)])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=20)
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        with client:
            yield client, pairs
    finally:
        process.terminate()
        process.wait(10)


def chosen_by_nginx(client, keys):
    """Pipelines the keys; the answers are the origins' ports, in order."""
    answers = []
    rest = b""
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        client.sendall(b"".join(b"GET /?key=%s HTTP/1.1\r\nHost: a\r\n\r\n" % key for key in batch))
        while len(answers) < start + len(batch):
            data = client.recv(1 << 16)
            assert data, "nginx closed the connection"
            *blocks, rest = (rest + data).split(b"\r\n\r\n")
            for block in blocks:
                take_body(block, answers)
            # A body is the last thing of a batch: it has no head behind it.
            if (
                len(answers) == start + len(batch) - 1
                and rest.endswith(b"\n")
                and b"HTTP" not in rest
            ):
                answers.append(int(rest))
                rest = b""
    return answers


def take_body(block, answers):
    """What precedes a head is the body of the answer before it."""
    body, _, _ = block.partition(b"HTTP/1.1")
    if body:
        answers.append(int(body))


def test_ten_thousand_keys_go_where_nginx_sends_them(nginx):
    client, pairs = nginx
    region = Region.create()
    cells = Cells(region, region.claim_slab(1, 0, "worker"))
    pool = ConsistentHash(b"origins", cells, ring)
    pool.set_peers(
        [
            Peer(
                cell=cells.claim_peer(b"origins", b"%d" % port),
                text=b"127.0.0.1:%d" % port,
                sockaddr=b"",
                family=2,
                weight=weight,
            )
            for port, weight in pairs
        ]
    )
    keys = [b"/item/%d" % (number * 7919) for number in range(KEYS)]
    ours = [int(pool.pick_for(zlib.crc32(key)).text.rpartition(b":")[2]) for key in keys]
    theirs = chosen_by_nginx(client, keys)
    assert len(set(theirs)) == len(WEIGHTS)
    differences = sum(a != b for a, b in zip(ours, theirs, strict=True))
    # Where points of two peers are equal, nginx's unstable sort decides: at 1,920 points of 2^32 hardly ever.
    assert differences <= KEYS // 1000

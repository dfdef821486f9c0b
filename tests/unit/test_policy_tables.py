"""From the configuration to routes: the seed's readings, pools that follow their names, replies, rewrites, headers."""

import pytest

from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.resolved import ResolvedReply, ResolvedRewrite
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError
from pingpy.phases import BoundPhases
from pingpy.shared import Region
from worker.plane.buffer import Arena
from worker.plane.cells import Cells
from worker.plane.table_doors import Exchange
from worker.policy.addresses import Endpoint
from worker.policy.origin_tls import OriginTls
from worker.policy.replies import redirection, reply_lines, rewriting
from worker.policy.tables import REPLY_FIXED, REPLY_NONE, REPLY_PYTHON, BuiltIn, compile_tables

ARENA = Arena()
SEED = """
[proxy]
[[proxy.rules]]
path = "/api/*"
upstream = "http://backend:8080"
load_balancing = "round_robin"
[[proxy.rules]]
header = "X-Forwarded-For"
upstream = "http://secondary:8080"
load_balancing = "least_conn"
[load_balancing]
[[load_balancing.backends]]
name = "backend1"
address = "192.168.1.100:80"
weight = 2
[[load_balancing.backends]]
name = "backend2"
address = "192.168.1.101:80"
weight = 1
"""


@pytest.fixture
def cells():
    region = Region.create()
    return Cells(region, region.claim_slab(1, 0, "worker"))


def compiled(cells, text, **options):
    resolved = resolve(load(ConfigSource("config.toml", text.encode())))
    return compile_tables(resolved, cells, **options)


def exchange(line="GET / HTTP/1.1", *fields, path=None):
    head = "\r\n".join([line, "Host: www.test", *fields, "", ""]).encode()
    return Exchange(ARENA, head, path=path)


def route(tables, line="GET / HTTP/1.1", *fields):
    return exchange(line, *fields).match(tables.table)


def picked(pool, count):
    return [pool.pick_for().text.decode() for _ in range(count)]


def test_the_seeds_rules_and_its_default_pool(cells):
    tables = compiled(cells, SEED)
    assert route(tables, "GET /api/x HTTP/1.1").pool.name == b"backend:8080"
    assert route(tables, "GET /x HTTP/1.1", "x-forwarded-for:").pool.name.startswith(b"secondary")
    default = route(tables, "GET /x HTTP/1.1")
    assert default is tables.table.default
    assert picked(default.pool, 6) == [
        *("192.168.1.100:80", "192.168.1.101:80", "192.168.1.100:80"),
        *("192.168.1.100:80", "192.168.1.101:80", "192.168.1.100:80"),
    ]


def test_names_come_later_and_peers_that_stay_are_the_same_objects(cells):
    tables = compiled(cells, SEED)
    pool = route(tables, "GET /api/x HTTP/1.1").pool
    assert pool.pending
    assert pool.pick_for() is None
    tables.update({"backend:8080": ("10.0.0.1:8080", "10.0.0.2:8080")})
    assert not pool.pending
    first, second = pool.peers
    assert (first.text, first.authority) == (b"10.0.0.1:8080", b"backend:8080")
    tables.update({"backend:8080": ("10.0.0.2:8080", "10.0.0.3:8080")})
    assert pool.peers[0] is second
    assert first.retired
    tables.update({"backend:8080": ()})
    assert pool.peers[0] is second
    tables.update({"backend:8080": ("[2001:db8::1]:8080",)})
    assert pool.peers[0].family == 10


def test_a_pools_peers_have_the_cells_that_the_scout_writes(cells):
    tables = compiled(cells, SEED)
    peers = tables.pools["default"].pool.peers
    assert [peer.cell for peer in peers] == [
        cells.claim_peer(b"default", b"192.168.1.100:80"),
        cells.claim_peer(b"default", b"192.168.1.101:80"),
    ]
    assert ("default", "192.168.1.100:80") in cells.named_peers().values()


def test_equal_addresses_are_one_peer_with_the_sum_of_the_weights(cells):
    tables = compiled(
        cells,
        """
        [[proxy.rules]]
        upstream = "p"
        [[pools]]
        name = "p"
        [[pools.peers]]
        address = "10.0.0.1:80"
        weight = 2
        [[pools.peers]]
        address = "same:80"
        [[pools.peers]]
        address = "10.0.0.2:80"
        """,
        answers={"same:80": ("10.0.0.1:80",)},
    )
    weights = {peer.text: peer.weight for peer in tables.pools["p"].pool.peers}
    assert weights == {b"10.0.0.1:80": 3, b"10.0.0.2:80": 1}


@pytest.mark.parametrize(
    ("algorithm", "needs"),
    [
        ("round_robin", 0),
        ("least_conn", 0),
        ("random", 0),
        ("power_of_two", 0),
        ("ip_hash", 1),
        ("consistent_hash", 2),
    ],
)
def test_every_algorithm_has_its_pool(cells, algorithm, needs):
    tables = compiled(
        cells,
        SEED + f'[[proxy.rules]]\nupstream = "default2"\n'
        f'[[pools]]\nname = "default2"\nalgorithm = "{algorithm}"\n'
        '[[pools.peers]]\naddress = "10.0.0.1:80"\n[[pools.peers]]\naddress = "10.0.0.2:80"\n',
    )
    pool = tables.pools["default2"].pool
    assert pool.hash_needs == needs
    assert pool.pick_for(7).text.startswith(b"10.0.0.")


def test_a_custom_balancer_is_made_by_name(cells):
    made = object()
    tables = compiled(
        cells,
        '[[proxy.rules]]\nupstream = "http://10.0.0.1"\nload_balancing = "mine:Chooser"\n',
        load_balancer={"mine:Chooser": made}.__getitem__,
    )
    assert route(tables).pool.custom is made
    with pytest.raises(ValueError, match="mine:Chooser"):
        compiled(
            cells,
            '[[proxy.rules]]\nupstream = "http://10.0.0.1"\nload_balancing = "mine:Chooser"\n',
        )


def test_without_a_default_pool_what_no_rule_takes_is_a_404(cells):
    tables = compiled(cells, '[proxy]\nset_response_header = { X-Edge = "1" }\n')
    missing = route(tables)
    assert (missing.reply_kind, missing.reply_status) == (REPLY_FIXED, 404)
    assert missing.reply_body == b"404 Not Found\n"
    assert missing.response_edits.as_text() == ([b"x-edge"], b"X-Edge: 1\r\n")


def test_header_changes_become_names_to_drop_and_lines_to_add(cells):
    tables = compiled(
        cells,
        """
        [[proxy.rules]]
        upstream = "http://10.0.0.1"
        set_request_header = { X-Env = "prod", Host = "inner" }
        add_request_header = { X-Trace = ["a", "b"] }
        remove_request_header = ["Cookie"]
        remove_response_header = ["Server"]
        """,
    )
    found = route(tables)
    drops, lines = found.request_edits.as_text()
    assert sorted(drops) == [b"cookie", b"host", b"x-env"]
    assert lines == b"X-Env: prod\r\nHost: inner\r\nX-Trace: a\r\nX-Trace: b\r\n"
    assert found.request_edits.sets_host
    assert found.response_edits.as_text() == ([b"server"], b"")
    assert tables.table.default.request_edits is None


def test_timeouts_retries_and_switches_arrive(cells):
    found = route(
        compiled(
            cells,
            """
            [limits]
            body_bytes = "1KiB"
            [[proxy.rules]]
            upstream = "http://10.0.0.1"
            websocket = true
            forward_host = "upstream"
            timeouts = { response = "30s", connect = "250ms" }
            retry = { attempts = 4, on = ["timeout", 503], budget = 0.5 }
            """,
        )
    )
    assert (found.response_ms, found.connect_ms) == (30_000, 250)
    assert (found.retry_attempts, found.retry_budget) == (4, 0.5)
    assert (found.retry_connect, found.retry_closed, found.retry_timeout) == (False, False, True)
    assert found.websocket
    assert found.host_from_upstream
    assert found.max_body_bytes == 1024
    assert found.reply_kind == REPLY_NONE


def test_fixed_answers(cells):
    tables = compiled(
        cells,
        '[[proxy.rules]]\npath = "/hi"\nrespond = "hello"\n[[proxy.rules]]\npath = "/no"\nrespond = 403\n'
        '[[proxy.rules]]\npath = "/nothing"\nrespond = 204\n',
    )
    hello = route(tables, "GET /hi HTTP/1.1")
    assert (hello.reply_status, hello.reply_body) == (200, b"hello")
    assert hello.reply_head == b"Content-Type: text/plain; charset=utf-8\r\n"
    assert route(tables, "GET /no HTTP/1.1").reply_body == b"403 Forbidden\n"
    assert route(tables, "GET /nothing HTTP/1.1").reply_head == b""
    assert reply_lines(ResolvedReply(599))[1] == b"599 Error\n"


@pytest.mark.parametrize(
    ("rule", "line", "path", "location"),
    [
        (
            'redirect = "https://$host$request_uri"',
            "GET /a?b HTTP/1.1",
            None,
            b"https://www.test/a?b",
        ),
        ('redirect = "$scheme://x$uri"', "GET /%C3%A9 HTTP/1.1", b"/\xc3\xa9", b"http://x/%C3%A9"),
        ('redirect = "/n?$args"', "GET /a?b=1 HTTP/1.1", None, b"/n?b=1"),
        (
            'path = "/old/*"\nredirect = "/new/*/x"',
            "GET /old/a%20b HTTP/1.1",
            b"/old/a b",
            b"/new/a%20b/x",
        ),
        ('path = "/o*"\nredirect = "/n*"', "GET /o%0D%0Ax HTTP/1.1", b"/o\r\nx", b"/n%0D%0Ax"),
    ],
)
def test_redirects(cells, rule, line, path, location):
    tables = compiled(cells, f"[[proxy.rules]]\n{rule}\n")
    request = exchange(line, path=path)
    assert request.location(request.match(tables.table)) == location


@pytest.mark.parametrize(
    ("rule", "line", "path", "target"),
    [
        ('path = "/api/*"\nrewrite = "/v2/*"', "GET /api/a?q=1 HTTP/1.1", None, b"/v2/a?q=1"),
        ('path = "/api/*"\nrewrite = "/*"', "GET /api/a%2Fb HTTP/1.1", b"/api/a b", b"/a%20b"),
        ('path = "/a/*/c/*"\nrewrite = "/*/*"', "GET /a/1/c/2 HTTP/1.1", None, b"/1/2"),
        (
            r"rewrite = { regex = '/u/(\d+)', to = '/user?id=\1' }",
            "GET /u/7 HTTP/1.1",
            None,
            b"/user%3Fid=7",
        ),
        (r"rewrite = { regex = '/u/(\d+)', to = '/\1' }", "GET /x?y HTTP/1.1", None, b"/x?y"),
    ],
)
def test_rewrites(cells, rule, line, path, target):
    tables = compiled(cells, f'[[proxy.rules]]\n{rule}\nupstream = "http://10.0.0.1"\n')
    request = exchange(line, path=path)
    assert request.target(request.match(tables.table)) == target


def test_backslashes_in_a_template_with_stars_are_themselves():
    assert (
        redirection(r"/a\\b/\g<1>", r"(?s:/x(.*))\Z")(b"http", b"h", b"/xy", b"", b"/xy")
        == b"/a%5Cb/y"
    )
    assert redirection(r"/a\\b", None)(b"http", b"h", b"/", b"", b"/") == b"/a%5C%5Cb"
    assert rewriting(ResolvedRewrite("/(.*)", r"\1"))(b"/x", b"") == b"/x"


def test_built_in_pages_and_the_labels_of_all_routes(cells):
    tables = compiled(cells, SEED, built_in=[BuiltIn("/metrics", "metrics", lambda session: None)])
    page = route(tables, "GET /metrics HTTP/1.1")
    assert tables.policies == ["round_robin", "least_conn", "round_robin", ""]
    assert page.reply_kind == REPLY_PYTHON
    assert page.loopback_only
    assert tables.labels == ["/api/*", "x-forwarded-for", "default", "metrics"]
    assert [tables.labels[r.index].encode() for r in tables.table.routes] == [
        r.label for r in tables.table.routes
    ]


def test_hooks_go_to_the_rules_they_are_for(cells):
    hooks = BoundPhases(logging=lambda session, error, ctx: None)
    tables = compiled(cells, SEED, hooks={1: hooks, 2: BoundPhases()})
    assert [r.hooks is not None for r in tables.table.routes] == [False, True, False]


def test_the_key_of_a_request(cells):
    import zlib

    text = '[[proxy.rules]]\nupstream = "http://10.0.0.1"\nload_balancing = "{}"\n'
    request = exchange("GET /a?b HTTP/1.1")
    request.note(client=b"10.1.2.3")
    by_target = compiled(cells, text.format("consistent_hash"))
    assert request.key(request.match(by_target.table)) == zlib.crc32(b"/a?b")
    by_address = compiled(cells, text.format("ip_hash"))
    assert 0 < request.key(request.match(by_address.table)) < 6271
    assert request.key(request.match(compiled(cells, text.format("random")).table)) == 0


@pytest.mark.parametrize(
    ("address", "family", "size"),
    [("10.0.0.1:80", 2, 16), ("[::1]:443", 10, 28), ("unix:/run/a.sock", 1, 14)],
)
def test_addresses_as_the_kernel_wants_them(address, family, size):
    endpoint = Endpoint(address, 1, 0, "", "", False)
    assert endpoint.sockaddr()[0] == family
    assert len(endpoint.sockaddr()[1]) == size


def test_what_peers_have_for_tls(cells):
    rules = """
[[proxy.rules]]
path = "/a"
upstream = ["https://10.0.0.1", "http://10.0.0.2"]
[[proxy.rules]]
path = "/b"
upstream = ["https://one.test", "https://two.test"]
[[proxy.rules]]
upstream = "https://unix:/run/o.sock"
tls = { verify = false }
"""
    # two names at one address are two origins
    tables = compiled(
        cells,
        rules,
        answers={"one.test:443": ("10.0.0.3:443",), "two.test:443": ("10.0.0.3:443",)},
    )
    found = {
        (peer.text, peer.tls and peer.tls.name)
        for pool in tables.pools.values()
        for peer in pool.pool.peers
    }
    assert found == {
        (b"10.0.0.1:443", b"10.0.0.1"),
        (b"10.0.0.2:80", None),
        (b"10.0.0.3:443", b"one.test"),
        (b"10.0.0.3:443", b"two.test"),
        (b"unix:/run/o.sock", b""),
    }


def test_a_file_for_tls_that_cannot_be_used_stops_the_worker(cells):
    rules = '[[proxy.rules]]\nupstream = "https://a"\ntls = { ca = "none.pem" }\n'
    with pytest.raises(ConfigError, match="TLS towards origins: there is no certificate"):
        compiled(cells, rules, origin_tls=OriginTls({"none.pem": b"nothing"}))

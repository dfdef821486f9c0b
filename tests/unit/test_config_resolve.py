"""What rules and pools become once defaults are merged and names are followed."""

import re
from dataclasses import replace

import pytest

from pingpy.config.globs import covers, glob_regex, star_template
from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.resolved import HeaderChanges, HeaderCondition, QueryCondition, ResolvedTls
from pingpy.config.source import ConfigSource


def resolved(text):
    return resolve(load(ConfigSource("c.toml", text.encode())))


def rule(text, before=""):
    return resolved(f'{before}\n[[proxy.rules]]\nupstream = "http://a"\n{text}\n').rules[0]


BACKENDS = """
[[load_balancing.backends]]
name = "one"
address = "10.0.0.1:81"
weight = 3
[[load_balancing.backends]]
name = "two"
address = "unix:/run/two.sock"
max_connections = 7
[[load_balancing.backends]]
name = "three"
address = "10.0.0.3:83"
group = "others"
"""


def test_without_rules_and_backends_everything_is_404():
    found = resolved("")
    assert found.rules == ()
    assert found.no_match.pool is None
    assert found.no_match.reply.status == 404
    assert found.pools == ()


def test_the_default_pool_has_the_backends_without_a_group():
    pool = resolved(BACKENDS + '[[proxy.rules]]\nupstream = "others"').no_match.pool
    assert (pool.name, pool.algorithm) == ("default", "round_robin")
    assert [(p.name, p.address, p.weight, p.max_connections) for p in pool.peers] == [
        ("one", "10.0.0.1:81", 3, 0),
        ("two", "unix:/run/two.sock", 1, 7),
    ]


@pytest.mark.parametrize(
    ("upstream", "name", "addresses"),
    [
        ('"http://backend"', "backend:80", ["backend:80"]),
        ('"https://backend"', "https://backend:443", ["backend:443"]),
        ('["http://b:2", "http://a:1"]', "b:2,a:1", ["b:2", "a:1"]),
        ('"one"', "one", ["10.0.0.1:81"]),
        ('"http://one"', "one", ["10.0.0.1:81"]),
        ('"https://ONE"', "https://one", ["10.0.0.1:81"]),
        ('["one", "http://c"]', "one,c:80", ["10.0.0.1:81", "c:80"]),
        ('"others"', "others", ["10.0.0.3:83"]),
        ('"unix:/run/x.sock"', "unix:/run/x.sock", ["unix:/run/x.sock"]),
        ('"web"', "web", ["10.0.1.1:80"]),
    ],
)
def test_what_an_upstream_yields(upstream, name, addresses):
    pools = '[[pools]]\nname = "web"\npeers = [{ address = "10.0.1.1" }]\n'
    pool = resolved(f"{BACKENDS}{pools}[[proxy.rules]]\nupstream = {upstream}\n").rules[0].pool
    assert (pool.name, [peer.address for peer in pool.peers]) == (name, addresses)


def test_rules_with_the_same_upstream_share_a_pool_and_another_algorithm_makes_another():
    found = resolved(
        '[[proxy.rules]]\nupstream = "http://a"\npath = "/1"\n'
        '[[proxy.rules]]\nupstream = "http://a:80/"\npath = "/2"\nload_balancing = "hash"\n'
        '[[proxy.rules]]\nupstream = "http://A"\npath = "/3"\n'
    )
    first, second, third = (r.pool for r in found.rules)
    assert first is third
    assert (second.name, second.algorithm) == ("a:80/consistent_hash", "consistent_hash")
    assert [pool.name for pool in found.pools] == ["a:80", "a:80/consistent_hash"]


def test_a_pools_name_does_not_depend_on_where_its_rule_stands():
    rules = [f'[[proxy.rules]]\nupstream = "http://{h}"\npath = "/{h}"\n' for h in "abc"]
    forwards = {pool.name for pool in resolved("".join(rules)).pools}
    backwards = {pool.name for pool in resolved("".join(reversed(rules))).pools}
    assert forwards == backwards == {"a:80", "b:80", "c:80"}


@pytest.mark.parametrize(
    ("proxy", "pool", "own", "expected"),
    [
        ("", "", "", "round_robin"),
        ('load_balancing = "random"', "", "", "round_robin"),
        ("", 'algorithm = "least_connections"', "", "least_conn"),
        ("", 'algorithm = "random"', 'load_balancing = "ip_hash"', "ip_hash"),
        ("", "", 'load_balancing = "mine:Balancer"', "mine:Balancer"),
    ],
)
def test_a_rules_algorithm_beats_its_pools(proxy, pool, own, expected):
    text = (
        f'[proxy]\n{proxy}\n[[pools]]\nname = "w"\npeers = [{{ address = "a:1" }}]\n{pool}\n'
        f'[[proxy.rules]]\nupstream = "w"\n{own}\n'
    )
    assert resolved(text).rules[0].pool.algorithm == expected


def test_urls_take_the_algorithm_of_proxy():
    assert rule("", '[proxy]\nload_balancing = "random"').pool.algorithm == "random"


def test_conditions_in_their_parsed_form():
    found = rule(
        'host = ["*.Example.com"]\nmethod = "GET"\nquery = ["a", "b=*1"]\n'
        'header = ["X-A", "Content-Type: application/grpc*"]'
    ).conditions
    assert found.hosts == ("*.example.com",)
    assert found.headers == (
        HeaderCondition("x-a", None),
        HeaderCondition("content-type", "application/grpc*"),
    )
    assert found.query == (QueryCondition("a", None), QueryCondition("b", "*1"))
    single = rule('header = "X-A"\nheader_value = "1"').conditions
    assert single.headers == (HeaderCondition("x-a", "1"),)


def test_header_changes_of_proxy_are_merged_and_the_rules_win():
    before = (
        '[proxy]\nset_response_header = { Server = "edge", X-Keep = "1" }\n'
        'add_response_header = { Via = "edge" }\nremove_response_header = ["X-Powered-By", "X-Debug"]\n'
    )
    found = rule(
        'set_response_header = { server = "mine", X-Debug = "on" }\n'
        'add_response_header = { via = ["a", "b"] }\nremove_response_header = ["X-Keep"]',
        before,
    ).response_headers
    assert found == HeaderChanges(
        remove=("X-Powered-By", "X-Keep"),
        set=(("server", "mine"), ("X-Debug", "on")),
        add=(("via", "edge"), ("via", "a"), ("via", "b")),
    )


def test_rules_without_changes_of_their_own_share_those_of_proxy():
    text = '[proxy]\nset_request_header = { A = "1" }\n' + "".join(
        f'[[proxy.rules]]\nupstream = "http://a"\npath = "/{n}"\n' for n in range(2)
    )
    found = resolved(text)
    assert found.rules[0].request_headers is found.rules[1].request_headers
    assert found.no_match.request_headers.set == (("A", "1"),)


@pytest.mark.parametrize(
    ("proxy", "own", "expected"),
    [
        ("", "", False),
        ('host = "upstream"', "", True),
        ('forward_host = "upstream"', "", True),
        ('host = "upstream"', 'forward_host = "client"', False),
        ("", 'host = "upstream"', True),
        ("", 'forward_host = "upstream"\nhost = "a.com"', True),
    ],
)
def test_whose_host_is_sent(proxy, own, expected):
    assert rule(own, f"[proxy]\n{proxy}").host_from_upstream is expected


def test_host_upstream_is_an_option_and_not_a_condition():
    assert rule('host = "upstream"').conditions.hosts == ()


def test_timeouts_come_from_the_rule_then_proxy_then_their_own_table():
    before = "[timeouts]\nbody = 1\nconnect = 1\nresponse = 1\n[proxy]\ntimeouts = { connect = 2, response = 2 }"
    found = rule('timeouts = { response = "3s" }', before).timeouts
    assert found.body_seconds == 1
    assert (found.connect_seconds, found.response_seconds) == (2, 3)
    assert found.tunnel_seconds == 3600


def test_retries_come_from_the_rule_then_the_pool_then_proxy():
    pool = '[[pools]]\nname = "w"\nretry = 5\npeers = [{ address = "a:1" }]\n'
    text = f'[proxy]\nretry = 1\n{pool}[[proxy.rules]]\nupstream = "w"\npath = "/a"\n'
    found = resolved(
        text + '[[proxy.rules]]\nupstream = "w"\nretry = { on = ["timeout", 502, "4xx"] }\n'
        '[[proxy.rules]]\nupstream = "http://b"\nmethod = "GET"\n'
    )
    assert [r.retry.attempts for r in found.rules] == [5, 2, 1]
    own = found.rules[1].retry
    assert (own.on_connect, own.on_closed, own.on_timeout) == (False, False, True)
    assert own.statuses == {502, *range(400, 500)}
    assert own.budget == 0.2


def test_flags_and_filters_of_proxy_reach_every_rule():
    modules = "".join(f'[[modules]]\npath = "m.py"\nclass = "{c}"\n' for c in "ABC")
    before = f'{modules}[proxy]\nwebsocket = true\nfilters = ["a", "b"]'
    found = rule('filters = ["c", "a"]', before)
    assert (found.websocket, found.grpc, found.filters) == (True, False, ("a", "b", "c"))
    assert rule("websocket = false", before).websocket is False


def test_replies():
    text = '[[proxy.rules]]\npath = "/old/*"\n{}\n'
    reply = resolved(text.format('redirect = "https://$host/new/*"')).rules[0].reply
    assert (reply.status, reply.location) == (302, r"https://$host/new/\g<1>")
    assert re.sub(reply.path_regex, reply.location, "/old/x/y") == "https://$host/new/x/y"
    assert resolved(text.format("respond = 204")).rules[0].reply.status == 204
    reply = resolved(text.format('respond = "ok"')).rules[0].reply
    assert (reply.status, reply.body, reply.content_type) == (
        200,
        "ok",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize(
    ("conditions", "path", "expected"),
    [
        ('path = "/api/*"\nrewrite = "/*"', "/api/a/b", "/a/b"),
        ('path = "/a/*/b/*"\nrewrite = "/*/*"', "/a/1/b/2", "/1/2"),
        ('path = "/x"\nrewrite = "/y"', "/x", "/y"),
        ('rewrite = "/all"', "/any/thing", "/all"),
        ('rewrite = { regex = "/(\\\\w+)/(\\\\w+)", to = "/\\\\2/\\\\1" }', "/a/b", "/b/a"),
        ('path = "/a.b/*"\nrewrite = "/\\\\1/*"', "/a.b/c", "/\\1/c"),
    ],
)
def test_rewrites(conditions, path, expected):
    rewrite = rule(conditions).rewrite
    match = re.fullmatch(rewrite.regex, path)
    assert match.expand(rewrite.replacement) == expected


def test_a_health_checks_timeout_is_clamped_to_its_interval():
    found = rule("", "[health_check]\ninterval = 2\ntimeout = 9").pool.health_check
    assert (found.interval_seconds, found.timeout_seconds) == (2, 2)


def test_a_pool_overrides_single_keys_of_the_health_check_or_switches_it_off():
    text = (
        '[health_check]\ninterval = 7\npath = "/h"\n'
        '[[pools]]\nname = "a"\npeers = [{ address = "a:1" }]\nhealth_check = { path = "/own" }\n'
        '[[pools]]\nname = "b"\npeers = [{ address = "a:1" }]\nhealth_check = false\n'
        '[[proxy.rules]]\nupstream = "a"\npath = "/a"\n[[proxy.rules]]\nupstream = "b"\n'
    )
    first, second = (r.pool.health_check for r in resolved(text).rules)
    assert (first.interval_seconds, first.path) == (7, "/own")
    assert second is None


def test_pools_keep_their_bounds():
    text = (
        '[[pools]]\nname = "a"\nmax_connections = 10\nqueue = { size = 3, timeout = "1s" }\n'
        'peers = [{ address = "a:1" }, { address = "a:2", name = "x", max_connections = 5 }]\n'
        '[[proxy.rules]]\nupstream = "a"\n'
    )
    pool = resolved(text).rules[0].pool
    assert [(p.name, p.max_connections) for p in pool.peers] == [("a:1", 10), ("x", 5)]
    assert (pool.queue_size, pool.queue_seconds) == (3, 1)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a", "a"),
        ("http://a:8080", "a:8080"),
        ("https://a", "a"),
        ("https://a:80", "a:80"),
        ("http://[::1]", "[::1]"),
        ("unix:/x", "localhost"),
    ],
)
def test_an_authority_leaves_out_the_schemes_own_port(url, authority):
    found = resolved(f'[[proxy.rules]]\nupstream = "{url}"\n').rules[0].pool.peers[0]
    assert found.authority == authority


def test_labels_tell_rules_apart():
    text = "".join(
        f'[[proxy.rules]]\nupstream = "http://a"\n{c}\n'
        for c in ('method = "GET"\npath = "/a"', 'header = "A: b*"', 'query = "q=1"', "")
    )
    assert [r.label for r in resolved(text).rules] == ["GET /a", "a:b*", "?q=1", "*"]
    assert resolved(text).no_match.label == "default"


def test_metrics_can_be_moved_and_switched_off():
    assert resolved("[metrics]\nenabled = false").metrics is None
    found = resolved('[metrics]\npath = "/m"\nallow = "10.0.0.0/8"').metrics
    assert (found.path, found.allow, found.apart) == ("/m", ("10.0.0.0/8",), False)
    assert resolved("").metrics.allow == ("loopback", "unix")


def test_a_bound_on_bodies_is_optional():
    assert rule("").max_body_bytes == -1
    assert rule("", '[limits]\nbody_bytes = "1KiB"').max_body_bytes == 1024


def test_globs_match_everything_between_their_stars_and_only_whole_texts():
    assert re.match(glob_regex("/a*/b"), "/a\n/x/b")
    assert not re.match(glob_regex("/a"), "/a\n")
    assert not re.match(glob_regex("/a.b"), "/axb")
    assert star_template(r"/\1/*") == r"/\\1/\g<1>"
    assert covers("/a*", "/a/*")
    assert not covers("/a/*", "/a*")


def sends_proxy(text):
    return [(pool.name, pool.send_proxy) for pool in resolved(text).pools]


POOL_OF_ONE = '[[pools]]\nname = "web"\npeers = [{ address = "10.0.0.1:80" }]\n'
TO_POOL = '[[proxy.rules]]\nupstream = "web"\n'


def test_who_gets_proxy_headers():
    assert sends_proxy(POOL_OF_ONE + TO_POOL) == [("web", False)]
    own = POOL_OF_ONE + 'send_proxy_protocol = "v2"\n' + TO_POOL
    assert sends_proxy(own) == [("web", True)]
    assert sends_proxy(own + 'send_proxy_protocol = "off"\n') == [("web/proxy_off", False)]
    assert sends_proxy('[proxy]\nsend_proxy_protocol = "off"\n' + own) == [("web", True)]
    # what differs by it is another pool: no connection is shared
    both = POOL_OF_ONE + TO_POOL + 'path = "/a"\nsend_proxy_protocol = "v2"\n' + TO_POOL
    assert sends_proxy(both) == [("web/proxy_v2", True), ("web", False)]
    everywhere = '[proxy]\nsend_proxy_protocol = "v2"\n' + BACKENDS
    assert sends_proxy(everywhere + '[[proxy.rules]]\nupstream = "http://a"\n') == [
        ("a:80/proxy_v2", True),
        ("default/proxy_v2", True),
    ]


def test_the_protocol_towards_the_origin_is_the_rules_own_the_pools_or_that_of_proxy():
    pools = '[[pools]]\nname = "p"\nupstream_protocol = "h2"\npeers = [{address = "b:80"}]\n'
    found = resolved(
        pools + '[proxy]\nupstream_protocol = "http1"\n'
        '[[proxy.rules]]\nupstream = "p"\npath = "/p"\n'
        '[[proxy.rules]]\nupstream = "p"\npath = "/q"\nupstream_protocol = "http1"\n'
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/r"\n'
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/s"\nupstream_protocol = "h2"\n'
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/t"\ngrpc = true\n'
    )
    spoken = [rule.upstream_protocol for rule in found.rules]
    assert spoken == ["h2", "http1", "http1", "h2", "h2"]
    assert found.no_match.upstream_protocol == "http1"


def tls_of(text):
    return [(pool.name, pool.tls) for pool in resolved(text).pools]


SECURE_POOL = '[[pools]]\nname = "web"\npeers = [{ address = "https://10.0.0.1" }]\n'


def test_tls_towards_origins_is_verified_unless_it_is_spelled_out():
    assert tls_of('[[proxy.rules]]\nupstream = "https://a"\n') == [("https://a:443", ResolvedTls())]
    assert ResolvedTls().verify
    assert not tls_of(SECURE_POOL + "tls = { verify = false }\n" + TO_POOL)[0][1].verify


def test_what_a_rule_leaves_out_its_pool_and_proxy_say():
    text = (
        '[proxy]\ntls = { ca = "all.pem", certificate = "c.pem", key = "k.pem" }\n'
        + SECURE_POOL
        + 'tls = { server_name = "web.example.com", certificate = "w.pem", key = "w.key" }\n'
        + TO_POOL
    )
    own = ResolvedTls(True, "all.pem", "web.example.com", "w.pem", "w.key")
    assert tls_of(text) == [("web", own)]
    [(name, ruled)] = tls_of(text + 'tls = { min_version = "1.3" }\n')
    assert name.startswith("web/tls_")
    assert ruled == replace(own, min_version="1.3")


def test_what_differs_in_tls_shares_no_pool():
    rule = (
        '[[proxy.rules]]\npath = "/{0}"\nupstream = "https://a"\ntls = {{ server_name = "{0}" }}\n'
    )
    names = [name for name, _ in tls_of(rule.format("x") + rule.format("y"))]
    assert len(set(names)) == 2
    assert all(re.fullmatch("https://a:443/tls_[0-9a-f]{8}", name) for name in names)
    assert names == [name for name, _ in tls_of(rule.format("x") + rule.format("y"))]
    # plain peers are what they were
    assert tls_of('[proxy]\ntls = { ca = "x" }\n' + POOL_OF_ONE + TO_POOL)[0][0] == "web"
    assert tls_of(POOL_OF_ONE + TO_POOL + 'tls = { ca = "x" }\n')[0][0] == "web"

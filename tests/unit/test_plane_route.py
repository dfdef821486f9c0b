"""Routing: each condition by itself, the index against a plain linear matcher, cost that does not grow."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pingpy.config.globs import glob_regex
from pingpy.config.resolved import Conditions, HeaderCondition, QueryCondition
from worker.plane.buffer import Arena
from worker.plane.route import HeaderEdits, Route, RouteTable
from worker.plane.rules import RuleSet
from worker.plane.table_doors import Exchange
from worker.policy.rule_index import build

ARENA = Arena()


def table(*conditions, default=None, built_in=()):
    routes = [Route(b"%d" % number) for number in range(len(conditions))]
    return RouteTable(routes, RuleSet(build(conditions)), default=default, built_in=built_in)


def exchange(target="/", method="GET", host="a", headers=(), path=None):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    made = Exchange(ARENA, head, path=path)
    assert made.scanned == len(head)
    return made


def found(routes, **request):
    route = exchange(**request).match(routes)
    return None if route is None else int(route.label)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/api/*", "/api/", True),
        ("/api/*", "/api/a/b", True),
        ("/api/*", "/api", False),
        ("/api", "/api", True),
        ("/api", "/api/", False),
        ("/api", "/API", False),
        ("*", "/", True),
        ("*.php", "/a/b.php", True),
        ("*.php", "/a/b.php5", False),
        ("/*/edit", "/a/b/edit", True),
        ("/*/edit", "/edit", False),
        ("/a*b*c", "/abc", True),
        ("/a*b*c", "/axxbxxbc", True),
        ("/a*b*c", "/acb", False),
        ("/a*a", "/a", False),
        ("/a*a", "/aa", True),
    ],
)
def test_path_patterns(pattern, path, matches):
    assert found(table(Conditions(paths=(pattern,))), target=path) == (0 if matches else None)


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com:8080", True),
        ("example.com", "example.com.", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com:1", True),
        ("*.example.com", "example.com", False),
        ("api.*", "api.example.org", True),
        ("[::1]", "[::1]:80", True),
        ("[::1]", "[::2]:80", False),
        ("*", "anything", True),
    ],
)
def test_host_patterns(pattern, host, matches):
    assert found(table(Conditions(hosts=(pattern,))), host=host) == (0 if matches else None)


@pytest.mark.parametrize(
    ("condition", "headers", "matches"),
    [
        (HeaderCondition("x-forwarded-for", None), [("X-Forwarded-For", "")], True),
        (HeaderCondition("x-forwarded-for", None), [("x-FORWARDED-for", "1")], True),
        (HeaderCondition("x-forwarded-for", None), [("X-Forwarded", "1")], False),
        (HeaderCondition("x-tenant", "42"), [("X-Tenant", "42")], True),
        (HeaderCondition("x-tenant", "42"), [("X-Tenant", "421")], False),
        (HeaderCondition("x-tenant", "42"), [("X-Tenant", "1"), ("X-Tenant", "42")], True),
        (
            HeaderCondition("content-type", "application/grpc*"),
            [("Content-Type", "application/grpc+proto")],
            True,
        ),
        (HeaderCondition("content-type", "application/grpc*"), [("Content-Type", "text/x")], False),
        (HeaderCondition("x", "*a*"), [("X", "bab")], True),
        (HeaderCondition("x", ""), [("X", "")], True),
        (HeaderCondition("x", ""), [("X", "a")], False),
    ],
)
def test_header_conditions(condition, headers, matches):
    rules = table(Conditions(headers=(condition,)))
    assert found(rules, headers=headers) == (0 if matches else None)


@pytest.mark.parametrize(
    ("condition", "query", "matches"),
    [
        (QueryCondition("a", None), "a=1", True),
        (QueryCondition("a", None), "a", True),
        (QueryCondition("a", None), "ab=1&b=a", False),
        (QueryCondition("a", "1"), "b=2&a=1", True),
        (QueryCondition("a", "1"), "a=12", False),
        (QueryCondition("a", "1*"), "a=12", True),
        (QueryCondition("a", ""), "a", True),
        (QueryCondition("a", ""), "a=", True),
        (QueryCondition("a", "1"), "a=0&a=1", True),
        (QueryCondition("a", "b=c"), "a=b=c", True),
        (QueryCondition("a", None), "", False),
    ],
)
def test_query_conditions(condition, query, matches):
    rules = table(Conditions(query=(condition,)))
    assert found(rules, target=f"/?{query}") == (0 if matches else None)


def test_methods_known_and_unknown():
    rules = table(Conditions(methods=("GET", "PURGE")), Conditions(methods=("MKCOL", "PUT")))
    for method, expected in (("GET", 0), ("PURGE", 0), ("MKCOL", 1), ("PUT", 1), ("LINK", None)):
        assert found(rules, method=method) == expected


def test_the_first_rule_in_file_order_wins_however_it_is_filed():
    rules = (
        Conditions(paths=("/a/*",), methods=("POST",)),
        Conditions(headers=(HeaderCondition("x", None),)),
        Conditions(paths=("/a/b",)),
        Conditions(hosts=("h",)),
        Conditions(paths=("/*",)),
        Conditions(),
    )
    routes = table(*rules)
    assert found(routes, target="/a/b", method="POST", headers=[("X", "1")]) == 0
    assert found(routes, target="/a/b", headers=[("X", "1")]) == 1
    assert found(routes, target="/a/b", host="h") == 2
    assert found(routes, target="/a/c", host="h") == 3
    assert found(routes, target="/a/c") == 4
    assert found(routes, target="*", method="OPTIONS") == 5


def test_the_default_and_no_route_at_all():
    default = Route(b"7")
    assert found(table(default=default)) == 7
    assert found(table()) is None
    routes = table(Conditions(paths=("/x",)), default=default)
    assert found(routes) == 7
    assert default.index == 1


def test_a_built_in_page_comes_first_but_not_for_forwarded_requests():
    page = Route(b"99", loopback_only=True)
    routes = table(Conditions(), built_in=[(b"/metrics", page)])
    assert found(routes, target="/metrics") == 99
    assert found(routes, target="/metrics?x=1") == 99
    assert found(routes, target="/metrics/") == 0
    assert found(routes, target="/metrics", headers=[("X-Forwarded-For", "1")]) == 0
    assert int(exchange("/metrics").match_rules(routes).label) == 0


def test_a_page_for_loopback_is_no_page_for_others():
    page = Route(b"99", loopback_only=True)
    routes = table(Conditions(), built_in=[(b"/metrics", page)])
    assert int(exchange("/metrics").match(routes, True).label) == 99
    assert int(exchange("/metrics").match(routes, False).label) == 0
    open_page = table(Conditions(), built_in=[(b"/metrics", Route(b"98"))])
    assert int(exchange("/metrics").match(open_page, False).label) == 98


def test_the_normalised_path_decides():
    rules = table(Conditions(paths=("/api/*",)))
    assert found(rules, target="/x", path=b"/api/y") == 0
    assert found(rules, target="/api/y", path=b"/admin") is None


PIECES = st.sampled_from(["a", "b", "ab", "*", "/", "/a/", ".x"])
PATHS = st.builds(
    lambda parts: re.sub(r"\*+", "*", "/" + "".join(parts)), st.lists(PIECES, max_size=5)
)
HOSTS = st.sampled_from(["a", "b.a", "*.a", "*a*", "a.*", "c.b.a"])
HEADERS = st.builds(
    HeaderCondition,
    st.sampled_from(["x", "y"]),
    st.sampled_from([None, "1", "1*", "*2", ""]),
)
RULES = st.builds(
    Conditions,
    hosts=st.lists(HOSTS, max_size=2).map(tuple),
    paths=st.lists(PATHS | st.just("*a"), max_size=2).map(tuple),
    methods=st.lists(st.sampled_from(["GET", "POST", "PURGE"]), max_size=1).map(tuple),
    headers=st.lists(HEADERS, max_size=2).map(tuple),
    query=st.lists(st.just(QueryCondition("q", None)), max_size=1).map(tuple),
)
REQUESTS = st.fixed_dictionaries(
    {
        "target": st.builds(
            lambda parts, query: "/" + "".join(parts).replace("*", "") + query,
            st.lists(PIECES, max_size=6),
            st.sampled_from(["", "?q", "?q=1"]),
        ),
        "method": st.sampled_from(["GET", "POST", "PURGE"]),
        "host": st.sampled_from(["a", "b.a", "c.b.a", "A:80", "xax"]),
        "headers": st.lists(
            st.tuples(st.sampled_from(["X", "y"]), st.sampled_from(["1", "12", "2", ""])),
            max_size=3,
        ),
    }
)


def covers(pattern, text):
    return re.match(glob_regex(pattern), text) is not None


def plainly(rule, request):
    """The conditions spelled out, without any index."""
    path, _, query = request["target"].partition("?")
    host = request["host"].lower().partition(":")[0]
    return (
        (not rule.hosts or any(covers(pattern, host) for pattern in rule.hosts))
        and (not rule.paths or any(covers(pattern, path) for pattern in rule.paths))
        and (not rule.methods or request["method"] in rule.methods)
        and all(
            any(
                name.lower() == wanted.name
                and (wanted.pattern is None or covers(wanted.pattern, value))
                for name, value in request["headers"]
            )
            for wanted in rule.headers
        )
        and (not rule.query or query.startswith("q"))
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(RULES, max_size=12), st.lists(REQUESTS, min_size=1, max_size=6))
def test_the_index_finds_what_a_linear_search_finds(rules, requests):
    routes = table(*rules)
    for request in requests:
        first = (number for number, rule in enumerate(rules) if plainly(rule, request))
        assert found(routes, **request) == next(first, None)


@settings(max_examples=150, deadline=None)
@given(PATHS, st.lists(PIECES, max_size=8))
def test_patterns_mean_what_their_regular_expressions_mean(pattern, parts):
    path = "/" + "".join(parts).replace("*", "")
    assert (found(table(Conditions(paths=(pattern,))), target=path) == 0) == covers(pattern, path)


SHAPES = {
    "exact paths": lambda n: Conditions(paths=(f"/service/{n}",)),
    "prefixes": lambda n: Conditions(paths=(f"/service/{n}/*",)),
    "hosts": lambda n: Conditions(hosts=(f"h{n}.example.com",), paths=("/*",)),
    "wildcard hosts": lambda n: Conditions(hosts=(f"*.h{n}.example.com",)),
    "headers": lambda n: Conditions(headers=(HeaderCondition("x-tenant", str(n)),)),
    "hosts and paths": lambda n: Conditions(hosts=(f"h{n % 100}",), paths=(f"/{n // 100}/*",)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_thousand_rules_are_told_apart_and_leave_few_to_look_at(shape):
    rules = [*(SHAPES[shape](number) for number in range(10_000)), Conditions()]
    tables = build(rules)
    buckets = zip(tables.bucket_first, tables.bucket_end, strict=True)
    assert max(end - first for first, end in buckets) == 1
    assert tables.residue[1] - tables.residue[0] == 1
    routes = RouteTable([Route(b"%d" % number) for number in range(10_001)], RuleSet(tables))
    for number in (0, 1, 4711, 9_999):
        rule = rules[number]
        request = {
            "host": rule.hosts[0].replace("*", "w") if rule.hosts else "x",
            "target": rule.paths[0].replace("*", "y") if rule.paths else "/",
            "headers": [("X-Tenant", h.pattern) for h in rule.headers],
        }
        assert found(routes, **request) == number
    assert found(routes, target="/nowhere", host="nobody") == 10_000


def test_header_edits_tell_names_apart_without_regard_to_case():
    edits = HeaderEdits([b"X-A", b"Host", b"x-a"], b"X-A: 1\r\n")
    assert edits.as_text()[1] == b"X-A: 1\r\n"
    assert sorted(edits.as_text()[0]) == [b"host", b"x-a"]
    assert edits.sets_host
    for name, dropped in ((b"x-a", True), (b"X-A", True), (b"HOST", True), (b"x-b", False)):
        assert edits.drops_name(name) == dropped
    assert not HeaderEdits([], b"").drops_name(b"x-a")


def test_a_route_table_refuses_a_wrong_number_of_routes():
    with pytest.raises(ValueError, match="1 routes for 0 rules"):
        RouteTable([Route(b"0")], RuleSet(build([])))
    with pytest.raises(TypeError, match="colour"):
        Route(b"x", colour=1)

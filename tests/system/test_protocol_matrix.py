"""Every protocol of a client with every protocol of an origin, through one pingpy: bodies, trailers, 1xx, cut answers.

Clients and origins are h11 and h2, which share nothing with pingpy and refuse what is not well formed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from master_rig import until
from protocol_client import Answer, Request
from protocol_origin import HALF, LARGE
from protocol_rig import PAIR_NAMES, PAIRS, World, running

MUCH = random.Random(29).randbytes((1 << 20) + 12345)
SUM = (("x-sum", "1234"), ("x-more", "a, b"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("matrix")) as made:
        yield made


@pytest.fixture(params=PAIRS, ids=PAIR_NAMES)
def pair(request: pytest.FixtureRequest, world: World) -> Pair:
    return Pair(world, *request.param)


class Pair:
    """A client of one kind, whose requests go to an origin of another."""

    def __init__(self, world: World, down: str, up: str) -> None:
        self.world, self.down, self.up = world, down, up

    def ask(self, path: str, method: str = "GET", **how: object) -> Answer:
        request = Request(f"/{self.up}{path}", method, **how)  # type: ignore[arg-type]
        return self.world.door(self.down).ask(request)

    def became(self, name: str) -> bytes:
        """What the origin saw of the last request of this name."""
        return bytes(self.whole(f"/of/{name}").body)

    def whole(self, path: str, method: str = "GET", **how: object) -> Answer:
        answer = self.ask(path, method, **how)
        assert (answer.whole, answer.problem) == (True, "")
        return answer


@pytest.mark.row("S29")
@pytest.mark.parametrize("sized", [True, False], ids=["counted", "unknown"])
@pytest.mark.parametrize("body", [b"", b"small", MUCH], ids=["empty", "small", "much"])
def test_bodies_are_the_same_both_ways(pair: Pair, body: bytes, sized: bool) -> None:
    answer = pair.whole("/echo" if sized else "/echo?unsized", "POST", body=body, sized=sized)
    assert (answer.status, answer.get(b"x-got-method")) == (200, b"POST")
    assert bytes(answer.body) == body
    length = b"%d" % len(body)
    if sized:
        assert (answer.get(b"x-got-length"), answer.get(b"content-length")) == (length, length)
    elif body:
        assert (answer.get(b"x-got-length"), answer.get(b"content-length")) == (b"none", None)


@pytest.mark.row("S29")
@pytest.mark.parametrize("body", [b"", b"small", MUCH], ids=["empty", "small", "much"])
def test_trailers_pass_both_ways(pair: Pair, body: bytes) -> None:
    answer = pair.whole("/echo", "POST", body=body, sized=False, trailers=SUM)
    assert bytes(answer.body) == body
    assert [(n.decode(), v.decode()) for n, v in answer.trailers] == list(SUM)


@pytest.mark.row("S29")
def test_a_body_comes_back_while_it_is_sent(pair: Pair) -> None:
    answer = pair.whole("/stream", "POST", body=MUCH, sized=False, trailers=SUM)
    assert bytes(answer.body) == MUCH
    assert len(answer.trailers) == len(SUM)


@pytest.mark.row("S29")
def test_answers_without_a_body(pair: Pair) -> None:
    head = pair.whole("/echo", "HEAD")
    assert (head.status, head.get(b"content-length"), bytes(head.body)) == (200, b"0", b"")
    assert pair.whole("/hints", "HEAD").get(b"content-length") == b"11"
    for status in (204, 304):
        answer = pair.whole(f"/status/{status}")
        assert (answer.status, bytes(answer.body)) == (status, b"")
        assert answer.get(b"etag") == b'"tag"'


@pytest.mark.row("S29")
def test_hints_come_before_the_answer(pair: Pair) -> None:
    answer = pair.whole("/hints")
    assert bytes(answer.body) == b"after hints"
    assert [status for status, _ in answer.informational] == [103]
    assert (b"link", b"</style.css>; rel=preload") in answer.informational[0][1]


@pytest.mark.row("S29")
@pytest.mark.parametrize("sized", [True, False], ids=["counted", "unknown"])
def test_a_client_that_waits_for_100_hears_it(pair: Pair, sized: bool) -> None:
    answer = pair.whole("/echo", "POST", body=b"waited" * 1000, waits=True, sized=sized)
    assert [status for status, _ in answer.informational] == [100]
    assert bytes(answer.body) == b"waited" * 1000


@pytest.mark.row("S29")
def test_an_origin_that_refuses_does_not_make_the_client_send(pair: Pair) -> None:
    answer = pair.whole("/early", "POST", body=b"never sent", waits=True)
    assert (answer.status, bytes(answer.body)) == (403, b"early")


@pytest.mark.row("S29")
@pytest.mark.parametrize("sized", [True, False], ids=["counted", "unknown"])
def test_an_answer_that_comes_before_the_body_is_whole(pair: Pair, sized: bool) -> None:
    answer = pair.ask("/early", "POST", body=MUCH, sized=sized)
    assert (answer.whole, answer.problem) == (True, "")
    assert (answer.status, bytes(answer.body)) == (403, b"early")


@pytest.mark.row("S29")
@pytest.mark.parametrize("path", ["/cut", "/cut?unsized", "/reset", "/reset?unsized"])
def test_a_cut_answer_never_looks_whole(pair: Pair, path: str) -> None:
    answer = pair.ask(path)
    assert answer.status == 200
    assert not answer.whole
    assert answer.problem
    assert HALF.startswith(bytes(answer.body))


@pytest.mark.row("S29")
@pytest.mark.parametrize("sized", [True, False], ids=["counted", "unknown"])
def test_a_cut_request_never_looks_whole(pair: Pair, sized: bool) -> None:
    name = f"cut-{pair.down}-{pair.up}-{sized}"
    request = Request(f"/{pair.up}/echo?{name}", "POST", body=bytes(60_000), sized=sized)
    door = pair.world.door(pair.down)
    door.break_off(request, lambda: until(lambda: pair.became(name) == b"begun"))
    until(lambda: pair.became(name) != b"begun")
    assert pair.became(name) == b"gone"


@pytest.mark.row("S29")
def test_an_origin_that_resets_before_it_answers_is_a_502(pair: Pair) -> None:
    answer = pair.whole("/reset?first", "POST", body=b"once")
    assert answer.status == 502
    assert HALF not in answer.body


@pytest.mark.row("S29")
def test_large_heads_pass(pair: Pair) -> None:
    sent = tuple((f"x-large-{n}", LARGE.decode()) for n in range(6))
    seen = json.loads(pair.whole("/fields", fields=sent).body)
    assert [(n.lower(), v) for n, v in seen if n.lower().startswith("x-large")] == list(sent)
    answer = pair.whole("/large")
    assert [v for n, v in answer.fields if n.startswith(b"x-large-")] == [LARGE] * 8


@pytest.mark.row("S29")
def test_many_cookies_pass(pair: Pair) -> None:
    crumbs = [f"c{n}=v{n}" for n in range(60)]
    sent = [("cookie", "; ".join(crumbs))]
    if pair.down.startswith("h2"):  # RFC 9113 8.2.3: they may come apart
        sent = [("cookie", crumb) for crumb in crumbs]
    seen = json.loads(pair.whole("/fields", fields=tuple(sent)).body)
    cookies = [value for name, value in seen if name.lower() == "cookie"]
    assert "; ".join(cookies) == "; ".join(crumbs)
    if pair.up.startswith("h1"):  # RFC 6265 5.4: there they must not
        assert len(cookies) == 1
    given = pair.whole("/cookies").all(b"set-cookie")
    assert given == [b"c%d=v%d" % (n, n) for n in range(40)]


@pytest.mark.row("S29")
def test_the_log_says_what_was_spoken(world: World) -> None:
    wanted = set()
    for down, up in PAIRS:
        version = "2.0" if down.startswith("h2") else "1.1"
        wanted.add(f"200 ok HTTP/{version} /{up}/echo?{down}")
        Pair(world, down, up).whole(f"/echo?{down}")
    until(lambda: wanted <= {line.partition(" ")[2] for line in world.log()})

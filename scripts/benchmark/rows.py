"""The rows of the table: which load, who takes part, and the bars that pingpy is held to."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.generator import Load
from benchmark.rounds import Samples, ratio

EVERYBODY = ("nginx", "haproxy", "caddy", "pingora", "relay", "pingpy")
SECURE = ("nginx", "haproxy", "caddy", "pingpy")


@dataclass(frozen=True)
class Bar:
    """`who` must be at least `must` times as cheap as `against`; `aim` is where we want to be."""

    who: str
    against: str
    must: float
    aim: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    load: Load
    servers: tuple[str, ...] = EVERYBODY
    bars: tuple[Bar, ...] = ()
    reference: str = "nginx"
    big_buffers: bool = False


@dataclass(frozen=True)
class Verdict:
    """How one bar came out."""

    row: str
    bar: Bar
    found: float

    @property
    def met(self) -> bool:
        return self.found >= self.bar.must

    @property
    def aimed(self) -> bool:
        return self.found >= self.bar.aim


# "At most 1.35 times the relay's cost" is "at least 1 / 1.35 times as cheap".
ROWS = (
    Row(
        "1k",
        "keep-alive, 1 KiB",
        Load(),
        (*EVERYBODY, "pingpy+hook"),
        (
            Bar("pingpy", "relay", 1 / 1.35, 1.0),
            Bar("pingpy", "pingora", 3.2, 4.5),
            Bar("pingpy+hook", "relay", 1 / 1.5, 1 / 1.2),
        ),
    ),
    Row("10k", "keep-alive, 10 KiB", Load("/10k"), bars=(Bar("pingpy", "nginx", 1.45, 1.8),)),
    Row(
        "1m",
        "keep-alive, 1 MiB (nginx with big buffers)",
        Load("/1m", connections=16),
        bars=(Bar("pingpy", "nginx", 1.0, 1.5),),
        big_buffers=True,
    ),
    Row(
        "close",
        "connection per request, 1 KiB",
        Load(close_each=True),
        tuple(name for name in EVERYBODY if name != "relay"),
        (Bar("pingpy", "nginx", 1.0, 1.2),),
    ),
    Row("post", "POST, 10 KiB body", Load("/post", body_bytes=10240)),
    Row("chunked", "answers in chunks, 10 KiB", Load("/chunked")),
    Row(
        "h2",
        "HTTP/2, 1 KiB, 16 connections of 32 streams",
        Load(connections=16, streams=32),
        ("nginx", "haproxy", "pingpy"),
        (Bar("pingpy", "nginx", 2.0, 3.0),),
    ),
    Row(
        "grpc",
        "gRPC unary, HTTP/2 on both sides, 16 connections of 32 streams",
        Load("/bench.Echo/Unary", connections=16, streams=32, body_bytes=64, grpc=True),
        ("nginx", "pingpy"),
        (Bar("pingpy", "nginx", 1.5, 2.5),),
    ),
    Row(
        "grpc-stream",
        "gRPC, calls of 10,000 messages of 64 bytes and their echoes, ten at a time; per message",
        Load("/bench.Talk/Bidi", connections=4, messages=10_000),
        ("nginx", "pingpy"),
        (Bar("pingpy", "nginx", 1.0, 1.5),),
    ),
    Row(
        "tls",
        "TLS 1.3, keep-alive, 1 KiB",
        Load(tls=True),
        SECURE,
        (Bar("pingpy", "nginx", 1.35, 1.7),),
    ),
    Row(
        "handshake",
        "TLS 1.3, a full handshake per request, ECDSA P-256",
        Load(tls=True, connections=16, close_each=True),
        SECURE,
        (Bar("pingpy", "nginx", 1.0, 1.1),),
    ),
    Row(
        "tls-1m",
        "TLS 1.3, keep-alive, 1 MiB (nginx with big buffers)",
        Load("/1m", tls=True, connections=16),
        SECURE,
        big_buffers=True,
    ),
    Row(
        "tls-h2",
        "HTTP/2 over TLS, 1 KiB, 16 connections of 32 streams",
        Load(tls=True, connections=16, streams=32),
        SECURE,
        (Bar("pingpy", "nginx", 2.0, 3.0),),
    ),
    Row(
        "websocket",
        "WebSocket, messages of 64 bytes and their echo",
        Load("/websocket", websocket=True),
        tuple(name for name in EVERYBODY if name != "pingora"),
        (Bar("pingpy", "nginx", 1.0, 1.5),),
    ),
)


def judge(row: Row, samples: Samples) -> list[Verdict]:
    """Compare a row with its bars; a bar against an absent proxy is left out."""
    verdicts = []
    for bar in row.bars:
        found = ratio(samples, bar.against, bar.who)
        if found is not None:
            verdicts.append(Verdict(row.name, bar, found))
    return verdicts

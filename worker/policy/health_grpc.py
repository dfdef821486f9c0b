"""Asks a gRPC server for its health (grpc.health.v1.Health/Check) and says what was wrong, if anything."""

from __future__ import annotations

from pingpy import __version__
from pingpy.client import ClientResponse, converse
from pingpy.client_h2 import Http2Engine
from pingpy.http import Headers
from worker.policy.health import Target
from worker.policy.origin_tls import ProbeContexts

PATH = "/grpc.health.v1.Health/Check"
MAX_ANSWER_BYTES = 4096
PREFIX_BYTES = 5  # of each gRPC message: a flag, and its length in four octets
SERVING = 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def check(target: Target, contexts: ProbeContexts, before: bytes = b"") -> str | None:
    """None when the service says SERVING, else the cause. Raises UpstreamError when there was no answer."""
    seconds = target.check.timeout_seconds
    headers = [
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", f"pingpy-health/{__version__}"),
        ("grpc-timeout", f"{max(round(seconds * 1000), 1)}m"),
    ]
    engine = Http2Engine(
        "POST",
        PATH,
        target.authority,
        Headers(headers),
        encoded_request(target.check.service),
        scheme="https" if target.tls else "http",
        max_body_bytes=MAX_ANSWER_BYTES,
    )
    tls = target.tls
    return verdict(
        await converse(
            engine,
            target.address,
            contexts.get(tls, "h2") if tls else None,  # gRPC is HTTP/2 and nothing else
            tls.server_name if tls else None,
            seconds,
            before,
        )
    )


def encoded_request(service: str) -> bytes:
    """The message HealthCheckRequest{service}; the empty name means the server as a whole."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def verdict(response: ClientResponse) -> str | None:
    """What the answer says; None: all is well."""
    if response.status != 200:
        return f"status {response.status} for {PATH}"
    # A server that has nothing to say but an error sends its status in the only head there is.
    code = response.trailers.get("grpc-status") or response.headers.get("grpc-status")
    if code is None:
        return "an answer without grpc-status"
    if code != b"0":
        text = response.trailers.get("grpc-message") or response.headers.get("grpc-message")
        return f"grpc-status {code.decode('latin-1')}" + (
            f": {text.decode('latin-1')}" if text else ""
        )
    status = serving_status(response.body)
    if status is None:
        return "an answer that is no HealthCheckResponse"
    return None if status == SERVING else f"the service is {STATUSES.get(status, status)}"


def serving_status(body: bytes) -> int | None:
    """The status in the message; None when the body is not exactly one message of that kind."""
    message = body[PREFIX_BYTES:]
    if len(body) < PREFIX_BYTES or body[0] or int.from_bytes(body[1:5], "big") != len(message):
        return None
    status, at = 0, 0  # an absent field is 0, as protobuf has it
    while at < len(message):
        key, at = _number(message, at)
        value, at = _number(message, at)
        if key == 1 << 3:
            status = value
        elif key & 7 == 2:
            at += value  # a field of a later version: skipped
        elif key & 7:
            return None
    return status if at == len(message) else None


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _number(message: bytes, at: int) -> tuple[int, int]:
    """The varint at this place, and where it ends; past the end of the message when it is cut."""
    number = shift = 0
    while at < len(message) and shift < 64:
        octet = message[at]
        at += 1
        number |= (octet & 0x7F) << shift
        if octet < 0x80:
            return number, at
        shift += 7
    return 0, len(message) + 1

"""The language of access log formats: nginx's $variables and the presets, cut into pieces that the plane executes."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

Escape = Literal["text", "json"]

# What a variable is called here, by every name it may be written with.
VARIABLES = {
    "args": "args",
    "body_bytes_sent": "body_bytes_sent",
    "bytes_sent": "bytes_sent",
    "connection": "connection",
    "connection_requests": "connection_requests",
    "generation": "generation",
    "host": "host",
    "hostname": "hostname",
    "http2": "http2",
    "http2_stream_id": "http2_stream_id",
    "https": "https",
    "lb_policy": "lb_policy",
    "listener": "listener",
    "method": "request_method",
    "msec": "msec",
    "pid": "pid",
    "query_string": "args",
    "queue_time": "queue_time",
    "realip_remote_addr": "realip_remote_addr",
    "remote_addr": "remote_addr",
    "remote_port": "remote_port",
    "remote_user": "remote_user",
    "request": "request",
    "request_id": "request_id",
    "request_length": "request_length",
    "request_method": "request_method",
    "request_time": "request_time",
    "request_uri": "request_uri",
    "retries": "retries",
    "route": "route",
    "scheme": "scheme",
    "server_addr": "server_addr",
    "server_name": "host",
    "server_port": "server_port",
    "server_protocol": "server_protocol",
    "ssl_alpn_protocol": "ssl_alpn_protocol",
    "ssl_cipher": "ssl_cipher",
    "ssl_client_s_dn": "ssl_client_s_dn",
    "ssl_client_verify": "ssl_client_verify",
    "ssl_protocol": "ssl_protocol",
    "ssl_server_name": "ssl_server_name",
    "ssl_session_reused": "ssl_session_reused",
    "status": "status",
    "termination": "termination",
    "time_iso8601": "time_iso8601",
    "time_local": "time_local",
    "trace_id": "trace_id",
    "upstream_addr": "upstream_addr",
    "upstream_bytes_received": "upstream_bytes_received",
    "upstream_bytes_sent": "upstream_bytes_sent",
    "upstream_cache_status": "upstream_cache_status",
    "upstream_connect_time": "upstream_connect_time",
    "upstream_header_time": "upstream_header_time",
    "upstream_response_length": "upstream_bytes_received",
    "upstream_response_time": "upstream_response_time",
    "upstream_status": "upstream_status",
    "uri": "uri",
    "worker": "worker",
}
# Families: the rest of the name is a header's, with _ for -.
HEADER_FAMILIES = ("upstream_http_", "upstream_trailer_", "sent_http_", "http_")

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
PRESETS = {
    "combined": COMBINED,
    "common": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
    "vcombined": f"$host:$server_port {COMBINED}",
    "combined_upstream": COMBINED
    + ' rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time"'
    ' urt="$upstream_response_time" ua="$upstream_addr" us="$upstream_status"'
    " cs=$upstream_cache_status rid=$request_id",
    "json": 'escape=json {"time":"$time_iso8601","remote_addr":"$remote_addr","host":"$host",'
    '"method":"$request_method","uri":"$request_uri","protocol":"$server_protocol",'
    '"status":$status,"body_bytes_sent":$body_bytes_sent,"request_length":$request_length,'
    '"request_time":$request_time,"referer":"$http_referer","user_agent":"$http_user_agent",'
    '"request_id":"$request_id","listener":"$listener","route":"$route",'
    '"upstream_addr":"$upstream_addr","upstream_status":"$upstream_status",'
    '"upstream_connect_time":"$upstream_connect_time",'
    '"upstream_header_time":"$upstream_header_time",'
    '"upstream_response_time":"$upstream_response_time","queue_time":$queue_time,'
    '"retries":$retries,"termination":"$termination","generation":$generation,"worker":$worker}',
    "logfmt": "time=$time_iso8601 remote_addr=$remote_addr"
    ' host="$host" method=$request_method uri="$request_uri" protocol=$server_protocol'
    " status=$status bytes=$body_bytes_sent duration=$request_time"
    ' referer="$http_referer" user_agent="$http_user_agent" request_id="$request_id"'
    ' route="$route" upstream="$upstream_addr" upstream_status="$upstream_status"'
    ' upstream_time="$upstream_response_time" termination=$termination',
}

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Piece(NamedTuple):
    """A stretch of text (`name` is empty), or a variable with the header name it wants."""

    name: str
    text: bytes


class LogFormat(NamedTuple):
    """A format ready to be compiled by the plane."""

    escape: Escape
    pieces: tuple[Piece, ...]


class UnknownVariable(ValueError):  # noqa: N818 - it is what the message says
    """A format names something that there is not; the text says what and what may be meant."""


def parse_format(text: str) -> LogFormat:
    """A preset's name, or a text with $variables; raises UnknownVariable."""
    text = PRESETS.get(text, text)
    escape: Escape = "text"
    if text.startswith("escape=json "):
        escape, text = "json", text.removeprefix("escape=json ")
    if "$" not in text:
        near = difflib.get_close_matches(text, PRESETS, n=1)
        advice = f'did you mean "{near[0]}"? ' if near else ""
        raise UnknownVariable(
            f'the log format "{text}" has no $variable: {advice}'
            f"presets are {', '.join(PRESETS)}, or write a text with nginx's $variables"
        )
    pieces: list[Piece] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > at:
            pieces.append(Piece("", text[at : match.start()].encode()))
        pieces.append(_variable(match[1] or match[2]))
        at = match.end()
    if at < len(text):
        pieces.append(Piece("", text[at:].encode()))
    return LogFormat(escape, tuple(pieces))


def _variable(name: str) -> Piece:
    if name in VARIABLES:
        return Piece(VARIABLES[name], b"")
    for family in HEADER_FAMILIES:
        if name.startswith(family) and len(name) > len(family):
            return Piece(family, name.removeprefix(family).replace("_", "-").lower().encode())
    near = difflib.get_close_matches(name, VARIABLES, n=3, cutoff=0.6)
    advice = f"did you mean {' or '.join(f'${word}' for word in near)}?" if near else ""
    raise UnknownVariable(
        f"unknown variable ${name} in the log format{': ' if advice else ''}{advice}"
    )

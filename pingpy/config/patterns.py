"""What rules are made of: patterns with *, header names and values, methods, algorithms."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from pingpy.config.addresses import as_tuple
from pingpy.config.values import refuse, shown

# RFC 9110 section 5.6.2: a field name and a method are tokens.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 section 5.5: no CR, LF, NUL; other control characters are refused too.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# RFC 9112 section 6 and RFC 9110 section 7.6.1: framing and the connection are ours alone.
FRAMING_HEADERS = frozenset(
    [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

ALGORITHMS = {
    "round_robin": "round_robin",
    "weighted_round_robin": "round_robin",
    "least_conn": "least_conn",
    "least_connections": "least_conn",
    "random": "random",
    "power_of_two": "power_of_two",
    "ip_hash": "ip_hash",
    "consistent_hash": "consistent_hash",
    "hash": "consistent_hash",
}
_CUSTOM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def closest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """`did you mean "x"?` for the known word nearest to this one, or nothing."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.66)
    return f'did you mean "{near[0]}"?' if near else ""


def _algorithm(text: str) -> str:
    if text not in ALGORITHMS and not _CUSTOM.fullmatch(text):
        advice = closest(text, tuple(ALGORITHMS))
        known = ", ".join(ALGORITHMS)
        refuse(
            f'unknown algorithm "{text}"',
            f'{advice + " " if advice else ""}known: {known}, or "module:Class"',
        )
    return text


def _header_name(text: str) -> str:
    if not TOKEN.fullmatch(text):
        refuse(f"{shown(text)} is not a header name", "a name has letters, digits and - only")
    return text


def _editable_name(text: str) -> str:
    _header_name(text)
    if text.lower() in FRAMING_HEADERS:
        refuse(
            f'the header "{text}" is set by the proxy alone', "it decides how messages are framed"
        )
    return text


def _unique_host_name(text: str) -> str:
    _editable_name(text)
    if text.lower() == "host":
        refuse(
            "a request has exactly one Host header",
            'use set_request_header, or forward_host = "upstream"',
        )
    return text


def _header_value(text: str) -> str:
    if _CONTROL.search(text):
        refuse(f"a header value must not contain control characters, found {shown(text)}")
    if text != text.strip(" \t"):
        refuse(f"a header value must not begin or end with a space, found {shown(text)}")
    return text


def _header_match(text: str) -> str:
    name, colon, value = text.partition(":")
    _header_name(name)
    if colon:
        _glob(_header_value(value.strip(" \t")))
    return text


def _query_match(text: str) -> str:
    name, _, value = text.partition("=")
    if not name:
        refuse(f"the name is missing in {shown(text)}", 'write "name" or "name=value"')
    _glob(value)
    return text


def _method(text: str) -> str:
    if text.upper() in _METHODS and text not in _METHODS:
        refuse(
            f'unknown method "{text}"', f'methods are upper case: did you mean "{text.upper()}"?'
        )
    if not TOKEN.fullmatch(text):
        refuse(f"{shown(text)} is not a method")
    if text == "CONNECT":
        refuse("a rule for CONNECT can never match", "CONNECT is answered with 405")
    return text


def _glob(text: str) -> str:
    if "**" in text:
        refuse(f'bad pattern {shown(text)}: "**"', 'a single "*" already matches / and nothing')
    return text


def _path_pattern(text: str) -> str:
    if not text.startswith(("/", "*")):
        refuse(f"a path starts with / or *, found {shown(text)}", f'did you mean "/{text}"?')
    _glob(text)
    if _CONTROL.search(text) or "\t" in text:
        refuse(f"a path must not contain control characters, found {shown(text)}")
    if re.search(r"%[0-9A-Fa-f]{2}", text):
        refuse(
            f"bad pattern {shown(text)}: paths are compared after decoding %XX",
            "write the character itself",
        )
    if "?" in text or "#" in text:
        refuse(
            f"{shown(text)} can never match: a path ends before ? and #",
            "use the key `query` for what comes after the ?",
        )
    if re.search(r"/\.\.?(/|\Z)", text):
        refuse(f"{shown(text)} can never match: paths are compared after . and .. are resolved")
    return text


def _host_pattern(text: str) -> str:
    _glob(text)
    if re.search(r"(?<!:):\d+\Z", text) and (text.count(":") == 1 or "]" in text):
        refuse(f"hosts are compared without the port, found {shown(text)}")
    if not re.fullmatch(r"[A-Za-z0-9*._-]+|\[[0-9A-Fa-f:.]+\]", text):
        refuse(f"{shown(text)} is not a host", 'write "example.com" or "*.example.com"')
    return text


Algorithm = Annotated[str, AfterValidator(_algorithm)]
HeaderName = Annotated[str, AfterValidator(_editable_name)]
AddableHeaderName = Annotated[str, AfterValidator(_unique_host_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
HeaderMatch = Annotated[str, AfterValidator(_header_match)]
QueryMatch = Annotated[str, AfterValidator(_query_match)]
Method = Annotated[str, AfterValidator(_method)]
PathPattern = Annotated[str, AfterValidator(_path_pattern)]
HostPattern = Annotated[str, AfterValidator(_host_pattern)]

_listed = BeforeValidator(as_tuple, json_schema_input_type=str | list[str])

Values = Annotated[tuple[HeaderValue, ...], _listed]
HeaderLines = dict[HeaderName, Values]
AddableHeaderLines = dict[AddableHeaderName, Values]
HeaderNames = Annotated[tuple[HeaderName, ...], _listed]
RemovableHeaderNames = Annotated[tuple[AddableHeaderName, ...], _listed]
HeaderMatches = Annotated[tuple[HeaderMatch, ...], _listed]
QueryMatches = Annotated[tuple[QueryMatch, ...], _listed]
Methods = Annotated[tuple[Method, ...], _listed]
PathPatterns = Annotated[tuple[PathPattern, ...], _listed]
HostPatterns = Annotated[tuple[HostPattern, ...], _listed]


def as_table(key: str) -> Any:
    """A value that is not a table stands for a table with this one key: retry = 2."""

    def convert(value: Any) -> Any:
        return value if isinstance(value, dict) else {key: value}

    return convert

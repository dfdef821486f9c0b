"""Answers without an origin, and new paths: templates of the configuration turned into functions over bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote_from_bytes

from pingpy.config.resolved import ResolvedReply, ResolvedRewrite

# RFC 3986 section 3.3: what a path may have besides unreserved characters.
_PATH_SAFE = "/!$&'()*+,;=:@~"
# A Location is a URI reference (RFC 9110 section 10.2.2): its delimiters stay, and so does what is escaped already.
_URI_SAFE = _PATH_SAFE + "?#[]%"

Rewrite = Callable[[bytes, bytes], bytes]
Redirect = Callable[[bytes, bytes, bytes, bytes, bytes], bytes]

_VARIABLE = re.compile(r"\$(scheme|host|request_uri|uri|args)\b")
# In the template of a pattern with stars: the n-th star, an escaped backslash (see pingpy/config/globs.py).
_STARRED = re.compile(_VARIABLE.pattern + r"|\\g<(\d+)>|\\\\")


def reply_lines(reply: ResolvedReply) -> tuple[bytes, bytes]:
    """The field lines and the body of a fixed answer; an error without a text gets its reason phrase as one."""
    body = reply.body.encode()
    content_type = reply.content_type
    if not body and reply.status >= 400:
        body = f"{reply.status} {_reason(reply.status)}\n".encode()
        content_type = content_type or "text/plain; charset=utf-8"
    if not body:
        return b"", b""
    return f"Content-Type: {content_type}\r\n".encode(), body


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def rewriting(rewrite: ResolvedRewrite) -> Rewrite:
    """(decoded path, query) -> target. A path that the pattern does not cover stays as it is."""
    pattern = re.compile(rewrite.regex.encode("utf-8"))
    replacement = rewrite.replacement.encode("utf-8")

    def target(path: bytes, query: bytes) -> bytes:
        match = pattern.fullmatch(path)
        to = match.expand(replacement) if match else path
        if not to.startswith(b"/"):
            to = b"/" + to
        encoded = quote_from_bytes(to, _PATH_SAFE).encode()
        return encoded + b"?" + query if query else encoded

    return target


def redirection(template: str, path_regex: str | None) -> Redirect:
    """(scheme, host, path, query, target) -> Location; bytes that a URI cannot have are escaped, line ends too."""
    pieces = _pieces(template, _STARRED if path_regex else _VARIABLE)
    pattern = re.compile(path_regex.encode("utf-8")) if path_regex else None

    def location(scheme: bytes, host: bytes, path: bytes, query: bytes, target: bytes) -> bytes:
        match = pattern.fullmatch(path) if pattern else None
        # What was decoded for matching is encoded again, % included; what came as it is goes as it is.
        values = {
            "scheme": scheme,
            "host": host,
            "uri": quote_from_bytes(path, _PATH_SAFE).encode(),
            "args": query,
            "request_uri": target,
        }
        parts: list[bytes] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                parts.append(piece)
            elif isinstance(piece, int):
                group = match[piece] if match else b""
                parts.append(quote_from_bytes(group, _PATH_SAFE).encode())
            else:
                parts.append(values[piece])
        return quote_from_bytes(b"".join(parts), _URI_SAFE).encode()

    return location


def _pieces(template: str, tokens: re.Pattern[str]) -> list[bytes | int | str]:
    """Bytes as they stand, a number for the n-th star, a word for a variable."""
    found: list[bytes | int | str] = []
    at = 0
    for match in tokens.finditer(template):
        found.append(template[at : match.start()].encode())
        if match[1]:
            found.append(match[1])
        elif match.lastindex == 2:
            found.append(int(match[2]))
        else:
            found.append(b"\\")
        at = match.end()
    found.append(template[at:].encode())
    return [piece for piece in found if piece != b""]

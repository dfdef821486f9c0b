"""The application that gunicorn serves in the comparison of reloads: the origin's answers, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

SIZES = {"/1k": 1024, "/10k": 10240, "/1m": 1 << 20}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As many bytes as the path says."""
    body = b"x" * SIZES.get(environ["PATH_INFO"], 12)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

"""The Python hook of the benchmark: one header more on each request to the origin."""

from __future__ import annotations

from typing import Any

from pingpy import Filter


class AddHeader(Filter[Any]):
    """Adds X-Hook."""

    def upstream_request_filter(self, session: Any, request: Any, ctx: Any) -> None:
        """Run for every request."""
        request.headers.set(b"X-Hook", b"1")

"""Carries out one health probe and says what was wrong, if anything."""

from __future__ import annotations

from pingpy import __version__
from pingpy.client import connect_check, request
from pingpy.errors import UpstreamError
from worker.policy.health import Target
from worker.policy.health_grpc import check as check_grpc
from worker.policy.origin_tls import ProbeContexts

# Enough of any health page; a longer body is not read to its end.
MAX_BODY_BYTES = 64 * 1024
# A PROXY header of version 2, command LOCAL: the connection is the proxy's own, and is on nobody's behalf.
OUR_OWN = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
_PLAIN = ProbeContexts({})  # for origins that need no files of ours
_HEADERS = (("User-Agent", f"pingpy-health/{__version__}"), ("Accept", "*/*"))


async def probe(target: Target, contexts: ProbeContexts = _PLAIN) -> str | None:
    """None when the peer is well, else the cause. Never takes longer than the check's timeout."""
    check = target.check
    before = OUR_OWN if target.send_proxy else b""
    try:
        if check.type == "tcp":
            await connect_check(
                target.address, timeout_seconds=check.timeout_seconds, before=before
            )
            return None
        if check.type == "grpc":
            return await check_grpc(target, contexts, before)
        scheme = "https" if target.tls else "http"
        response = await request(
            "GET",
            f"{scheme}://{target.authority}{check.path}",
            address=target.address,
            headers=_HEADERS,
            timeout_seconds=check.timeout_seconds,
            max_body_bytes=MAX_BODY_BYTES,
            tls=contexts.get(target.tls, "http/1.1") if target.tls else None,
            server_name=target.tls.server_name if target.tls else None,
            before=before,
        )
    except UpstreamError as error:
        return str(error)
    except Exception as error:  # a probe that fails in an unforeseen way is a failed probe
        return f"{type(error).__name__}: {error}"
    if response.status in check.expected_status:
        return None
    return f"status {response.status} for {check.path}"

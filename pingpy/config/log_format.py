"""The forms of the access log: the presets, and the variables that a form of one's own may use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pingpy.config.finding import Finding
from pingpy.config.patterns import closest

_COMMON = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
_COMBINED = f'{_COMMON} "$http_referer" "$http_user_agent"'

# The presets that are a text; json and logfmt have an escaping of their own.
PRESETS = {
    "common": _COMMON,
    "combined": _COMBINED,
    "vcombined": f"$host:$server_port {_COMBINED}",
    "combined_upstream": f"{_COMBINED} rt=$request_time uct=$upstream_connect_time "
    "uht=$upstream_header_time urt=$upstream_response_time ua=$upstream_addr "
    "us=$upstream_status cs=$upstream_cache_status rid=$request_id",
}
STRUCTURED_PRESETS = ("json", "logfmt")

VARIABLES = frozenset(
    """
    args body_bytes_sent bytes_sent connection connection_requests generation host hostname https
    listener method msec pid query_string queue_time realip_remote_addr remote_addr remote_port
    remote_user request request_id request_length request_method request_time request_uri retries
    route scheme server_addr server_name server_port server_protocol status termination
    time_iso8601 time_local upstream_addr upstream_bytes_received upstream_bytes_sent
    upstream_cache_status upstream_connect_time upstream_header_time upstream_response_length
    upstream_response_time upstream_status uri worker
    """.split()  # noqa: SIM905
)
# Families of variables: what follows is a header's name, in lower case with _ for -.
VARIABLE_PREFIXES = ("http_", "sent_http_", "upstream_http_")

_VARIABLE = re.compile(r"\$(?:\{(\w*)\}|(\w*))")


def variables_in(text: str) -> list[str]:
    """The names after $ in a text, in order; an empty one for a $ that stands alone."""
    return [match[1] or match[2] or "" for match in _VARIABLE.finditer(text)]


def check_format(text: str) -> Iterator[Finding]:
    """Whether `[log] format` is a preset, or has only variables that exist."""
    path = ("log", "format")
    if text in PRESETS or text in STRUCTURED_PRESETS:
        return
    presets = (*PRESETS, *STRUCTURED_PRESETS)
    if "$" not in text:
        advice = (
            closest(text, presets) or f"presets: {', '.join(presets)}; or a text with $variables"
        )
        yield Finding(path, f'"{text}" is not a format of the access log', advice)
        return
    if "\n" in text or "\r" in text:
        yield Finding(path, "a format is a single line")
    for name in dict.fromkeys(variables_in(text)):
        if name not in VARIABLES and not name.startswith(VARIABLE_PREFIXES):
            advice = closest(name, tuple(sorted(VARIABLES))).replace('"', '"$', 1)
            yield Finding(path, f"unknown variable ${name}", advice)

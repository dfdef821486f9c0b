"""The plane's numbers, from the configuration: times in milliseconds, sizes in bytes."""

SETTINGS = (
    "head_bytes",
    "header_count",
    "request_line_bytes",
    "header_ms",
    "body_ms",
    "idle_ms",
    "send_ms",
    "tunnel_ms",
    "upstream_idle_ms",
    "upstream_ping_ms",
    "client_ping_ms",
    "handshake_ms",
    "most_handshakes",
    "handshake_rate",
    "upstream_idle_count",
    "keepalive_requests",
    "body_rate",
    "most_clients",
    "streams",
    "waiting_bytes",
)


def fill_settings(settings, given):
    unknown = given.keys() - set(SETTINGS)
    if unknown:
        raise TypeError(f"unknown settings: {sorted(unknown)}")
    settings.limits.head_bytes = given["head_bytes"]
    settings.limits.header_count = given["header_count"]
    settings.limits.request_line_bytes = given["request_line_bytes"]
    settings.header_ms = given["header_ms"]
    settings.body_ms = given["body_ms"]
    settings.idle_ms = given["idle_ms"]
    settings.send_ms = given["send_ms"]
    settings.tunnel_ms = given["tunnel_ms"]
    settings.upstream_idle_ms = given["upstream_idle_ms"]
    settings.upstream_ping_ms = given["upstream_ping_ms"]
    settings.client_ping_ms = given["client_ping_ms"]
    settings.handshake_ms = given["handshake_ms"]
    settings.first_word_ms = min(given["header_ms"], given["idle_ms"])
    settings.most_handshakes = given["most_handshakes"]
    settings.handshake_rate = given["handshake_rate"]
    settings.upstream_idle_count = given["upstream_idle_count"]
    settings.keepalive_requests = given["keepalive_requests"]
    settings.body_rate = given["body_rate"]
    settings.streams = given["streams"]
    return 0

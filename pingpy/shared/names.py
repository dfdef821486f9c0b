"""Every metric family that pingpy exposes: its name, type, help line, and the fixed counters of the plane."""

from __future__ import annotations

from typing import NamedTuple

from pingpy.shared.layout import COUNTER, GAUGE, HISTOGRAM, LATEST


class Family(NamedTuple):
    """One metric family."""

    name: str
    kind: int
    help: str


FAMILIES = (
    Family("pingpy_requests_total", COUNTER, "Requests answered."),
    Family(
        "pingpy_request_duration_seconds",
        HISTOGRAM,
        "From the request's first byte to the answer's last.",
    ),
    Family(
        "pingpy_upstream_requests_total", COUNTER, "Attempts at peers, by the status they gave."
    ),
    Family(
        "pingpy_upstream_connect_seconds", HISTOGRAM, "Time to connect to a peer, new connections."
    ),
    Family(
        "pingpy_upstream_ttfb_seconds", HISTOGRAM, "From the request sent to the response's head."
    ),
    Family(
        "pingpy_upstream_duration_seconds", HISTOGRAM, "From the choice of a peer to its last byte."
    ),
    Family("pingpy_upstream_active", GAUGE, "Requests at a peer now, from all workers."),
    Family("pingpy_upstream_queue", GAUGE, "Requests waiting for a place at a peer."),
    Family(
        "pingpy_upstream_up",
        GAUGE,
        "1 when a peer is used, 0 when probes or failed requests took it out.",
    ),
    Family(
        "pingpy_upstream_ejected",
        GAUGE,
        "1 while failed requests keep a peer out, whatever its probes say.",
    ),
    Family("pingpy_upstream_retries_total", COUNTER, "Attempts after the first, by reason."),
    Family("pingpy_upstream_resets_total", COUNTER, "Attempts that a peer broke off, by reason."),
    Family("pingpy_connections", GAUGE, "Client connections, by state."),
    Family("pingpy_connections_accepted_total", COUNTER, "Client connections accepted."),
    Family(
        "pingpy_tls_handshakes_total",
        COUNTER,
        "TLS handshakes of clients, by version and whether a session was resumed.",
    ),
    Family(
        "pingpy_tls_handshake_failures_total",
        COUNTER,
        "TLS handshakes of clients that came to nothing, by reason.",
    ),
    Family(
        "pingpy_violations_total",
        COUNTER,
        "Connections ended because the other side broke its protocol or passed a bound.",
    ),
    Family(
        "pingpy_cert_expiry_timestamp_seconds",
        GAUGE,
        "When a certificate for clients ends, by file.",
    ),
    Family("pingpy_upstream_connections_opened_total", COUNTER, "Connections opened to peers."),
    Family("pingpy_upstream_idle_connections", GAUGE, "Pooled connections to peers, at rest."),
    Family("pingpy_bad_requests_total", COUNTER, "Requests refused before a rule was looked up."),
    Family("pingpy_timeouts_total", COUNTER, "Timeouts, by what was waited for."),
    Family("pingpy_tunnels_total", COUNTER, "Connections turned into tunnels (101)."),
    Family("pingpy_received_bytes_total", COUNTER, "Bytes read, by side."),
    Family("pingpy_sent_bytes_total", COUNTER, "Bytes written, by side."),
    Family("pingpy_log_dropped_total", COUNTER, "Access log lines that could not be written."),
    Family("pingpy_reload_total", COUNTER, "Reloads, by result."),
    Family("pingpy_upgrade_total", COUNTER, "Upgrades, by result."),
    Family(
        "pingpy_config_last_reload_successful",
        LATEST,
        "1 when the last reload took effect, else 0.",
    ),
    Family(
        "pingpy_config_last_reload_timestamp_seconds",
        LATEST,
        "When the configuration in force was loaded.",
    ),
    Family("pingpy_generation", LATEST, "The generation of workers in force."),
    Family("pingpy_draining_workers", GAUGE, "Workers of earlier generations still at work."),
    Family("pingpy_draining_connections", GAUGE, "Connections that these workers still hold."),
    Family("pingpy_workers", GAUGE, "Workers, those that drain included."),
    Family("pingpy_worker_restarts_total", COUNTER, "Workers replaced after a death, by reason."),
    Family(
        "pingpy_worker_heartbeat_age_seconds",
        GAUGE,
        "Since a worker's loop last came round.",
    ),
    Family("pingpy_worker_rss_bytes", GAUGE, "Resident memory of a worker."),
    Family("pingpy_worker_loop_lag_seconds", GAUGE, "How late a worker's loop runs its timers."),
    Family("pingpy_dns_resolutions_total", COUNTER, "Look-ups of upstream names, by result."),
    Family("pingpy_dns_age_seconds", GAUGE, "Since an upstream name was last resolved."),
    Family("pingpy_probes_total", COUNTER, "Health probes, by result."),
    Family("pingpy_hook_errors_total", COUNTER, "Exceptions that hooks raised."),
    Family(
        "pingpy_metric_series_overflowed_total",
        COUNTER,
        "Series put into (other) because a slab was full.",
    ),
    Family("pingpy_build_info", GAUGE, "Always 1; the labels say what runs."),
    Family("pingpy_process_start_time_seconds", GAUGE, "When the counters began."),
)

# By Why in worker/plane/h2_faults.pxd: what ends an HTTP/2 connection by an error.
H2_CAUSES = (
    "protocol",
    "flow_control",
    "stream_closed",
    "frame_size",
    "compression",
    "flood",
    "resets",
    "streams",
    "header_bytes",
    "slow_header",
    "unread",
    "silent",
)

# The plane's plain counters in the order of the Counter enum in worker/plane/cells.pxd.
COUNTERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("pingpy_connections_accepted_total", {}),
    ("pingpy_upstream_connections_opened_total", {}),
    ("pingpy_upstream_retries_total", {"reason": "connect"}),
    ("pingpy_upstream_retries_total", {"reason": "reused_closed"}),
    ("pingpy_upstream_retries_total", {"reason": "timeout"}),
    ("pingpy_upstream_retries_total", {"reason": "status"}),
    ("pingpy_upstream_retries_total", {"reason": "hook"}),
    ("pingpy_upstream_retries_total", {"reason": "budget_spent"}),
    ("pingpy_upstream_resets_total", {"reason": "connect"}),
    ("pingpy_upstream_resets_total", {"reason": "closed"}),
    ("pingpy_upstream_resets_total", {"reason": "timeout"}),
    ("pingpy_upstream_resets_total", {"reason": "bad_response"}),
    ("pingpy_bad_requests_total", {}),
    ("pingpy_timeouts_total", {"kind": "header"}),
    ("pingpy_timeouts_total", {"kind": "body"}),
    ("pingpy_timeouts_total", {"kind": "idle"}),
    ("pingpy_timeouts_total", {"kind": "connect"}),
    ("pingpy_timeouts_total", {"kind": "response"}),
    ("pingpy_timeouts_total", {"kind": "send"}),
    ("pingpy_timeouts_total", {"kind": "tunnel"}),
    ("pingpy_timeouts_total", {"kind": "queue"}),
    ("pingpy_tunnels_total", {}),
    ("pingpy_received_bytes_total", {"side": "client"}),
    ("pingpy_received_bytes_total", {"side": "upstream"}),
    ("pingpy_sent_bytes_total", {"side": "client"}),
    ("pingpy_sent_bytes_total", {"side": "upstream"}),
    ("pingpy_log_dropped_total", {}),
    ("pingpy_hook_errors_total", {}),
    ("pingpy_tls_handshakes_total", {"version": "TLSv1.2", "resumed": "false"}),
    ("pingpy_tls_handshakes_total", {"version": "TLSv1.3", "resumed": "false"}),
    ("pingpy_tls_handshakes_total", {"version": "TLSv1.2", "resumed": "true"}),
    ("pingpy_tls_handshakes_total", {"version": "TLSv1.3", "resumed": "true"}),
    *(
        ("pingpy_tls_handshake_failures_total", {"reason": reason})
        for reason in (
            "timeout",
            "rate",
            "limit",
            "client_hello",
            "plain_text",
            "closed",
            "client_alert",
            "client_certificate",
            "protocol",
        )
    ),
    *(
        ("pingpy_violations_total", {"side": side, "protocol": "h2", "reason": reason})
        for side in ("client", "upstream")
        for reason in H2_CAUSES
    ),
    *(
        ("pingpy_violations_total", {"side": "client", "protocol": protocol, "reason": reason})
        for protocol, reason in (
            ("tls", "flood"),
            ("tls", "protocol"),
            ("proxy_protocol", "malformed"),
            ("proxy_protocol", "slow_header"),
            ("proxy_protocol", "cut_short"),
        )
    ),
)

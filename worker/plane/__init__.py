"""The compiled hot path: bytes and readiness, wire formats, protocols, one request at a time."""

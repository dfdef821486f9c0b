class TlsClient:
    """Whom to believe, and who we are. Raises ValueError with libssl's reason for what cannot be used."""

    verify: bool
    def __init__(
        self,
        *,
        verify: bool = True,
        authorities: bytes = b"",
        chain: bytes = b"",
        key: bytes = b"",
        min_version: str = "1.2",
    ) -> None:
        """`authorities`, `chain` and `key` are PEM; no authorities: those of the system."""

class TlsOrigin:
    """One origin: its name, and its session for the next connection."""

    name: bytes
    def __init__(self, client: TlsClient, name: bytes, is_address: bool) -> None: ...

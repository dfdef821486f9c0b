class Tickets:
    lifetime_seconds: int
    def __init__(self, octets: memoryview | bytes, lifetime_seconds: float) -> None:
        """`octets`: the page of pingpy/shared/ticket_keys.py; `lifetime_seconds`: how long a session may be resumed."""

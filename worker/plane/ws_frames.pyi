def track_parts(
    data: bytes, sizes: list[int], masked: bool, stop_at: int
) -> list[tuple[int, bool, bool, bool, int]]:
    """After each part of so many octets: (position, between frames, lost, closed, payload left)."""

def close_frame(code: int, masked: bool) -> bytes: ...

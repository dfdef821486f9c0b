"""Changes a good input a little, the same way for every property-based fuzz target."""


def edited(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The seed after edits of (place, octets lost, octets put there)."""
    for at, lost, new in edits:
        place = at % (len(seed) + 1)
        seed = seed[:place] + new + seed[place + lost :]
    return seed

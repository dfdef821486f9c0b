def name_hash(name: bytes) -> int:
    """FNV-1a, 32 bits, of a field's name in lower case: what the head scanner puts into Field.name_hash."""

def crc32(data: bytes) -> int:
    """CRC-32 as zlib computes it."""

def hash_address(text: bytes) -> int:
    """nginx's hash of a client's address, for ip_hash."""

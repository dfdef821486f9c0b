"""Fills the tables of octet classes and known words that the wire scanners read."""

import cython

# By h1_parse.FieldKind, then by octets.Word.
WORDS = (
    b"",
    b"host",
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"te",
    b"trailer",
    b"keep-alive",
    b"proxy-connection",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"forwarded",
    b"via",
    b"x-request-id",
    b"user-agent",
    b"referer",
    b"authorization",
    b"date",
    b"server",
    b"content-type",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"close",
    b"chunked",
    b"100-continue",
    b"trailers",
)
NAMES = 25
ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE = bytes(range(0x21, 0x7F))
MEMBERS = (
    (O_TOKEN, ALPHANUMERIC + b"!#$%&'*+-.^_`|~"),
    (O_VALUE, b"\t " + VISIBLE + bytes(range(0x80, 0x100))),
    # RFC 3986 3.3 wants fewer; clients send [ ] ^ ` { | } unescaped. '\' is '/' to some origins, the rest never comes.
    (O_PATH, bytes(c for c in VISIBLE if c not in b'#?"<>\\')),
    (O_QUERY, bytes(c for c in VISIBLE if c not in b"#")),
    (O_HOST, ALPHANUMERIC + b"-._~"),
    (O_DIGIT, b"0123456789"),
    (O_HEX, b"0123456789abcdefABCDEF"),
    (O_UNRESERVED, ALPHANUMERIC + b"-._~"),
)


@cython.cfunc
def fnv(text: bytes) -> cython.uint:
    """FNV-1a, 32 bits."""
    value: cython.uint = FNV_BASIS
    octet: cython.uchar
    for octet in text:
        value = (value ^ octet) * cython.cast(cython.uint, FNV_PRIME)
    return value


@cython.cfunc
def spreading_factor(hashes: list) -> cython.uint:
    """The first odd factor that sends every hash to a slot of its own."""
    factor: cython.uint = 1
    value: cython.uint
    slots: set = set()
    while True:
        slots.clear()
        for value in hashes:
            slots.add((value * factor) >> 24)
        if len(slots) == len(hashes):
            return factor
        factor += 2


def is_word(view, at, size, word):
    """Octet by octet."""
    i: cython.int
    if size != WORD_SIZE[word]:
        return False
    for i in range(size):
        if LOWER[view[at + i]] != WORD_TEXT[word][i]:
            return False
    return True


def fill() -> None:
    """Fill every table; runs once, at import."""
    global WORD_FACTOR
    index: cython.int
    octet: cython.int
    shift: cython.int
    hashes: list = [fnv(word) for word in WORDS]
    for bit, members in MEMBERS:
        for octet in members:
            CLASS[octet] |= bit
    for octet in range(256):
        LOWER[octet] = ord(chr(octet).lower()) if CLASS[octet] & O_TOKEN else 0
        WORD_SLOT[octet] = 0
    WORD_FACTOR = spreading_factor(hashes[1:NAMES])
    for index in range(len(WORDS)):
        WORD_SIZE[index] = len(WORDS[index])
        WORD_HASH[index] = hashes[index]
        for octet in range(24):
            if octet % 8 == 0:
                WORD_BITS[index][octet // 8] = WORD_MASK[index][octet // 8] = 0
            if octet < len(WORDS[index]):
                WORD_TEXT[index][octet] = WORDS[index][octet]
                shift = 8 * (octet % 8)
                WORD_BITS[index][octet // 8] |= (
                    cython.cast(cython.ulonglong, WORDS[index][octet]) << shift
                )
                WORD_MASK[index][octet // 8] |= cython.cast(cython.ulonglong, 0xFF) << shift
        if 0 < index < NAMES:
            WORD_SLOT[(WORD_HASH[index] * WORD_FACTOR) >> 24] = index


fill()

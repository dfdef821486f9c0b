"""Fills the tables of HPACK: the static entries, and the Huffman code as steps of four bits."""

import cython
from cython.cimports.worker.plane.octets import FNV_BASIS, FNV_PRIME

# RFC 7541 appendix A, in order.
STATIC_FIELDS = (
    ":authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|"
    ":status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|"
    "accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|"
    "content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|"
    "cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|"
    "last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|"
    "server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
)
# RFC 7541 appendix B: the length of each octet's code, and of EOS. The code is canonical, so lengths are all there is.
HUFFMAN_BITS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b08060606"
    "0505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817"
    "1818161718171717171516171617171816151416161717151716161815161717151516151716171714161616171616171a"
    "1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a171a1b"
    "1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
END_OF_STRING = 256


def fill_static() -> None:
    """Lay the static texts out one behind the other."""
    global STATIC_TEXT
    text: bytearray = bytearray()
    fields: list = STATIC_FIELDS.split("|")
    index: cython.int
    slot: cython.uint
    hashed: cython.uint
    octet: cython.uchar
    field: str
    for index in range(STATIC_SLOTS):
        STATIC_SLOT[index] = 0
    STATIC[0].at = STATIC[0].name_size = STATIC[0].value_size = 0
    STATIC[0].name_hash = 0
    for index in range(1, STATIC_ENTRIES + 1):
        field = fields[index - 1]
        name: bytes = field.partition(" ")[0].encode()
        value: bytes = field.partition(" ")[2].encode()
        hashed = FNV_BASIS
        for octet in name:
            hashed = (hashed ^ octet) * cython.cast(cython.uint, FNV_PRIME)
        STATIC[index].at = len(text)
        STATIC[index].name_size = len(name)
        STATIC[index].value_size = len(value)
        STATIC[index].name_hash = hashed
        text += name + value
        if STATIC[index].name_hash != STATIC[index - 1].name_hash:
            slot = hashed % STATIC_SLOTS
            while STATIC_SLOT[slot] != 0:
                slot = (slot + 1) % STATIC_SLOTS
            STATIC_SLOT[slot] = index
    STATIC_TEXT = text


def huffman_tree() -> list:
    """Inner nodes as pairs; a child is a node's number, or -1 - symbol."""
    nodes: list = [[None, None]]
    code: object = 0
    last: object = 0
    for symbol in sorted(range(257), key=lambda s: (HUFFMAN_BITS[s], s)):
        length = HUFFMAN_BITS[symbol]
        code <<= length - last
        last = length
        node = 0
        for bit in range(length - 1, 0, -1):
            side = code >> bit & 1
            if nodes[node][side] is None:
                nodes[node][side] = len(nodes)
                nodes.append([None, None])
            node = nodes[node][side]
        nodes[node][code & 1] = -1 - symbol
        code += 1
    return nodes


def fill_huffman() -> None:
    """Walk four bits from every inner node."""
    nodes: list = huffman_tree()
    padding: set = {0}
    node: object = 0
    for _ in range(
        7
    ):  # RFC 7541 5.2: padding is at most seven bits, the most significant ones of EOS
        node = nodes[node][1]
        padding.add(node)
    for state in range(len(nodes)):
        for nibble in range(16):
            node, symbol, flags = state, 0, 0
            for bit in (3, 2, 1, 0):
                node = nodes[node][nibble >> bit & 1]
                if node < 0:
                    symbol = -1 - node
                    flags |= HUFFMAN_FAILS if symbol == END_OF_STRING else HUFFMAN_EMITS
                    node = 0
            if node in padding:
                flags |= HUFFMAN_MAY_END
            HUFFMAN[state][nibble].state = node
            HUFFMAN[state][nibble].flags = flags
            HUFFMAN[state][nibble].symbol = symbol & 0xFF


def static_name(view, name, size, hashed):
    """The first static index with this name, or 0."""
    slot: cython.uint = hashed % STATIC_SLOTS
    index: cython.int
    i: cython.int
    while STATIC_SLOT[slot] != 0:
        index = STATIC_SLOT[slot]
        if STATIC[index].name_hash == hashed and STATIC[index].name_size == size:
            i = 0
            while i < size and view[name + i] == STATIC_TEXT[STATIC[index].at + i]:
                i += 1
            if i == size:
                return index
        slot = (slot + 1) % STATIC_SLOTS
    return 0


fill_static()
fill_huffman()

"""Reads and writes the header by which a proxy tells whose connection it passes on (PROXY protocol 1 and 2)."""

import cython

V1_NAME = b"PROXY "
V2_NAME = b"\r\n\r\n\0\r\nQUIT\n"
# Version 2, command PROXY, family AF_UNSPEC without any addresses.
NOBODY = V2_NAME + b"\x21\x00\x00\x00"
V1_TEXT = cython.declare(cython.uchar[6])
V2_TEXT = cython.declare(cython.uchar[12])
CRC32C = cython.declare(cython.uint[256])  # section 2.2.3: RFC 4960 appendix B
TLV_CRC32C = cython.declare(cython.int, 3)
FAULTS = (
    "",
    "it begins with no PROXY protocol header",
    "the PROXY line is longer than 107 bytes",
    "the PROXY line is malformed",
    "an address in the PROXY line is malformed",
    "a port in the PROXY line is malformed",
    "the PROXY header has an unknown version",
    "the PROXY header has an unknown command",
    "the PROXY header has an unknown address family",
    "the PROXY header speaks of datagrams",
    "the PROXY header has an impossible length",
    "the PROXY header's extensions do not add up",
    "the PROXY header's checksum is wrong",
)


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    _bit: cython.int
    value: cython.uint
    for index in range(6):
        V1_TEXT[index] = V1_NAME[index]
    for index in range(12):
        V2_TEXT[index] = V2_NAME[index]
    for index in range(256):
        value = index
        for _bit in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        CRC32C[index] = value


fill()


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(ProxyHead), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


def read_proxy(view, at, end, head):
    """Section 2: the first octets tell the version; the contract is in the .pxd."""
    i: cython.longlong = 0
    head.fault = PROXY_OK
    head.version = head.size = head.source_port = head.destination_port = 0
    if at >= end:
        return 0
    if view[at] == V1_TEXT[0]:
        while i < 6 and at + i < end:
            if view[at + i] != V1_TEXT[i]:
                return refuse(head, PROXY_NO_SIGNATURE)
            i += 1
        head.version = 1
        return read_line(view, at, end, head)
    while i < 12 and at + i < end:
        if view[at + i] != V2_TEXT[i]:
            return refuse(head, PROXY_NO_SIGNATURE)
        i += 1
    head.version = 2
    return read_block(view, at, end, head) if at + PROXY_V2_HEAD_BYTES <= end else 0


# ---- version 1


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_line(
    view: cython.uchar[::1],
    at: cython.longlong,
    end: cython.longlong,
    head: cython.pointer(ProxyHead),
) -> cython.int:
    """Section 2.1: one line of visible characters, at most 107 octets with its CR LF."""
    i: cython.longlong = at + 6
    while i < end and i < at + PROXY_V1_BYTES - 1:
        if view[i] == 13:
            if i + 1 == end:
                return 0
            if view[i + 1] != 10:
                return refuse(head, PROXY_BAD_LINE)
            if not read_words(view, at + 6, i, head):
                return -2
            return cython.cast(cython.int, i + 2 - at)
        if view[i] < 0x20 or view[i] > 0x7E:
            return refuse(head, PROXY_BAD_LINE)
        i += 1
    return refuse(head, PROXY_LONG_LINE) if i < end else 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_words(
    view: cython.uchar[::1],
    at: cython.longlong,
    end: cython.longlong,
    head: cython.pointer(ProxyHead),
) -> cython.bint:
    """The words between "PROXY " and CR LF; False with head.fault set."""
    size: cython.int
    if end - at >= 7 and begins(view, at, b"UNKNOWN"):
        if end - at == 7 or view[at + 7] == 0x20:
            return True  # "the receiver must ignore anything presented before the CRLF"
    if end - at < 5 or not (begins(view, at, b"TCP4 ") or begins(view, at, b"TCP6 ")):
        refuse(head, PROXY_BAD_LINE)
        return False
    size = 4 if view[at + 3] == 0x34 else 16
    at = read_address(view, at + 5, end, size, head.source)
    if at >= 0:
        at = read_address(view, at, end, size, head.destination)
    if at < 0:
        refuse(head, PROXY_BAD_ADDRESS)
        return False
    at = read_port(view, at, end, cython.address(head.source_port))
    if at < 0 or at >= end or view[at] != 0x20:
        refuse(head, PROXY_BAD_PORT)
        return False
    if read_port(view, at + 1, end, cython.address(head.destination_port)) != end:
        refuse(head, PROXY_BAD_PORT)
        return False
    head.size = size
    return True


@cython.cfunc
@cython.exceptval(-1, check=True)
def begins(view: cython.uchar[::1], at: cython.longlong, text: bytes) -> cython.bint:
    """Whether the text is there; the caller has compared the length."""
    i: cython.int
    for i in range(cython.cast(cython.int, len(text))):
        if view[at + i] != text[i]:
            return False
    return True


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_port(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, port: cython.p_int
) -> cython.longlong:
    """A decimal number up to 65535 without leading zeros; returns the position behind it, or -2."""
    start: cython.longlong = at
    value: cython.int = 0
    while at < end and 0x30 <= view[at] <= 0x39 and at - start < 5:
        value = value * 10 + view[at] - 0x30
        at += 1
    if at == start or value > 65535 or (view[start] == 0x30 and at - start > 1):
        return -2
    port[0] = value
    return at


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_address(
    view: cython.uchar[::1],
    at: cython.longlong,
    end: cython.longlong,
    size: cython.int,
    out: cython.p_uchar,
) -> cython.longlong:
    """An address and the space behind it; returns the position behind that, or -2."""
    stop: cython.longlong = at
    while stop < end and view[stop] != 0x20:
        stop += 1
    if stop == end:
        return -2
    if size == 4:
        return stop + 1 if read_v4(view, at, stop, out) else -2
    return stop + 1 if read_v6(view, at, stop, out) else -2


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_v4(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, out: cython.p_uchar
) -> cython.bint:
    """Four numbers without leading zeros, with dots between them, and nothing else."""
    i: cython.int
    value: cython.int
    start: cython.longlong
    for i in range(4):
        start = at
        value = 0
        while at < end and 0x30 <= view[at] <= 0x39 and at - start < 3:
            value = value * 10 + view[at] - 0x30
            at += 1
        if at == start or value > 255 or (view[start] == 0x30 and at - start > 1):
            return False
        out[i] = value
        if i < 3:
            if at >= end or view[at] != 0x2E:
                return False
            at += 1
    return at == end


@cython.cfunc
@cython.exceptval(-2, check=True)
def hex_digit(octet: cython.uchar) -> cython.int:
    """Its value, or -1."""
    if 0x30 <= octet <= 0x39:
        return octet - 0x30
    octet |= 0x20
    return octet - 0x57 if 0x61 <= octet <= 0x66 else -1


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_v6(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, out: cython.p_uchar
) -> cython.bint:
    """RFC 4291 2.2: groups of up to four digits, one "::" for the zeros that are left out, IPv4 at the end."""
    groups: cython.int = 0
    gap: cython.int = -1
    value: cython.int
    start: cython.longlong
    i: cython.int
    if end - at >= 2 and view[at] == 0x3A and view[at + 1] == 0x3A:
        gap = 0
        at += 2
    while at < end:
        start = at
        value = 0
        while at < end and hex_digit(view[at]) >= 0 and at - start < 4:
            value = value << 4 | hex_digit(view[at])
            at += 1
        if at < end and view[at] == 0x2E and groups <= 6:
            if not read_v4(view, start, end, out + 2 * groups):
                return False
            groups += 2
            break
        if at == start or groups == 8:
            return False
        out[2 * groups] = value >> 8
        out[2 * groups + 1] = value & 0xFF
        groups += 1
        if at == end:
            break
        if view[at] != 0x3A or at + 1 == end:
            return False
        at += 1
        if view[at] == 0x3A:
            if gap >= 0:
                return False
            gap = groups
            at += 1
    if gap < 0 or groups == 8:
        return gap < 0 and groups == 8
    for i in range(1, 2 * (groups - gap) + 1):  # what stands behind the gap moves to the end
        out[16 - i] = out[2 * groups - i]
    for i in range(2 * gap, 16 - 2 * (groups - gap)):
        out[i] = 0
    return True


# ---- version 2


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_block(
    view: cython.uchar[::1],
    at: cython.longlong,
    end: cython.longlong,
    head: cython.pointer(ProxyHead),
) -> cython.int:
    """Section 2.2: sixteen octets say how many follow; what stands behind the addresses are TLVs."""
    command: cython.int = view[at + 12]
    family: cython.int = view[at + 13]
    length: cython.int = view[at + 14] << 8 | view[at + 15]
    total: cython.longlong = PROXY_V2_HEAD_BYTES + length
    size: cython.int
    addresses: cython.int
    if command >> 4 != 2:
        return refuse(head, PROXY_BAD_VERSION)
    if command & 15 > 1:
        return refuse(head, PROXY_BAD_COMMAND)
    if family >> 4 > 3 or family & 15 > 2 or (family & 15 == 0) != (family >> 4 == 0):
        return refuse(head, PROXY_BAD_FAMILY)
    if length > PROXY_V2_MOST_BYTES:
        return refuse(head, PROXY_BAD_LENGTH)
    if command & 15 == 0 or family == 0:
        # LOCAL is the proxy's own connection, AF_UNSPEC somebody's: "the receiver should ignore address information"
        return cython.cast(cython.int, total) if at + total <= end else 0
    if family & 15 == 2:
        return refuse(head, PROXY_DATAGRAM)
    size = 4 if family >> 4 == 1 else 16
    addresses = 216 if family >> 4 == 3 else 2 * size + 4
    if length < addresses:
        return refuse(head, PROXY_BAD_LENGTH)
    if at + total > end:
        return 0
    if not check_tlvs(view, at, at + PROXY_V2_HEAD_BYTES + addresses, at + total, head):
        return -2
    if family >> 4 != 3:  # clients of a proxy's Unix socket have no name
        head.size = size
        read_addresses(view, at + PROXY_V2_HEAD_BYTES, size, head)
    return cython.cast(cython.int, total)


@cython.cfunc
@cython.exceptval(-1, check=True)
def read_addresses(
    view: cython.uchar[::1], at: cython.longlong, size: cython.int, head: cython.pointer(ProxyHead)
) -> cython.int:
    """Source, destination, and their ports."""
    i: cython.int
    for i in range(size):
        head.source[i] = view[at + i]
        head.destination[i] = view[at + size + i]
    at += 2 * size
    head.source_port = view[at] << 8 | view[at + 1]
    head.destination_port = view[at + 2] << 8 | view[at + 3]
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def check_tlvs(
    view: cython.uchar[::1],
    start: cython.longlong,
    at: cython.longlong,
    end: cython.longlong,
    head: cython.pointer(ProxyHead),
) -> cython.bint:
    """Section 2.2: type, length, value, up to the very end; only the checksum means anything to us."""
    size: cython.int
    checksum: cython.longlong = 0
    while at < end:
        if end - at < 3:
            refuse(head, PROXY_BAD_TLV)
            return False
        size = view[at + 1] << 8 | view[at + 2]
        if at + 3 + size > end:
            refuse(head, PROXY_BAD_TLV)
            return False
        if view[at] == TLV_CRC32C:
            if size != 4 or checksum:
                refuse(head, PROXY_BAD_TLV)
                return False
            checksum = at + 3
        at += 3 + size
    if checksum and crc32c(view, start, end, checksum) != (
        cython.cast(cython.uint, view[checksum]) << 24
        | view[checksum + 1] << 16
        | view[checksum + 2] << 8
        | view[checksum + 3]
    ):
        refuse(head, PROXY_BAD_CRC)
        return False
    return True


@cython.cfunc
@cython.exceptval(0, check=True)
def crc32c(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, own: cython.longlong
) -> cython.uint:
    """Of the whole header, the four octets at `own` taken for zeros."""
    value: cython.uint = 0xFFFFFFFF
    octet: cython.uint
    while at < end:
        octet = 0 if own <= at < own + 4 else view[at]
        value = CRC32C[(value ^ octet) & 0xFF] ^ value >> 8
        at += 1
    return value ^ 0xFFFFFFFF


def proxy_fault_text(fault):
    """For the error log."""
    return FAULTS[fault]


def proxy_header(source, source_port, destination, destination_port):
    """Section 2.2."""
    size: cython.int = cython.cast(cython.int, len(source))
    if size == 0 or len(destination) != size:
        return NOBODY
    ports: bytes = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    family: bytes = b"\x11\x00\x0c" if size == 4 else b"\x21\x00\x24"
    return V2_NAME + b"\x21" + family + source + destination + ports

"""Changes that a hook makes to a message: names and values are checked here, nowhere else."""

import cython
from cython.cimports.worker.plane.octets import (
    CLASS,
    FNV_BASIS,
    FNV_PRIME,
    LOWER,
    O_VALUE,
)

# What the proxy itself decides, and the sizes of these names.
FRAMING = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"trailer")
)
FRAMING_SIZES = cython.declare(cython.uint, 1 << 14 | 1 << 17 | 1 << 10 | 1 << 7)


def hash_of(name):
    """FNV-1a, 32 bits."""
    hashed: cython.uint = FNV_BASIS
    octet: cython.uchar
    for octet in name:
        hashed = (hashed ^ LOWER[octet]) * cython.cast(cython.uint, FNV_PRIME)
    return hashed


def same_name(view, at, size, name):
    """Octets that no name has are unlike every other."""
    i: cython.Py_ssize_t
    octet: cython.uchar
    if len(name) != size:
        return False
    for i in range(size):
        octet = LOWER[view[at + i]]
        if octet == 0 or octet != LOWER[cython.cast(cython.uchar, name[i])]:
            return False
    return True


@cython.cfunc
@cython.exceptval(check=False)
def is_alike(one: bytes, two: bytes) -> cython.bint:
    """Whether two names are the same, case aside."""
    i: cython.Py_ssize_t
    if len(one) != len(two):
        return False
    for i in range(len(one)):
        if LOWER[cython.cast(cython.uchar, one[i])] != LOWER[cython.cast(cython.uchar, two[i])]:
            return False
    return True


@cython.cfunc
@cython.exceptval(0, check=True)
def checked_hash(name: bytes) -> cython.uint:
    """As `hash_of`. Refuses what is not a token, and the fields whose meaning is the proxy's own."""
    hashed: cython.uint = FNV_BASIS
    octet: cython.uchar
    size: cython.Py_ssize_t = len(name)
    for octet in name:
        octet = LOWER[octet]
        if octet == 0:
            raise ValueError(f"not a field name: {name!r}")
        hashed = (hashed ^ octet) * cython.cast(cython.uint, FNV_PRIME)
    if size == 0:
        raise ValueError(f"not a field name: {name!r}")
    if size < 18 and (FRAMING_SIZES >> size) & 1 and name.lower() in FRAMING:
        raise ValueError(f"{name.decode()} is decided by the proxy and cannot be set")
    return hashed


@cython.cfunc
def checked_value(value: bytes) -> bytes:
    """The value without white space around it; refused when it cannot be one."""
    octet: cython.uchar = 0
    size: cython.Py_ssize_t = len(value)
    for octet in value:
        if not CLASS[octet] & O_VALUE:
            raise ValueError(f"a field's value cannot hold control characters: {value!r}")
    # the octet is the last one, if there was any
    if size and (octet <= 32 or cython.cast(cython.uchar, value[0]) <= 32):
        return value.strip(b" \t")
    return value


@cython.cclass
class Changes:
    """Changes that a hook made to one message."""

    def __cinit__(self):
        self.dropped = []
        self.added = []

    def set_field(self, name, value):
        """Replace all fields of this name by one. Raises ValueError for a name or value that is none."""
        text: bytes = checked_value(value)
        self.remove_field(name)
        return self.append(name, text)

    def add_field(self, name, value):
        """Append a field. Raises ValueError for a name or value that is none."""
        text: bytes = checked_value(value)
        checked_hash(name)
        if is_alike(name, b"host"):
            self.remove_field(name)
        return self.append(name, text)

    def append(self, name, value):
        """Both were checked."""
        if is_alike(name, b"host"):
            self.sets_host = True
        self.added.append(name)
        self.added.append(value)
        self.added_bytes += len(name) + len(value) + 4
        return 0

    def remove_field(self, name):
        """Leave out all fields of this name."""
        hashed: cython.uint = checked_hash(name)
        self.dropped.append(name)
        self.drop_bits |= cython.cast(cython.ulonglong, 1) << (hashed & 63)
        if self.added:
            self.forget(name)
        return 0

    def forget(self, name):
        """Take back what was added under this name."""
        i: cython.Py_ssize_t
        added: list = self.added
        self.added = []
        self.added_bytes = 0
        self.sets_host = False
        for i in range(0, len(added), 2):
            if not is_alike(added[i], name):
                self.append(added[i], added[i + 1])
        return 0

    def copy(self):
        """Changes of its own that begin with these."""
        other: Changes = Changes()
        other.dropped = list(self.dropped)
        other.drop_bits = self.drop_bits
        other.added = list(self.added)
        other.added_bytes = self.added_bytes
        other.target, other.sets_host = self.target, self.sets_host
        return other

    def clear(self):
        """No changes any more."""
        self.dropped.clear()
        self.added.clear()
        self.drop_bits = 0
        self.added_bytes = 0
        self.target = None
        self.sets_host = False
        return 0

    def drops(self, view, name, size, hashed):
        """The bits let most names pass unseen."""
        if not (self.drop_bits >> (hashed & 63)) & 1:
            return False
        for dropped in self.dropped:
            if same_name(view, name, size, dropped):
                return True
        return False

    def put_added(self, arena, to, without_host):
        """One line after the other."""
        i: cython.Py_ssize_t
        at: cython.longlong = to
        name: bytes
        for i in range(0, len(self.added), 2):
            name = self.added[i]
            if without_host and is_alike(name, b"host"):
                continue
            at += arena.put(at, name)
            at += arena.put(at, b": ")
            at += arena.put(at, cython.cast(bytes, self.added[i + 1]))
            at += arena.put(at, b"\r\n")
        return at - to

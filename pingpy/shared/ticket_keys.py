"""The keys of TLS session tickets: one page that the master writes, and that all workers of all generations look at.

    byte 0    magic, version, when the last new key was made (CLOCK_MONOTONIC, us): 64-bit words
    byte 24   the slot in force
    byte 128  four slots of 128 bytes: name (16), AES-256 key (32), HMAC-SHA256 key (32), rest unused

           ┌ in force: encrypts, decrypts
    slot   0   1   2   3      then, after a rotation:  0   1   2   3
               │   └ the next one                      │       └ in force
          the last one, still decrypts                 is overwritten with the one after the next

A key lies there for a whole period before anyone encrypts with it. So a worker needs neither a message nor a lock:
whenever it reads the byte of the slot in force, that slot and its neighbours hold whole keys. What is older than the
last one is overwritten, and nothing can decrypt its tickets any more. The page has no name in any file system, and is
no part of core dumps.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from pingpy.shared.layout import PAGE, WORD
from pingpy.shared.region import LayoutMismatchError

VERSION = 1
MAGIC = int.from_bytes(b"pingpy\x00\x02", "little")
W_MAGIC, W_VERSION, W_ROTATED_US = range(3)
IN_FORCE_AT = 3 * WORD

SLOTS = 4
SLOTS_AT = 128
SLOT_BYTES = 128
NAME_BYTES = 16
CIPHER_KEY_BYTES = 32
MAC_KEY_BYTES = 32
KEY_BYTES = NAME_BYTES + CIPHER_KEY_BYTES + MAC_KEY_BYTES


class TicketKeys:
    """The page; only the master that owns the service rotates."""

    def __init__(self, fd: int) -> None:
        """Use create() or attach()."""
        self.fd = fd
        self._map = mmap.mmap(fd, PAGE)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self.octets = memoryview(self._map)
        self._words = self.octets[:IN_FORCE_AT].cast("q")

    def __repr__(self) -> str:
        return f"<TicketKeys slot {self.octets[IN_FORCE_AT]} in force>"

    @classmethod
    def create(cls, now: float) -> TicketKeys:
        """New keys; the descriptor is close-on-exec and sealed against a change of size."""
        fd = os.memfd_create("pingpy-tickets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, PAGE)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            keys = cls(fd)
        except BaseException:
            os.close(fd)
            raise
        for slot in range(SLOTS):
            keys._fill(slot)
        keys._words[W_VERSION] = VERSION
        keys._words[W_ROTATED_US] = int(now * 1e6)
        keys._words[W_MAGIC] = MAGIC
        return keys

    @classmethod
    def attach(cls, fd: int) -> TicketKeys:
        """Another process's keys; takes the descriptor over, except when it raises LayoutMismatchError."""
        head = os.pread(fd, 2 * WORD, 0)
        found = tuple(memoryview(head).cast("q")) if len(head) == 2 * WORD else ()
        if found != (MAGIC, VERSION) or os.fstat(fd).st_size != PAGE:
            raise LayoutMismatchError("keys of session tickets of another version")
        return cls(fd)

    @property
    def rotated_at(self) -> float:
        """When the last new key was made, by the clock of all deadlines."""
        return self._words[W_ROTATED_US] / 1e6

    def rotate(self, now: float) -> None:
        """The next key is in force, the last one still decrypts; the one before it is gone."""
        slot = (self.octets[IN_FORCE_AT] + 1) % SLOTS
        self.octets[IN_FORCE_AT] = slot
        self._fill((slot + 1) % SLOTS)
        self._words[W_ROTATED_US] = int(now * 1e6)

    def close(self) -> None:
        """Unmap and close; the memory lives on in whoever else holds it."""
        self._words.release()
        self.octets.release()
        self._map.close()
        os.close(self.fd)

    def _fill(self, slot: int) -> None:
        start = SLOTS_AT + slot * SLOT_BYTES
        self.octets[start : start + KEY_BYTES] = os.urandom(KEY_BYTES)

"""The arena: hands out blocks of one mapping by offset, checks every range, gives unused memory back.

Raw memory is touched here and in the files that make system calls; everybody else indexes `view`,
whose bounds are checked. Blocks come from spans of 256 KiB, each cut into blocks of one size; a span
whose blocks have all come back is returned to the kernel by `trim`.
"""

import array
import mmap

import cython
from cython.cimports.libc.string import memchr, memcpy, memmove
from cython.cimports.worker.plane.poison import pingpy_poison, pingpy_unpoison

SPAN_BITS = cython.declare(cython.int, 18)
SPAN_BYTES = cython.declare(cython.longlong, 1 << 18)
SMALLEST_BITS = cython.declare(cython.int, 9)  # 512 bytes
CLASSES = cython.declare(cython.int, 10)  # 512 bytes .. 256 KiB
SPAN_FREE = cython.declare(cython.int, -1)
SPAN_RESERVED = cython.declare(cython.int, -2)

# A chain's block begins with the next block (8 bytes), its first unread byte and the end of its data (4 bytes each).
LINK_BYTES = cython.declare(cython.longlong, 16)
CHAIN_BLOCK_BYTES = cython.declare(cython.longlong, 16384)

SMALLEST_ARENA_BYTES = 64 << 20


OUTSIDE = "range outside the arena"


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def outside(total: cython.longlong, offset: cython.longlong, size: cython.longlong) -> cython.bint:
    """Whether a range is not wholly within the blocks of an arena of `total` bytes."""
    return offset < SPAN_BYTES or size < 0 or offset + size > total


@cython.cclass
class Arena:
    """One private mapping. Raises MemoryError when it is used up, IndexError for a range outside."""

    def __cinit__(self, size_bytes: cython.longlong = 1 << 30):
        self.mapping = self.map_memory(size_bytes)
        self.size = len(self.mapping)
        self.view = self.mapping
        self.base = cython.address(self.view[0])
        self.spans = cython.cast(cython.int, self.size >> SPAN_BITS)
        ints = array.array("i", [0]) * self.spans
        self.span_class = array.array("i", [-1]) * self.spans
        self.span_live = ints[:]
        self.span_fresh = ints[:]
        self.span_next = array.array("i", [-1]) * self.spans
        self.span_listed = ints[:]
        self.span_free = array.array("q", [0]) * self.spans
        self.class_head = array.array("i", [-1]) * CLASSES
        self.span_class[0] = SPAN_RESERVED  # so that offset 0 can mean "none"
        self.next_span = 1
        self.free_head = -1
        self.used_bytes = 0
        pingpy_poison(self.base, self.size)

    def __dealloc__(self):
        # The sanitizer does not see munmap: who gets this address next must not find it poisoned.
        pingpy_unpoison(self.base, self.size)

    @staticmethod
    def map_memory(size_bytes):
        """Reserve address space; a host that forbids overcommit gets a smaller arena rather than none."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        while True:
            try:
                mapping = mmap.mmap(-1, size_bytes, flags=flags)
            except OSError:
                if size_bytes <= SMALLEST_ARENA_BYTES:
                    raise
                size_bytes //= 2
                continue
            mapping.madvise(
                mmap.MADV_NOHUGEPAGE
            )  # a huge page per touched slot would be all of our memory budget
            return mapping

    def take_span(self, size_class):
        """A fresh span for this size, put at the head of its class's list."""
        span: cython.int = self.free_head
        if span >= 0:
            self.free_head = self.span_next[span]
        elif self.next_span < self.spans:
            span = self.next_span
            self.next_span += 1
        else:
            raise MemoryError("the arena is used up")
        self.span_class[span] = size_class
        self.span_live[span] = 0
        self.span_fresh[span] = 0
        self.span_free[span] = 0
        self.span_next[span] = self.class_head[size_class]
        self.span_listed[span] = 1
        self.class_head[size_class] = span
        return span

    def alloc(self, size):
        """A block of at least `size` bytes (at most 256 KiB); its contents are undefined."""
        size_class: cython.int = 0
        span: cython.int
        offset: cython.longlong
        bits: cython.int
        while (cython.cast(cython.longlong, 1) << (SMALLEST_BITS + size_class)) < size:
            size_class += 1
        if size_class >= CLASSES:
            raise MemoryError("no block is that large")
        span = self.class_head[size_class]
        if span < 0:
            span = self.take_span(size_class)
        bits = SMALLEST_BITS + size_class
        offset = self.span_free[span]
        if offset:
            pingpy_unpoison(self.base + offset, 1 << bits)
            self.span_free[span] = cython.cast(cython.pointer(cython.longlong), self.base + offset)[
                0
            ]
        else:
            offset = (cython.cast(cython.longlong, span) << SPAN_BITS) + (
                cython.cast(cython.longlong, self.span_fresh[span]) << bits
            )
            self.span_fresh[span] += 1
            pingpy_unpoison(self.base + offset, 1 << bits)
        self.span_live[span] += 1
        if self.span_live[span] == 1 << (SPAN_BITS - bits):
            self.class_head[size_class] = self.span_next[span]
            self.span_listed[span] = 0
        self.used_bytes += cython.cast(cython.longlong, 1) << bits
        return offset

    def free(self, offset):
        """Take a block back. A block that is not one raises IndexError."""
        bits: cython.int = 0
        span: cython.int = cython.cast(cython.int, offset >> SPAN_BITS)
        size_class: cython.int = self.span_class[span]
        if size_class < 0 or self.span_live[span] <= 0:
            raise IndexError("not a block of the arena")
        bits = SMALLEST_BITS + size_class
        cython.cast(cython.pointer(cython.longlong), self.base + offset)[0] = self.span_free[span]
        pingpy_poison(self.base + offset, 1 << bits)
        self.span_free[span] = offset
        self.span_live[span] -= 1
        if not self.span_listed[span]:
            self.span_next[span] = self.class_head[size_class]
            self.span_listed[span] = 1
            self.class_head[size_class] = span
        self.used_bytes -= cython.cast(cython.longlong, 1) << bits
        return 0

    def block_size(self, offset):
        """How many bytes the block at `offset` really has."""
        size_class: cython.int = self.span_class[cython.cast(cython.int, offset >> SPAN_BITS)]
        if size_class < 0:
            raise IndexError("not a block of the arena")
        return cython.cast(cython.longlong, 1) << (SMALLEST_BITS + size_class)

    def reserve(self, size):
        """A range for the life of the arena, whole spans, of any size: the turn's slots."""
        count: cython.int = cython.cast(cython.int, (size + SPAN_BYTES - 1) >> SPAN_BITS)
        first: cython.int = self.next_span
        span: cython.int
        if first + count > self.spans:
            raise MemoryError("the arena is used up")
        self.next_span += count
        for span in range(first, first + count):
            self.span_class[span] = SPAN_RESERVED
        pingpy_unpoison(
            self.base + (cython.cast(cython.longlong, first) << SPAN_BITS), count * SPAN_BYTES
        )
        return cython.cast(cython.longlong, first) << SPAN_BITS

    def check(self, offset, size):
        """Refuse a range that is not wholly inside."""
        if outside(self.size, offset, size):
            raise IndexError(OUTSIDE)
        return 0

    def copy(self, to, source, size):
        """Copy within the arena; the ranges may overlap."""
        if outside(self.size, to, size) or outside(self.size, source, size):
            raise IndexError(OUTSIDE)
        memmove(self.base + to, self.base + source, size)
        return 0

    def put(self, to, data):
        """Write a bytes object; returns its length."""
        size: cython.Py_ssize_t = len(data)
        if outside(self.size, to, size):
            raise IndexError(OUTSIDE)
        memcpy(self.base + to, cython.cast(cython.p_const_char, data), size)
        return cython.cast(cython.int, size)

    def put_chars(self, to, data, size):
        """Write `size` bytes from C memory; returns `size`."""
        if outside(self.size, to, size):
            raise IndexError(OUTSIDE)
        memcpy(self.base + to, data, size)
        return cython.cast(cython.int, size)

    def put_number(self, to, value):
        """Write a number that is not negative in decimal; returns the number of digits."""
        digits: cython.char[20]
        count: cython.int = 0
        while True:
            digits[19 - count] = 48 + cython.cast(cython.char, value % 10)
            count += 1
            value //= 10
            if value <= 0 or count == 20:
                break
        if outside(self.size, to, count):
            raise IndexError(OUTSIDE)
        memcpy(self.base + to, cython.address(digits[20 - count]), count)
        return count

    def put_hex(self, to, value):
        """Write a number that is not negative in lower-case hexadecimal; returns the number of digits."""
        digits: cython.char[16]
        digit: cython.int
        count: cython.int = 0
        while True:
            digit = cython.cast(cython.int, value & 15)
            digits[15 - count] = cython.cast(cython.char, 48 + digit if digit < 10 else 87 + digit)
            count += 1
            value >>= 4
            if value == 0 or count == 16:
                break
        if outside(self.size, to, count):
            raise IndexError(OUTSIDE)
        memcpy(self.base + to, cython.address(digits[16 - count]), count)
        return count

    def find(self, start, end, byte):
        """Offset of the first such byte in start..end, or -1."""
        found: cython.p_uchar
        if end <= start:
            return -1
        self.check(start, end - start)
        found = cython.cast(cython.p_uchar, memchr(self.base + start, byte, end - start))
        if found == cython.NULL:
            return -1
        return found - self.base

    def take(self, offset, size):
        """These bytes as a Python object."""
        self.check(offset, size)
        return cython.cast(cython.p_char, self.base + offset)[:size]

    def text(self, offset, size):
        """The same as text. Raises UnicodeDecodeError for what is not ASCII."""
        self.check(offset, size)
        return cython.cast(cython.p_char, self.base + offset)[:size].decode("ascii")

    # ---- chains: unsent output, kept in blocks of its own

    def chain_append(self, chain, source, size):
        """Copy `size` bytes to the end of the chain."""
        room: cython.longlong
        block: cython.longlong
        part: cython.longlong
        ends: cython.pointer(cython.uint)
        self.check(source, size)
        while size > 0:
            block = chain.tail
            room = 0
            if block:
                ends = cython.cast(cython.pointer(cython.uint), self.base + block + 8)
                room = self.block_size(block) - ends[1]
            if room == 0:
                block = self.alloc(min(max(size + LINK_BYTES, CHAIN_BLOCK_BYTES), SPAN_BYTES))
                cython.cast(cython.pointer(cython.longlong), self.base + block)[0] = 0
                ends = cython.cast(cython.pointer(cython.uint), self.base + block + 8)
                ends[0] = ends[1] = cython.cast(cython.uint, LINK_BYTES)
                if chain.tail:
                    cython.cast(cython.pointer(cython.longlong), self.base + chain.tail)[0] = block
                else:
                    chain.head = block
                chain.tail = block
                room = self.block_size(block) - LINK_BYTES
            part = min(room, size)
            ends = cython.cast(cython.pointer(cython.uint), self.base + block + 8)
            memcpy(self.base + block + ends[1], self.base + source, part)
            ends[1] += cython.cast(cython.uint, part)
            chain.bytes += part
            source += part
            size -= part
        return 0

    def chain_front(self, chain, offset):
        """The first stretch of bytes: its size, and where it is in `offset`; 0 when the chain is empty."""
        size: cython.longlong = 0
        if chain.head:
            self.chain_after(-chain.head, offset, cython.address(size))
        return size

    def chain_after(self, block, offset, size):
        """The stretch of the block behind `block` (of `-block` itself when negative); returns its block or 0."""
        ends: cython.pointer(cython.uint)
        if block < 0:
            block = -block
        else:
            block = cython.cast(cython.pointer(cython.longlong), self.base + block)[0]
        if block:
            ends = cython.cast(cython.pointer(cython.uint), self.base + block + 8)
            offset[0] = block + ends[0]
            size[0] = cython.cast(cython.longlong, ends[1] - ends[0])
        return block

    def chain_consume(self, chain, size):
        """Drop `size` bytes from the front; blocks that are used up are freed."""
        block: cython.longlong
        part: cython.longlong
        ends: cython.pointer(cython.uint)
        if size > chain.bytes:
            raise IndexError("more than the chain holds")
        chain.bytes -= size
        while chain.head:
            block = chain.head
            ends = cython.cast(cython.pointer(cython.uint), self.base + block + 8)
            part = min(size, cython.cast(cython.longlong, ends[1] - ends[0]))
            ends[0] += cython.cast(cython.uint, part)
            size -= part
            if ends[0] < ends[1]:
                break
            chain.head = cython.cast(cython.pointer(cython.longlong), self.base + block)[0]
            self.free(block)
        if not chain.head:
            chain.tail = 0
        return 0

    def chain_take(self, chain, offset, size):
        """Take the first block out of the chain; it is the caller's to free. Its bytes: `offset`, `size`."""
        block: cython.longlong = chain.head
        if not block:
            raise IndexError("the chain is empty")
        self.chain_after(-block, offset, size)
        chain.head = cython.cast(cython.pointer(cython.longlong), self.base + block)[0]
        chain.bytes -= size[0]
        if not chain.head:
            chain.tail = 0
        return block

    def chain_clear(self, chain):
        """Free everything."""
        self.chain_consume(chain, chain.bytes)
        return 0

    def trim(self):
        """Give spans without a block in use back to the kernel; cheap enough for every second."""
        span: cython.int
        size_class: cython.int
        for size_class in range(CLASSES):
            self.class_head[size_class] = -1
        for span in range(1, self.next_span):
            size_class = self.span_class[span]
            if size_class < 0:
                continue
            self.span_listed[span] = 0
            if self.span_live[span] == 0:
                self.mapping.madvise(mmap.MADV_DONTNEED, span << SPAN_BITS, SPAN_BYTES)
                self.span_class[span] = SPAN_FREE
                self.span_next[span] = self.free_head
                self.free_head = span
            elif self.span_live[span] < 1 << (SPAN_BITS - SMALLEST_BITS - size_class):
                self.span_next[span] = self.class_head[size_class]
                self.span_listed[span] = 1
                self.class_head[size_class] = span
        return 0

    # ---- doors for tests

    def allocate(self, size: cython.longlong) -> cython.longlong:
        """`alloc` for tests."""
        return self.alloc(size)

    def release(self, offset: cython.longlong) -> None:
        """`free` for tests."""
        self.free(offset)

    def write(self, offset: cython.longlong, data: bytes) -> None:
        """`put` for tests."""
        self.put(offset, data)

    def read(self, offset: cython.longlong, size: cython.longlong) -> bytes:
        """`take` for tests."""
        return self.take(offset, size)

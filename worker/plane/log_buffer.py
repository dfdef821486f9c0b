"""Bytes on their way to a log file: escaped as they come in, written whole lines at a time, never waited for."""

import os
import select
import stat

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.cells import C_LOG_DROPPED

BUFFER_BYTES = cython.declare(cython.int, 65536)
LINE_BYTES = cython.declare(cython.int, 131072)
PIPE_BYTES = 4096  # PIPE_BUF: what a pipe takes at once, not mixed with other writers' bytes
WIDEST = cython.declare(cython.int, 6)  # bytes that one byte may become: \u00hh
HEX = cython.declare(bytes, b"0123456789ABCDEF")

# For eight bytes at once (Bit Twiddling Hacks, "haszero" and "hasless")
ONES = cython.declare(cython.ulonglong, 0x0101010101010101)
TOPS = cython.declare(cython.ulonglong, 0x8080808080808080)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def special(word: cython.ulonglong) -> cython.bint:
    """Whether one of eight bytes is a control or 8-bit byte, DEL, a quote or a backslash."""
    # The upper bit of a byte's sum or difference tells; a carry comes only from a byte that is special itself.
    found: cython.ulonglong = word | (word + ONES) | (word - ONES * 32)
    found |= (word ^ (ONES * 34)) - ONES
    found |= (word ^ (ONES * 92)) - ONES
    return (found & TOPS) != 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def clean(byte: cython.uchar) -> cython.bint:
    """The same for one byte, the other way round."""
    return 32 <= byte < 127 and byte != 34 and byte != 92


@cython.cclass
class LineBuffer:
    """Collects lines for one descriptor, which it owns. Lines that cannot be written are counted and forgotten."""

    def __init__(self, fd: cython.int, cells, json: cython.bint = False):
        self.storage = bytearray(BUFFER_BYTES + LINE_BYTES + 256)
        self.buffer = self.storage
        self.cells = cells
        self.json = json
        self.fd = -1
        self.set_fd(fd)

    def set_fd(self, fd: cython.int):
        """Write to another descriptor from now on (-1: off); the old one gets what is collected, and is closed."""
        self.flush()
        if self.fd > 2 and self.fd != fd:
            os.close(self.fd)
        self.fd = fd
        self.torn = False
        self.chunk_bytes = 0
        if fd >= 0 and not stat.S_ISREG(os.fstat(fd).st_mode):
            self.chunk_bytes = PIPE_BYTES

    def write_out(self):
        """flush(), from Python."""
        self.flush()

    def close(self):
        """The last lines, then off."""
        self.set_fd(-1)

    def end_line(self):
        """Finish the line; write when there is enough."""
        self.buffer[self.at] = 10
        self.at += 1
        self.lines += 1
        if self.at >= BUFFER_BYTES:
            self.flush()
        return 0

    def flush(self):
        """Write what is collected, whole lines only; what cannot be written now is dropped, lest requests wait."""
        if self.at == 0:
            return 0
        if self.fd >= 0:
            self.drop(self.write_file() if self.chunk_bytes == 0 else self.write_pipe())
        self.at = 0
        self.lines = 0
        return 0

    def write_file(self):
        """One O_APPEND write; returns how many bytes are lost."""
        view = memoryview(self.storage)
        done = 0
        try:
            if self.torn:
                os.write(self.fd, b"\n")
                self.torn = False
            done = os.write(self.fd, view[: self.at])
            if done < self.at:
                # The disk became full within a line, or a signal came: once more, then give up.
                self.torn = True
                done += os.write(self.fd, view[done : self.at])
                self.torn = done < self.at
        except OSError:
            pass
        return self.at - done

    def write_pipe(self):
        """Pieces of whole lines that fit into PIPE_BUF, each only when the reader has made room for it."""
        done = 0
        while done < self.at:
            end = self.at
            if end - done > PIPE_BYTES:
                end = self.storage.rfind(b"\n", done, done + PIPE_BYTES) + 1
                if end <= done:
                    end = self.storage.find(b"\n", done, self.at) + 1
            if not self.write_piece(done, end):
                break
            done = end
        return self.at - done

    def write_piece(self, start, end):
        """Whether the pipe took it."""
        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)
        try:
            if not poller.poll(0):
                return False
            return os.write(self.fd, memoryview(self.storage)[start:end]) == end - start
        except OSError:
            return False

    def drop(self, lost):
        """Count the lines of which bytes are missing: the last `lost` bytes of what was collected."""
        if lost <= 0:
            return
        lines = self.storage.count(b"\n", self.at - lost, self.at)
        self.lines_dropped += lines
        if self.cells is not None:
            self.cells.add(C_LOG_DROPPED, lines)

    def put_byte(self, byte):
        """One byte that needs no escaping."""
        if self.at < self.stop:
            self.buffer[self.at] = byte
            self.at += 1
        return 0

    def put_bytes(self, text):
        """Our own words."""
        return self.put_raw(
            cython.cast(cython.p_uchar, cython.cast(cython.p_const_char, text)), len(text)
        )

    def put_raw(self, source, size):
        """Bytes that need no escaping; cut at the end of the longest line."""
        if size > self.stop - self.at:
            size = self.stop - self.at
        if size > 0:
            self.buffer[self.at + size - 1]  # inside, hence all before
            memcpy(cython.address(self.buffer[self.at]), source, size)
            self.at += cython.cast(cython.int, size)
        return 0

    def put_absent(self):
        """What stands for no value."""
        return 0 if self.json else self.put_byte(45)

    def put_number(self, number):
        """In decimal."""
        digits: cython.uchar[20]
        count: cython.int = 0
        to: cython.int = self.at
        left: cython.ulonglong = cython.cast(cython.ulonglong, number)
        if number < 0:
            return self.put_absent()
        while True:
            digits[count] = cython.cast(cython.uchar, 48 + left % 10)
            count += 1
            left //= 10
            if left == 0:
                break
        if count > self.stop - to:
            return 0
        while count > 0:
            count -= 1
            self.buffer[to] = digits[count]
            to += 1
        self.at = to
        return 0

    def put_seconds(self, us):
        """Seconds with milliseconds, as nginx writes times."""
        ms: cython.longlong = us // 1000
        if us < 0:
            return self.put_absent()
        self.put_number(ms // 1000)
        self.put_byte(46)
        self.put_byte(cython.cast(cython.uchar, 48 + ms // 100 % 10))
        self.put_byte(cython.cast(cython.uchar, 48 + ms // 10 % 10))
        self.put_byte(cython.cast(cython.uchar, 48 + ms % 10))
        return 0

    def put_value(self, arena, at, size):
        """Bytes from outside; cut when they would not fit the longest line."""
        if size <= 0:
            return self.put_absent()
        if size > (self.stop - self.at) // WIDEST:
            size = (self.stop - self.at) // WIDEST
            if size <= 0:
                return 0
        arena.view[at + size - 1]  # both ends are inside, hence all between
        return self.put_escaping(cython.address(arena.view[at]), size)

    def put_chars(self, chars, size):
        """The same from a record."""
        if size <= 0:
            return self.put_absent()
        size = min(size, (self.stop - self.at) // WIDEST)
        return self.put_escaping(cython.cast(cython.p_uchar, chars), size)

    def put_escaping(self, source, size):
        """Copy `size` bytes, escaping some; the caller has seen to it that WIDEST times as many fit before `stop`.

        Bytes that need no escaping go eight at a time: a raw pointer, because it is a third of the cost of the line.
        `stop` is at most BUFFER_BYTES + LINE_BYTES, and the buffer is larger: see __init__ and end_line.
        """
        place: cython.longlong = 0
        start: cython.longlong
        to: cython.p_uchar
        word: cython.ulonglong = 0
        while place < size:
            to = cython.address(self.buffer[self.at])
            start = place
            while size - place >= 8:
                memcpy(cython.address(word), source + place, 8)
                if special(word):
                    break
                memcpy(to + (place - start), cython.address(word), 8)
                place += 8
            if (
                0 < size - place < 8 <= size - start
            ):  # the last eight once more, with the rest among them
                memcpy(cython.address(word), source + size - 8, 8)
                if not special(word):
                    memcpy(to + (size - 8 - start), cython.address(word), 8)
                    place = size
            while place < size and clean(source[place]):
                to[place - start] = source[place]
                place += 1
            self.at += cython.cast(cython.int, place - start)
            if place < size:
                self.put_escaped(source[place])
                place += 1
        return 0

    def put_escaped(self, byte):
        """Quotes, backslashes, control and 8-bit bytes; in JSON 8-bit bytes are read as Latin-1."""
        self.put_byte(92)
        if self.json and (byte == 34 or byte == 92):
            return self.put_byte(byte)
        if self.json:
            self.put_byte(117)
            self.put_byte(48)
            self.put_byte(48)
        else:
            self.put_byte(120)
        self.put_byte(cython.cast(cython.uchar, HEX[byte >> 4]))
        self.put_byte(cython.cast(cython.uchar, HEX[byte & 15]))
        return 0

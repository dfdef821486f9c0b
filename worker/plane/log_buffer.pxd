# Lines on their way to a log.
from worker.plane.buffer cimport Arena
from worker.plane.cells cimport Cells

cdef class LineBuffer:
    cdef readonly int fd                        # -1: off
    cdef readonly long long lines_dropped
    cdef Cells cells
    cdef bytearray storage
    cdef unsigned char[::1] buffer              # on storage
    cdef int at, stop                           # next free byte; where the current line must end
    cdef int lines                              # in the buffer
    cdef int chunk_bytes                        # 0: a file; else the largest write that a pipe takes whole
    cdef bint json                              # escape for JSON, else as nginx does
    cdef bint torn                              # the last write ended within a line
    cdef int flush(self) except -1
    cdef int end_line(self) except -1
    cdef int put_byte(self, unsigned char byte) except -1
    cdef int put_bytes(self, bytes text) except -1
    cdef int put_absent(self) except -1
    cdef int put_number(self, long long number) except -1
    cdef int put_seconds(self, long long us) except -1
    cdef int put_value(self, Arena arena, long long at, long long size) except -1
    cdef int put_chars(self, const char* chars, int size) except -1
    cdef int put_raw(self, const unsigned char* source, long long size) except -1
    cdef int put_escaping(self, const unsigned char* source, long long size) except -1
    cdef int put_escaped(self, unsigned char byte) except -1

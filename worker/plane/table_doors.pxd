# Only for tests and measurements: see table_doors.py.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record

cdef class Exchange:
    cdef readonly Arena arena
    cdef readonly int scanned
    cdef Record record
    cdef Head request, response
    cdef bint has_response
    cdef long long path
    cdef int path_size

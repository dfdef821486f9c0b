# The plain counters that one finished request moves.
from worker.plane.cells cimport Cells
from worker.plane.record cimport Record

cdef int tally(Cells cells, Record* record) except -1

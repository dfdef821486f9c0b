# The id of a request.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record

cdef int take_request_id(Arena arena, Head* head, Record* record, unsigned long long first_random,
                         unsigned long long second_random) except -1
cdef unsigned long long next_random(unsigned long long* state) except? 0

# The conditions of rules, compiled: an index that finds the few that may match, and the full check of one.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head

cdef enum PatternKind:
    P_EXACT = 0
    P_PREFIX = 1              # text*
    P_SUFFIX = 2              # *text
    P_GLOB = 3                # anything else with a *

# What a key of the index is made of; see worker/policy/rule_index.py.
cdef enum KeyKind:
    K_PATH = 1                # the whole path
    K_PREFIX = 2
    K_SUFFIX = 3              # of the path, hashed from its end
    K_HOST = 4                # the whole host, lower case, without port
    K_HOST_SUFFIX = 5         # hashed from its end
    K_HOST_PATH = 6           # both
    K_HOST_PREFIX = 7         # whole host and a prefix of the path
    K_HEADER = 8              # a field's name
    K_HEADER_VALUE = 9        # name and whole value

cdef class RuleSet:
    cdef readonly int count
    cdef int[:, ::1] rules                # a row per rule: where its conditions are
    cdef int[:, ::1] patterns             # kind, place in text, size
    cdef int[:, ::1] headers              # name hash, pattern of the name, pattern of the value or -1
    cdef int[:, ::1] queries              # pattern of the name, pattern of the value or -1
    cdef unsigned char[::1] text
    cdef long long[::1] keys              # hash table; 0: free
    cdef int[::1] bucket_first, bucket_end
    cdef int key_mask
    cdef int[::1] members                 # rules by bucket, ascending
    cdef int residue_first, residue_end   # rules under no key
    cdef unsigned char[::1] prefix_sizes, suffix_sizes, host_suffix_sizes   # by size: bit 0 a key, bit 1 one with the host
    cdef bint by_host, by_path, by_host_path, by_header, by_value
    cdef unsigned long long header_bits   # of the low six bits of indexed names' hashes
    cdef int host_at, host_size           # of the request at hand, relative to the head
    cdef int first(self, unsigned char[::1] view, Head* head, long long path, int path_size) except -2
    cdef int probe(self, unsigned long long key, int best, unsigned char[::1] view, Head* head, long long path, int path_size) except -2
    cdef int by_paths(self, unsigned long long host, int best, unsigned char[::1] view, Head* head, long long path, int path_size) except -2
    cdef int by_hosts(self, unsigned long long* host, int best, unsigned char[::1] view, Head* head, long long path, int path_size) except -2
    cdef int by_headers(self, int best, unsigned char[::1] view, Head* head, long long path, int path_size) except -2
    cdef bint matches(self, int rule, unsigned char[::1] view, Head* head, long long path, int path_size) except -1
    cdef bint pattern(self, int index, unsigned char[::1] view, long long at, int size, bint fold) except -1
    cdef bint glob(self, long long pattern, int pattern_size, unsigned char[::1] view, long long at, int size, bint fold) except -1
    cdef bint header(self, int row, unsigned char[::1] view, Head* head) except -1
    cdef bint query(self, int row, unsigned char[::1] view, Head* head) except -1
    cdef int find_host(self, unsigned char[::1] view, Head* head) except -1

cdef unsigned long long mix(int kind, unsigned long long left, unsigned long long right) noexcept

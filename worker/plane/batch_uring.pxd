# The batch with one io_uring submission for all reads of a turn, and one for all writes.
from worker.plane.batch cimport Batch
from worker.plane.syscalls cimport iovec, msghdr
from worker.plane.uring cimport io_uring_cqe, io_uring_params, io_uring_sqe

cdef enum:
    NOT_DONE = -(1 << 30)                  # an outcome that the ring did not give: the plain call is made

# A ring used as a way to make many system calls in one: what was prepared is over when `run` returns.
cdef class Ring:
    cdef int fd                            # -1: of no use (any more)
    cdef char* queues                      # the mapping of both queues
    cdef size_t queues_bytes
    cdef unsigned int* taken               # of submissions: moved by the kernel
    cdef unsigned int* given               # moved by us
    cdef unsigned int* seen                # of completions: moved by us
    cdef unsigned int* done                # moved by the kernel
    cdef io_uring_sqe* entries
    cdef io_uring_cqe* results
    cdef unsigned int entry_count, result_count
    cdef unsigned int next                 # number of the next operation
    cdef int set_up(self, unsigned int flags) except -1          # 0, or errno
    cdef bint map_queues(self, io_uring_params* params) except -1
    cdef int prepare(self, int opcode, int fd, void* at, size_t size, unsigned int flags, long long mark) except -1
    cdef int run(self, long long[::1] outcome) except -1
    cdef int reap(self, long long[::1] outcome) except -1
    cdef int take_back(self, long long[::1] outcome, unsigned int first, int missing) except -1
    cdef int give_up(self) except -1

cdef class UringBatch(Batch):
    cdef Ring ring
    cdef public int few                    # so many connections cost less by plain calls
    cdef unsigned int flags                # of every operation
    cdef long long[::1] outcome            # of each operation
    cdef iovec vectors[2048]               # 8 for each of BATCH connections
    cdef msghdr messages[256]
    cdef int prove(self) except -1
    cdef int prepare_send(self, int i) except -1

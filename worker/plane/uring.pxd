# io_uring through the kernel's own header: the structures, three system calls, and the ring's two ordered words.
from worker.plane.syscalls cimport iovec

cdef extern from *:
    """
    #include <linux/io_uring.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    /* headers older than the kernel that runs: an unknown flag is refused there, and then we do without */
    #ifndef IORING_SETUP_SUBMIT_ALL
    #define IORING_SETUP_SUBMIT_ALL (1U << 7)
    #endif
    #ifndef IORING_SETUP_SINGLE_ISSUER
    #define IORING_SETUP_SINGLE_ISSUER (1U << 12)
    #endif
    #ifndef IORING_SETUP_DEFER_TASKRUN
    #define IORING_SETUP_DEFER_TASKRUN (1U << 13)
    #endif
    #ifndef __NR_io_uring_setup
    #define __NR_io_uring_setup 425
    #define __NR_io_uring_enter 426
    #endif
    static inline int pingpy_uring_setup(unsigned entries, struct io_uring_params *params) {
        return (int)syscall(__NR_io_uring_setup, entries, params);
    }
    static inline int pingpy_uring_enter(int ring, unsigned submit, unsigned wait, unsigned flags) {
        return (int)syscall(__NR_io_uring_enter, ring, submit, wait, flags, NULL, 0);
    }
    static inline unsigned pingpy_load_acquire(unsigned *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static inline void pingpy_store_release(unsigned *word, unsigned value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    """
    int pingpy_uring_setup(unsigned int entries, io_uring_params* params) nogil
    int pingpy_uring_enter(int ring, unsigned int submit, unsigned int wait, unsigned int flags) nogil
    unsigned int pingpy_load_acquire(unsigned int* word) nogil
    void pingpy_store_release(unsigned int* word, unsigned int value) nogil

cdef extern from "<linux/io_uring.h>" nogil:
    cdef struct io_uring_sqe:
        unsigned char opcode
        int fd
        unsigned long long addr
        unsigned int len
        unsigned int msg_flags
        unsigned long long user_data
    cdef struct io_uring_cqe:
        unsigned long long user_data
        int res
    cdef struct io_sqring_offsets:
        unsigned int head, tail, array
    cdef struct io_cqring_offsets:
        unsigned int head, tail, cqes
    cdef struct io_uring_params:
        unsigned int sq_entries, cq_entries
        unsigned int flags, features
        io_sqring_offsets sq_off
        io_cqring_offsets cq_off
    enum:
        IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_ASYNC_CANCEL
        IORING_ENTER_GETEVENTS
        IORING_SETUP_SUBMIT_ALL, IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN
        IORING_OFF_SQ_RING, IORING_OFF_SQES, IORING_FEAT_SINGLE_MMAP

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void* address, size_t size)
    enum: PROT_READ, PROT_WRITE, MAP_SHARED, MAP_POPULATE
    void* MAP_FAILED

# Pipes that hold body bytes on their way from one socket to another, inside the kernel.

cdef class Pipe:
    cdef int out_fd, in_fd                 # bytes come out of the first and go into the second
    cdef long long room                    # what it holds at most
    cdef long long inside                  # what it holds now
    cdef long long fill(self, int fd, long long most) noexcept      # from a socket: bytes, 0 at its end, -errno
    cdef long long drain(self, int fd) noexcept                     # to a socket: bytes, -errno

cdef class Pipes:
    cdef list spare                        # of Pipe, empty
    cdef readonly long long passed         # bytes that ever went through one
    cdef Pipe take(self)                   # None: there is none to be had
    cdef int give_back(self, Pipe pipe) except -1

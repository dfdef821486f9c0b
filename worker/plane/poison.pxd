cdef extern from "poison.h" nogil:
    void pingpy_poison(void* start, size_t size)
    void pingpy_unpoison(void* start, size_t size)

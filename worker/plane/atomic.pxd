# Atomic operations on cells of the shared memory; callers take the address of a checked view's element.
cdef extern from *:
    """
    static inline int pingpy_atomic_add(int *cell, int amount) {
        return __atomic_add_fetch(cell, amount, __ATOMIC_RELAXED);
    }
    static inline int pingpy_atomic_get(int *cell) { return __atomic_load_n(cell, __ATOMIC_RELAXED); }
    static inline void pingpy_atomic_set(int *cell, int value) { __atomic_store_n(cell, value, __ATOMIC_RELAXED); }
    /* for a count of changes: who sees the new count sees what was written before it */
    static inline void pingpy_atomic_bump(int *cell) { __atomic_add_fetch(cell, 1, __ATOMIC_RELEASE); }
    static inline int pingpy_atomic_seen(int *cell) { return __atomic_load_n(cell, __ATOMIC_ACQUIRE); }
    static inline long long pingpy_atomic_get_word(long long *cell) {
        return __atomic_load_n(cell, __ATOMIC_ACQUIRE);
    }
    static inline void pingpy_atomic_set_word(long long *cell, long long value) {
        __atomic_store_n(cell, value, __ATOMIC_RELEASE);
    }
    /* 1: the cell holds the key now, put there by us or by somebody else; 0: it holds another one */
    static inline int pingpy_atomic_claim(long long *cell, long long key) {
        long long found = 0;
        return __atomic_compare_exchange_n(cell, &found, key, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
            || found == key;
    }
    static inline void pingpy_prefetch(void *place) { __builtin_prefetch(place, 1); }
    """
    int pingpy_atomic_add(int* cell, int amount) noexcept nogil
    int pingpy_atomic_get(int* cell) noexcept nogil
    void pingpy_atomic_set(int* cell, int value) noexcept nogil
    void pingpy_atomic_bump(int* cell) noexcept nogil
    int pingpy_atomic_seen(int* cell) noexcept nogil
    long long pingpy_atomic_get_word(long long* cell) noexcept nogil
    void pingpy_atomic_set_word(long long* cell, long long value) noexcept nogil
    int pingpy_atomic_claim(long long* cell, long long key) noexcept nogil
    void pingpy_prefetch(void* place) noexcept nogil       # into the cache, to be written; never faults

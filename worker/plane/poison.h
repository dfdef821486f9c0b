/* Tells AddressSanitizer which blocks of the arena are in use; nothing in an ordinary build. */
#ifndef PINGPY_POISON_H
#define PINGPY_POISON_H
#include <stddef.h>
#if defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(void const volatile *, size_t);
void __asan_unpoison_memory_region(void const volatile *, size_t);
#define pingpy_poison(p, n) __asan_poison_memory_region((p), (n))
#define pingpy_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define pingpy_poison(p, n) ((void)(p), (void)(n))
#define pingpy_unpoison(p, n) ((void)(p), (void)(n))
#endif
#endif

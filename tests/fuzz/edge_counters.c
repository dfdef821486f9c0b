/* What gcc's -fsanitize-coverage=trace-pc,trace-cmp calls, in the form that libFuzzer reads: counters of edges, and operands
 * of comparisons passed on by tail calls, so that libFuzzer sees the caller's address. */
#include <dlfcn.h>
#include <stdint.h>

#define COUNTERS 65536

static uint8_t counters[COUNTERS];
static struct {
    uintptr_t pc, flags;
} places[COUNTERS];

void __sanitizer_cov_trace_pc(void) {
    static __thread uintptr_t last;
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ (last >> 1)) * 0x9E3779B97F4A7C15u;
    counters[edge >> 48]++;
    last = here;
}

#define PASS_ON(name, type)                                     \
    static void name##_nothing(type one, type other) {          \
        (void)one, (void)other;                                 \
    }                                                           \
    static void (*name)(type, type) = name##_nothing;           \
    void __sanitizer_cov_trace_##name(type one, type other) {   \
        name(one, other);                                       \
    }

PASS_ON(cmp1, uint8_t)
PASS_ON(cmp2, uint16_t)
PASS_ON(cmp4, uint32_t)
PASS_ON(cmp8, uint64_t)
PASS_ON(const_cmp1, uint8_t)
PASS_ON(const_cmp2, uint16_t)
PASS_ON(const_cmp4, uint32_t)
PASS_ON(const_cmp8, uint64_t)

/* libFuzzer has no use for these. */
void __sanitizer_cov_trace_cmpf(float one, float other) { (void)one, (void)other; }
void __sanitizer_cov_trace_cmpd(double one, double other) { (void)one, (void)other; }
void __sanitizer_cov_trace_switch(uint64_t value, void *cases) { (void)value, (void)cases; }

#define FIND(name) name = dlsym(fuzzer, "__sanitizer_cov_trace_" #name)

/* Find libFuzzer's functions in its library, and tell it where the counters are. */
void announce(const char *library) {
    void *fuzzer = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void (*counters_init)(void *, void *) = dlsym(fuzzer, "__sanitizer_cov_8bit_counters_init");
    void (*places_init)(void *, void *) = dlsym(fuzzer, "__sanitizer_cov_pcs_init");
    for (int i = 0; i < COUNTERS; i++) places[i].pc = (uintptr_t)&counters[i];
    counters_init(counters, counters + COUNTERS);
    places_init(places, places + COUNTERS);
    FIND(cmp1), FIND(cmp2), FIND(cmp4), FIND(cmp8);
    FIND(const_cmp1), FIND(const_cmp2), FIND(const_cmp4), FIND(const_cmp8);
}

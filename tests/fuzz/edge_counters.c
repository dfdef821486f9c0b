/* Counts edges of code that gcc built with -fsanitize-coverage=trace-pc in the form that libFuzzer reads. */
#include <stdint.h>

#define COUNTERS 65536

static uint8_t counters[COUNTERS];
static struct {
    uintptr_t pc, flags;
} places[COUNTERS];

void __sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end);
void __sanitizer_cov_pcs_init(const uintptr_t *begin, const uintptr_t *end);

void __sanitizer_cov_trace_pc(void) {
    static __thread uintptr_t last;
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ (last >> 1)) * 0x9E3779B97F4A7C15u;
    counters[edge >> 48]++;
    last = here;
}

__attribute__((constructor)) static void announce(void) {
    for (int i = 0; i < COUNTERS; i++) places[i].pc = (uintptr_t)&counters[i];
    __sanitizer_cov_8bit_counters_init(counters, counters + COUNTERS);
    __sanitizer_cov_pcs_init((uintptr_t *)places, (uintptr_t *)(places + COUNTERS));
}

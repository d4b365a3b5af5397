// Pseudorandom numbers of xorshift64* (Vigna 2016), in [0, 1).
#include <stdint.h>

static inline float uniform(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12; x ^= x << 25; x ^= x >> 27;
  *state = x;
  return (x * 0x2545F4914F6CDD1DULL >> 40) * (1.0f / 16777216.0f);
}

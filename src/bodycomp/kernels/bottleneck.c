/* The 1x1 convolution of a dense layer with the norm and activation before it, forward and back.
 *
 * It reads all features that came before, up to ten times what it writes. A tile of rows is
 * normalized in the first cache and multiplied there: neither the activated features nor their
 * gradient are ever in memory. */
#include "sums.h"

#define TOGETHER 8 /* rows, and */
#define WIDEST 3   /* vectors of columns whose sums are in registers at once */
#define TILE 64    /* rows that stay in the cache */

typedef float v16u __attribute__((vector_size(64), may_alias, aligned(4)));

static inline int64_t padded_to(int64_t count, int64_t multiple) {
    return (count + multiple - 1) / multiple * multiple;
}
static inline v16 broadcast_pair(const uint16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (v16)((i16x32){0} + pair);
}
static inline v16 multiply_pairs(v16 sum, v16 a, v16 b) {
#if defined(__AVX512BF16__)
    return (v16)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    i16x32 high = (i16x32){0} + (int32_t)0xffff0000;
    v16 odd = (v16)((i16x32)a & high) * (v16)((i16x32)b & high);
    return sum + (v16)((u16x32)a << 16) * (v16)((u16x32)b << 16) + odd;
#endif
}

/* Threads that the next kernel of the calling thread may use. */
int kernel_threads(void) { return omp_get_max_threads(); }

#define T_BF16
#include "bottleneck_rows.h"
#undef T_BF16
#include "bottleneck_rows.h"

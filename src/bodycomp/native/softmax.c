/* What segmentation losses need of the softmax over all pixels, and its gradient, in one pass each.
 *
 * Probabilities are never stored. The same number of threads gives the same numbers. */
#include <math.h>
#include <omp.h>

#include "rows.h"

#define MAX_CLASSES 8
#define BLOCK 256 /* pixels whose sums are kept in float32 before they go to float64 */

static inline float value_f32(float x) { return x; }
static inline float stored_f32(float x) { return x; }
static inline float value_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline uint16_t stored_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#define NOT_ANNOTATED 255 /* anatomy.NOT_ANNOTATED_LABEL */
static inline i16x32 labels(const uint8_t *truth, int n) { /* -1: not annotated, or a lane beyond n */
    i16x32 v = (i16x32){0} - 1;
    for (int i = 0; i < n; i++) v[i] = truth[i] == NOT_ANNOTATED ? -1 : truth[i];
    return v;
}
/* e to the power of x <= 0, within two units in the last place: x = n ln 2 + r, and a polynomial
 * for e^r, |r| <= ln 2 / 2. NaN gives NaN. */
static inline v16 exponential(v16 x) {
    v16 low = pick(x < -87.0f, splat(-87.0f), x);
    i16x32 n = __builtin_convertvector(low * 1.44269504f - 0.5f, i16x32);
    v16 whole = __builtin_convertvector(n, v16);
    v16 r = low - whole * 0.693359375f + whole * 2.12194440e-4f;
    v16 p = splat(1.98412698e-4f);
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 5.0e-1f;
    p = p * r * r + r + 1.0f;
    return (v16)((i16x32)p + (n << 23));
}

#define T_BF16
#include "softmax_rows.h"
#undef T_BF16
#include "softmax_rows.h"

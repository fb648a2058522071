/* The 1x1 convolution of a dense layer; see bottleneck.c. Included once per type. */
#include "rows.h"

#undef STEP
#undef BROADCAST
#undef MULTIPLY
#if defined(T_BF16)
#define STEP 2 /* values that one multiplication takes along the sum */
#define BROADCAST(p) broadcast_pair(p)
#define MULTIPLY(sum, a, b) multiply_pairs(sum, a, b)
#else
#define STEP 1
#define BROADCAST(p) splat(*(p))
#define MULTIPLY(sum, a, b) ((sum) + (a) * (b))
#endif

/* out[8][width * 16] (+)= a[8][steps * STEP] . packed[steps][vectors][16][STEP] */
static inline __attribute__((always_inline)) void NAME(product)(
    const T *a, int64_t lda, const v16 *packed, int64_t vectors, int width, int64_t steps,
    float *out, int64_t ldo, int add) {
    v16 sum[TOGETHER][WIDEST];
    for (int r = 0; r < TOGETHER; r++)
        for (int n = 0; n < width; n++)
            sum[r][n] = add ? *(const v16u *)(out + r * ldo + n * LANES) : splat(0);
    for (int64_t k = 0; k < steps; k++) {
        v16 b[WIDEST];
        for (int n = 0; n < width; n++) b[n] = packed[k * vectors + n];
        for (int r = 0; r < TOGETHER; r++) {
            v16 factor = BROADCAST(a + r * lda + k * STEP);
            for (int n = 0; n < width; n++) sum[r][n] = MULTIPLY(sum[r][n], factor, b[n]);
        }
    }
    for (int r = 0; r < TOGETHER; r++)
        for (int n = 0; n < width; n++) *(v16u *)(out + r * ldo + n * LANES) = sum[r][n];
}

/* The same for `rows` (a multiple of 8) rows and all columns. */
static void NAME(multiply)(const T *a, int64_t lda, const v16 *packed, int64_t vectors,
                           int64_t steps, float *out, int64_t ldo, int64_t rows, int add) {
    for (int64_t n = 0; n < vectors; n += WIDEST)
        for (int64_t r = 0; r < rows; r += TOGETHER) {
            const T *from = a + r * lda;
            float *to = out + r * ldo + n * LANES;
            if (vectors - n >= 3) NAME(product)(from, lda, packed + n, vectors, 3, steps, to, ldo, add);
            else if (vectors - n == 2) NAME(product)(from, lda, packed + n, vectors, 2, steps, to, ldo, add);
            else NAME(product)(from, lda, packed + n, vectors, 1, steps, to, ldo, add);
        }
}

/* Lay out [count][channels] for `multiply`: rows of the sum side by side, missing ones zero. */
static void NAME(pack)(const T *x, int64_t ld, int64_t count, int64_t channels, v16 *packed) {
    int64_t vectors = (channels + LANES - 1) / LANES, steps = (count + STEP - 1) / STEP;
    for (int64_t k = 0; k < steps; k++)
        for (int64_t c = 0; c < channels; c += LANES) {
            int n = lanes(channels, c);
            const T *first = x + k * STEP * ld + c;
#if defined(T_BF16)
            u16x32 low = (u16x32)load_bf16(first, n) >> 16;
            u16x32 high = k * STEP + 1 < count ? (u16x32)load_bf16(first + ld, n) : (u16x32){0};
            packed[k * vectors + c / LANES] = (v16)(low | high);
#else
            packed[k * vectors + c / LANES] = load_f32(first, n);
#endif
        }
}

/* Turn [count][channels] round: [channels][TILE], missing values zero. */
static void NAME(turn)(const T *x, int64_t ld, int64_t count, int64_t channels, T *turned) {
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t r = 0; r < count; r++) turned[c * TILE + r] = x[r * ld + c];
        for (int64_t r = count; r < TILE; r++) turned[c * TILE + r] = 0;
    }
}

/* out = act(x * scale + shift) . weight^T
 * x (rows, channels) with row length ld; weight (outputs, channels); out (rows, outputs). */
void NAME(bottleneck_forward)(const T *x, int64_t ldx, const float *scale, const float *shift,
                              float slope, const T *turned_weight, T *out, int64_t rows,
                              int64_t channels, int64_t outputs) {
    int64_t vectors = (outputs + LANES - 1) / LANES, steps = (channels + STEP - 1) / STEP;
    int64_t padded = padded_to(channels, LANES);
    v16 packed[steps * vectors];
    NAME(pack)(turned_weight, outputs, channels, outputs, packed);
#pragma omp parallel
    {
        T active[TILE * padded];
        float result[TILE * vectors * LANES] __attribute__((aligned(64)));
        memset(active, 0, sizeof active);
#pragma omp for schedule(static)
        for (int64_t start = 0; start < rows; start += TILE) {
            int64_t count = rows - start < TILE ? rows - start : TILE;
            for (int64_t r = 0; r < count; r++)
                for (int64_t c = 0; c < channels; c += LANES) {
                    int n = lanes(channels, c);
                    v16 v = LOAD(x + (start + r) * ldx + c, n) * load_f32(scale + c, n);
                    STORE(active + r * padded + c,
                          activate(v + load_f32(shift + c, n), slope), n);
                }
            NAME(multiply)(active, padded, packed, vectors, steps, result, vectors * LANES,
                           padded_to(count, TOGETHER), 0);
            for (int64_t r = 0; r < count; r++)
                for (int64_t c = 0; c < outputs; c += LANES) {
                    int n = lanes(outputs, c);
                    STORE(out + (start + r) * outputs + c,
                          load_f32(result + r * vectors * LANES + c, n), n);
                }
        }
    }
}

/* The way back: with g = (dout . weight) * act'(x * scale + shift)
 * dz += scale * g; sums of g and of g * (x - mean) per channel; dweight = dout^T . act(...).
 * `room` holds outputs * channels float32 per thread, in multiples of 8 and 16. */
void NAME(bottleneck_backward)(const T *dout, const T *x, int64_t ldx, const float *scale,
                               const float *shift, float slope, const float *mean,
                               const T *weight, T *dz, int64_t lddz, double *sums,
                               float *room, float *dweight, int64_t rows, int64_t channels,
                               int64_t outputs) {
    int64_t padded = padded_to(channels, LANES), vectors = padded / LANES;
    int64_t steps = (outputs + STEP - 1) / STEP, lines = padded_to(outputs, TOGETHER);
    v16 packed[steps * vectors];
    NAME(pack)(weight, channels, outputs, channels, packed);
    PARTIAL_SUMS(2 * channels)
#pragma omp parallel
    {
        double *own = OWN_SUMS;
        float *own_weight = room + omp_get_thread_num() * lines * padded;
        int64_t wide = padded_to(outputs, 2);
        T given[TILE * wide], turned[lines * TILE], active[TILE * padded];
        float back[TILE * padded] __attribute__((aligned(64))), recent[2 * channels];
        v16 packed_active[TILE / STEP * vectors];
        memset(own_weight, 0, (size_t)(lines * padded) * sizeof(float));
        memset(given, 0, sizeof given);
        memset(turned, 0, sizeof turned);
        memset(recent, 0, sizeof recent);
#pragma omp for schedule(static)
        for (int64_t start = 0; start < rows; start += TILE) {
            int64_t count = rows - start < TILE ? rows - start : TILE;
            for (int64_t r = 0; r < count; r++)
                memcpy(given + r * wide, dout + (start + r) * outputs, (size_t)outputs * sizeof(T));
            NAME(multiply)(given, wide, packed, vectors, steps, back, padded,
                           padded_to(count, TOGETHER), 0);
            for (int64_t r0 = 0; r0 < count; r0 += GROUP) {
                int64_t r1 = r0 + GROUP < count ? r0 + GROUP : count;
                for (int64_t c = 0; c < channels; c += LANES) {
                    int n = lanes(channels, c);
                    v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n);
                    v16 m = load_f32(mean + c, n), sum = {0}, moment = {0};
                    for (int64_t r = r0; r < r1; r++) {
                        v16 v = LOAD(x + (start + r) * ldx + c, n), a = v * s + t;
                        v16 g = derive(*(const v16 *)(back + r * padded + c), a, slope);
                        T *into = dz + (start + r) * lddz + c;
                        STORE(into, LOAD(into, n) + s * g, n);
                        STORE(active + r * padded + c, activate(a, slope), n);
                        sum += g;
                        moment += g * (v - m);
                    }
                    add_recent(recent + c, sum, n);
                    add_recent(recent + channels + c, moment, n);
                }
            }
            flush(own, recent, 2 * channels);
            NAME(turn)(given, wide, count, outputs, turned);
            NAME(pack)(active, padded, count, channels, packed_active);
            NAME(multiply)(turned, TILE, packed_active, vectors, (count + STEP - 1) / STEP,
                           own_weight, padded, lines, 1);
        }
    }
    COLLECT_SUMS(sums, 2 * channels)
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t c = 0; c < channels; c++) {
            float total = 0;
            for (int t = 0; t < threads; t++) total += room[(t * lines + o) * padded + c];
            dweight[o * channels + c] = total;
        }
}

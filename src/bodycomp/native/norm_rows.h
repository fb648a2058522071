/* Batch norm and activation over channels-last rows; see norm.c. Included once per type. */
#include "rows.h"

/* Mean and variance (biased) of each channel. With `add` the rows become x + add first. */
void NAME(channel_moments)(T *x, int64_t ldx, const T *add, int64_t ldadd, int64_t rows,
                           int64_t channels, double *mean, double *variance) {
    /* Sums of x - shift: near the mean, so that the variance does not vanish in rounding. */
    float shift[channels];
    for (int64_t c = 0; c < channels; c += LANES) {
        int n = lanes(channels, c);
        v16 first = LOAD(x + c, n);
        if (add) first = STORED(first + LOAD(add + c, n));
        store_f32(shift + c, first, n);
    }
    PARTIAL_SUMS(2 * channels)
#pragma omp parallel
    {
        double *own = OWN_SUMS;
        int64_t begin, end;
        own_rows(rows, &begin, &end);
        float recent[2 * channels];
        memset(recent, 0, sizeof recent);
        for (int64_t r0 = begin; r0 < end; r0 += GROUP) {
            int64_t r1 = r0 + GROUP < end ? r0 + GROUP : end;
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 k = load_f32(shift + c, n), sum = {0}, square = {0};
                for (int64_t r = r0; r < r1; r++) {
                    v16 v = LOAD(x + r * ldx + c, n);
                    if (add) {
                        v = STORED(v + LOAD(add + r * ldadd + c, n));
                        STORE(x + r * ldx + c, v, n);
                    }
                    v -= k;
                    sum += v;
                    square += v * v;
                }
                add_recent(recent + c, sum, n);
                add_recent(recent + channels + c, square, n);
            }
            if ((r0 - begin) % CHUNK == CHUNK - GROUP || r1 == end)
                flush(own, recent, 2 * channels);
        }
    }
    double total[2 * channels];
    COLLECT_SUMS(total, 2 * channels)
    for (int64_t c = 0; c < channels; c++) {
        double m = total[c] / rows, v = total[channels + c] / rows - m * m;
        mean[c] = shift[c] + m;
        variance[c] = v < 0 ? 0 : v; /* NaN stays NaN */
    }
}

/* y = act(x * scale + shift), act(v) = v above zero, slope * v below. */
void NAME(normalise_activate)(const T *x, int64_t ldx, const float *scale, const float *shift,
                              float slope, T *y, int64_t ldy, int64_t rows, int64_t channels) {
#pragma omp parallel
    {
        int64_t begin, end;
        own_rows(rows, &begin, &end);
        for (int64_t r0 = begin; r0 < end; r0 += GROUP) {
            int64_t r1 = r0 + GROUP < end ? r0 + GROUP : end;
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n);
                for (int64_t r = r0; r < r1; r++)
                    STORE(y + r * ldy + c, activate(LOAD(x + r * ldx + c, n) * s + t, slope), n);
            }
        }
    }
}

/* The same, and the 2 x 2 maxima of the result; rows and columns are even. */
void NAME(normalise_activate_pool)(const T *x, const float *scale, const float *shift, float slope,
                                   T *y, T *pooled, int64_t images, int64_t height, int64_t width,
                                   int64_t channels) {
    int64_t line = width * channels;
#pragma omp parallel for schedule(static)
    for (int64_t pair = 0; pair < images * (height / 2); pair++) {
        const T *top = x + 2 * pair * line;
        T *out = y + 2 * pair * line, *best = pooled + pair * (line / 2);
        for (int64_t w = 0; w < width; w += 2)
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n), v[4];
                for (int i = 0; i < 4; i++) {
                    int64_t at = (i / 2) * line + (w + i % 2) * channels + c;
                    v[i] = activate(LOAD(top + at, n) * s + t, slope);
                    STORE(out + at, v[i], n);
                }
                STORE(best + (w / 2) * channels + c,
                      larger(larger(v[0], v[1]), larger(v[2], v[3])), n);
            }
    }
}

/* g = dy * act'(x * scale + shift) and its sums of g and of g * (x - mean) per channel. */
void NAME(activation_backward)(const T *dy, int64_t lddy, const T *x, int64_t ldx,
                               const float *scale, const float *shift, float slope,
                               const float *mean, T *g, int64_t ldg, double *sums, int64_t rows,
                               int64_t channels) {
    PARTIAL_SUMS(2 * channels)
#pragma omp parallel
    {
        double *own = OWN_SUMS;
        int64_t begin, end;
        own_rows(rows, &begin, &end);
        float recent[2 * channels];
        memset(recent, 0, sizeof recent);
        for (int64_t r0 = begin; r0 < end; r0 += GROUP) {
            int64_t r1 = r0 + GROUP < end ? r0 + GROUP : end;
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n);
                v16 m = load_f32(mean + c, n), sum = {0}, product = {0};
                for (int64_t r = r0; r < r1; r++) {
                    v16 v = LOAD(x + r * ldx + c, n);
                    v16 d = derive(LOAD(dy + r * lddy + c, n), v * s + t, slope);
                    STORE(g + r * ldg + c, d, n);
                    sum += d;
                    product += d * (v - m);
                }
                add_recent(recent + c, sum, n);
                add_recent(recent + channels + c, product, n);
            }
            if ((r0 - begin) % CHUNK == CHUNK - GROUP || r1 == end)
                flush(own, recent, 2 * channels);
        }
    }
    COLLECT_SUMS(sums, 2 * channels)
}

/* The same where the activated features went to `dy` and, pooled 2 x 2, to `dpooled`.
 * The first of equal maxima receives the gradient, as in PyTorch. */
void NAME(activation_backward_pool)(const T *dy, const T *dpooled, const T *x, const float *scale,
                                    const float *shift, float slope, const float *mean, T *g,
                                    double *sums, int64_t images, int64_t height, int64_t width,
                                    int64_t channels) {
    int64_t line = width * channels, pairs = images * (height / 2);
    PARTIAL_SUMS(2 * channels)
#pragma omp parallel
    {
        double *own = OWN_SUMS;
        int64_t begin, end;
        own_rows(pairs, &begin, &end);
        for (int64_t pair = begin; pair < end; pair++) {
            int64_t base = 2 * pair * line;
            const T *dbest = dpooled + pair * (line / 2);
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n);
                v16 m = load_f32(mean + c, n), sum = {0}, product = {0};
                for (int64_t w = 0; w < width; w += 2) {
                    v16 z[4], a[4], y[4];
                    for (int i = 0; i < 4; i++) {
                        z[i] = LOAD(x + base + (i / 2) * line + (w + i % 2) * channels + c, n);
                        a[i] = z[i] * s + t;
                        y[i] = STORED(activate(a[i], slope));
                    }
                    v16 best = larger(larger(y[0], y[1]), larger(y[2], y[3]));
                    v16 rest = LOAD(dbest + (w / 2) * channels + c, n);
                    for (int i = 0; i < 4; i++) {
                        int64_t at = base + (i / 2) * line + (w + i % 2) * channels + c;
                        i16x32 is_best = y[i] == best;
                        v16 d = LOAD(dy + at, n) + pick(is_best, rest, splat(0));
                        rest = pick(is_best, splat(0), rest);
                        d = derive(d, a[i], slope);
                        STORE(g + at, d, n);
                        sum += d;
                        product += d * (z[i] - m);
                    }
                }
                add_sums(own + c, sum, n);
                add_sums(own + channels + c, product, n);
            }
        }
    }
    COLLECT_SUMS(sums, 2 * channels)
}

/* dx = factor * g + constant + slope * (x - mean), per channel; dx may be g. */
void NAME(norm_backward)(const T *g, int64_t ldg, const T *x, int64_t ldx, const float *factor,
                         const float *constant, const float *slope, const float *mean, T *dx,
                         int64_t lddx, int64_t rows, int64_t channels) {
#pragma omp parallel
    {
        int64_t begin, end;
        own_rows(rows, &begin, &end);
        for (int64_t r0 = begin; r0 < end; r0 += GROUP) {
            int64_t r1 = r0 + GROUP < end ? r0 + GROUP : end;
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 f = load_f32(factor + c, n), k = load_f32(constant + c, n);
                v16 b = load_f32(slope + c, n), m = load_f32(mean + c, n);
                for (int64_t r = r0; r < r1; r++) {
                    v16 v = LOAD(g + r * ldg + c, n) * f + k;
                    STORE(dx + r * lddx + c, v + b * (LOAD(x + r * ldx + c, n) - m), n);
                }
            }
        }
    }
}

/* dz += scale * g with g and its sums as in activation_backward; g itself is not kept. */
void NAME(accumulate_backward)(const T *dy, int64_t lddy, const T *x, int64_t ldx,
                               const float *scale, const float *shift, float slope,
                               const float *mean, T *dz, int64_t lddz, double *sums,
                               int64_t rows, int64_t channels) {
    PARTIAL_SUMS(2 * channels)
#pragma omp parallel
    {
        double *own = OWN_SUMS;
        int64_t begin, end;
        own_rows(rows, &begin, &end);
        float recent[2 * channels];
        memset(recent, 0, sizeof recent);
        for (int64_t r0 = begin; r0 < end; r0 += GROUP) {
            int64_t r1 = r0 + GROUP < end ? r0 + GROUP : end;
            for (int64_t c = 0; c < channels; c += LANES) {
                int n = lanes(channels, c);
                v16 s = load_f32(scale + c, n), t = load_f32(shift + c, n);
                v16 m = load_f32(mean + c, n), sum = {0}, product = {0};
                for (int64_t r = r0; r < r1; r++) {
                    v16 v = LOAD(x + r * ldx + c, n);
                    v16 d = derive(LOAD(dy + r * lddy + c, n), v * s + t, slope);
                    T *into = dz + r * lddz + c;
                    STORE(into, LOAD(into, n) + s * d, n);
                    sum += d;
                    product += d * (v - m);
                }
                add_recent(recent + c, sum, n);
                add_recent(recent + channels + c, product, n);
            }
            if ((r0 - begin) % CHUNK == CHUNK - GROUP || r1 == end)
                flush(own, recent, 2 * channels);
        }
    }
    COLLECT_SUMS(sums, 2 * channels)
}

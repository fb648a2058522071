/* Batch norm and activation over channels-last rows; see norm.c. Included once per type. */
#include "rows.h"

/* Mean and variance (biased) of each channel. */
void NAME(channel_moments)(const T *x, int64_t ldx, int64_t rows, int64_t channels, double *mean,
                           double *variance) {
    /* Sums of x - shift: near the mean, so that the variance does not vanish in rounding. */
    float shift[channels];
    for (int64_t c = 0; c < channels; c += LANES) {
        int n = lanes(channels, c);
        store_f32(shift + c, LOAD(x + c, n), n);
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
                    v16 v = LOAD(x + r * ldx + c, n) - k;
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
void NAME(normalize_activate)(const T *x, int64_t ldx, const float *scale, const float *shift,
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

/* Training images from their files' form to varied network input, in one pass per sample:
 * window -> affine sampling -> smoothing or sharpening -> contrast and brightness -> noise -> clamp.
 *
 * The meaning is that of data/augmentation.py. Images are interpolated, labels take the nearest
 * one. Noise follows from the sample's seed and the pixel's number, so that neither threads nor the
 * order of samples change a value. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Mirrored in data/compiled_augmentation.py. */
struct augmentation {
    const void *images;          /* (samples, rows, columns) int16 HU or uint8 grey levels */
    const uint8_t *labels;       /* as images, or NULL */
    float *varied;               /* as images, float32 in [0, white] */
    uint8_t *moved;              /* as labels */
    const float *along_row;      /* (samples, 2, columns): source x and y of each column, and */
    const float *along_column;   /* (samples, 2, rows): what each row adds, in pixels; or NULL */
    const float *grey;           /* (samples, 4): sharpness, contrast, offset, noise */
    const uint32_t *seeds;       /* (samples,) */
    int64_t samples, rows, columns;
    int32_t bytes;               /* of a source pixel: 2 or 1 */
    int32_t low, width;          /* window: low becomes 0, low + width becomes white */
    float white;
    int32_t threads;
};

/* What a thread works in. The plane holds windowed pixels with black around them, two neighbours
 * to an entry: a position then costs two loads, and none of them is outside. */
struct workshop {
    uint32_t *plane;
    float *ring[3], *tall, *fx, *fy;
    uint32_t *top, *bottom;
    int32_t *at;
    uint16_t *line;
};

static int32_t clamp(int32_t v, int32_t low, int32_t high) {
    return v < low ? low : v > high ? high : v;
}

static void window_line(const struct augmentation *a, int64_t sample, int64_t row, uint16_t *out) {
    int64_t n = a->columns, start = (sample * a->rows + row) * n;
    if (a->bytes == 2) {
        const int16_t *in = (const int16_t *)a->images + start;
        for (int64_t c = 0; c < n; c++) out[c] = (uint16_t)clamp(in[c] - a->low, 0, a->width);
    } else {
        const uint8_t *in = (const uint8_t *)a->images + start;
        for (int64_t c = 0; c < n; c++) out[c] = (uint16_t)clamp(in[c] - a->low, 0, a->width);
    }
}

static void fill_plane(const struct augmentation *a, int64_t sample, struct workshop *w) {
    int64_t n = a->columns, stride = n + 2;
    memset(w->plane, 0, (size_t)stride * sizeof(uint32_t));
    memset(w->plane + (a->rows + 1) * stride, 0, (size_t)(2 * stride) * sizeof(uint32_t));
    w->line[0] = w->line[n + 1] = w->line[n + 2] = 0;
    for (int64_t r = 0; r < a->rows; r++) {
        uint32_t *out = w->plane + (r + 1) * stride;
        window_line(a, sample, r, w->line + 1);
        for (int64_t k = 0; k < stride; k++)
            out[k] = w->line[k] | (uint32_t)w->line[k + 1] << 16;
    }
}

static void sample_line(const struct augmentation *a, int64_t sample, int64_t row,
                        struct workshop *w, float *restrict out) {
    int64_t n = a->columns, stride = n + 2;
    const float *x_of = a->along_row + sample * 2 * n, *y_of = x_of + n;
    const float *shift = a->along_column + sample * 2 * a->rows;
    float x_shift = shift[row], y_shift = shift[a->rows + row];
    float right = (float)n, down = (float)a->rows;
    float *restrict fx = w->fx, *restrict fy = w->fy;
    int32_t *restrict at = w->at;
    for (int64_t c = 0; c < n; c++) {
        float x = x_shift + x_of[c], y = y_shift + y_of[c];
        x = x < -1 ? -1 : x > right ? right : x;
        y = y < -1 ? -1 : y > down ? down : y;
        float x0 = floorf(x), y0 = floorf(y);
        fx[c] = x - x0;
        fy[c] = y - y0;
        at[c] = ((int32_t)y0 + 1) * (int32_t)stride + (int32_t)x0 + 1;
    }
    uint32_t *restrict top = w->top, *restrict bottom = w->bottom;
    const uint32_t *plane = w->plane;
    for (int64_t c = 0; c < n; c++) {
        top[c] = plane[at[c]];
        bottom[c] = plane[at[c] + stride];
    }
    for (int64_t c = 0; c < n; c++) {
        float a0 = (float)(int32_t)(top[c] & 0xffff), a1 = (float)(int32_t)(top[c] >> 16);
        float b0 = (float)(int32_t)(bottom[c] & 0xffff), b1 = (float)(int32_t)(bottom[c] >> 16);
        float above = a0 + fx[c] * (a1 - a0), below = b0 + fx[c] * (b1 - b0);
        out[c] = above + fy[c] * (below - above);
    }
}

static void move_labels(const struct augmentation *a, int64_t sample, struct workshop *w) {
    int64_t n = a->columns;
    const uint8_t *in = a->labels + sample * a->rows * n;
    const float *x_of = a->along_row + sample * 2 * n, *y_of = x_of + n;
    const float *shift = a->along_column + sample * 2 * a->rows;
    int32_t *restrict at = w->at;
    for (int64_t r = 0; r < a->rows; r++) {
        uint8_t *out = a->moved + (sample * a->rows + r) * n;
        float x_shift = shift[r], y_shift = shift[a->rows + r];
        for (int64_t c = 0; c < n; c++) {
            float x = rintf(x_shift + x_of[c]), y = rintf(y_shift + y_of[c]);
            int inside = x >= 0 && x < (float)n && y >= 0 && y < (float)a->rows;
            at[c] = inside ? (int32_t)y * (int32_t)n + (int32_t)x : -1;
        }
        for (int64_t c = 0; c < n; c++) out[c] = at[c] < 0 ? 0 : in[at[c]];
    }
}

/* One line of windowed pixels, in units of the window, edges repeated once. */
static void make_line(const struct augmentation *a, int64_t sample, int64_t row,
                      struct workshop *w) {
    int64_t n = a->columns;
    float *restrict out = w->ring[row % 3] + 1;
    if (a->along_row) {
        sample_line(a, sample, row, w, out);
    } else {
        window_line(a, sample, row, w->line);
        for (int64_t c = 0; c < n; c++) out[c] = (float)(int32_t)w->line[c];
    }
    out[-1] = out[0];
    out[n] = out[n - 1];
}

/* 32 well-mixed bits (lowbias32 of C. Wellons) as four bytes, whose sum is near to normal. */
static inline float noise_of(uint32_t pixel, uint32_t seed) {
    uint32_t h = (pixel * 0x9e3779b9u) ^ seed;
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    h ^= h >> 16;
    uint32_t pairs = (h & 0x00ff00ffu) + ((h >> 8) & 0x00ff00ffu);
    int32_t sum = (int32_t)((pairs & 0xffffu) + (pairs >> 16));
    return (float)(sum - 510);
}

#define NOISE_UNIT 147.80053f /* standard deviation of the sum: sqrt(4 (256^2 - 1) / 12) */
#define CLIPPED 1e-4f         /* share of the window within which a pixel counts as black or white */

static void vary_line(const struct augmentation *a, int64_t sample, int64_t row,
                      struct workshop *w) {
    int64_t n = a->columns, last = a->rows - 1;
    const float *grey = a->grey + sample * 4;
    float sharpness = grey[0], contrast = grey[1], offset = grey[2], noise = grey[3] / NOISE_UNIT;
    float width = (float)a->width, white = a->white, unit = white / width;
    float dark = width * CLIPPED, bright = width - dark;
    const float *restrict up = w->ring[(row > 0 ? row - 1 : 0) % 3];
    const float *restrict here = w->ring[row % 3];
    const float *restrict down = w->ring[(row < last ? row + 1 : last) % 3];
    float *restrict tall = w->tall, *restrict out = a->varied + (sample * a->rows + row) * n;
    uint32_t seed = a->seeds[sample], first = (uint32_t)(row * n);
    if (sharpness != 0)
        for (int64_t c = 0; c < n + 2; c++) tall[c] = up[c] + 2 * here[c] + down[c];
    else
        for (int64_t c = 0; c < n + 2; c++) tall[c] = 4 * here[c];
    for (int64_t c = 0; c < n; c++) {
        float t = here[c + 1];
        float smooth = (tall[c] + 2 * tall[c + 1] + tall[c + 2]) * 0.0625f;
        float v = (t + sharpness * (smooth - t)) * unit;
        v = offset + contrast * v + noise * noise_of(first + (uint32_t)c, seed);
        v = v < 0 ? 0 : v > white ? white : v;
        float kept = t >= width ? white : t * unit;
        out[c] = t <= dark || t >= bright ? kept : v;
    }
}

static void vary_sample(const struct augmentation *a, int64_t sample, struct workshop *w) {
    if (a->along_row) fill_plane(a, sample, w);
    make_line(a, sample, 0, w);
    for (int64_t r = 0; r < a->rows; r++) {
        if (r + 1 < a->rows) make_line(a, sample, r + 1, w);
        vary_line(a, sample, r, w);
    }
    if (!a->labels) return;
    if (a->along_row) {
        move_labels(a, sample, w);
    } else {
        size_t size = (size_t)(a->rows * a->columns);
        memcpy(a->moved + (size_t)sample * size, a->labels + (size_t)sample * size, size);
    }
}

/* All of a thread's arrays in one block, each on a line of the cache. */
static void *furnish(const struct augmentation *a, struct workshop *w) {
    size_t line = ((size_t)a->columns + 2 + 31) / 16 * 16, plane = (size_t)(a->rows + 3) * (size_t)(a->columns + 2);
    uint32_t *block = NULL;
    if (posix_memalign((void **)&block, 64, ((plane + 15) / 16 * 16 + 10 * line) * sizeof(uint32_t)))
        return NULL;
    uint32_t *next = block;
    for (int i = 0; i < 3; i++, next += line) w->ring[i] = (float *)next;
    w->tall = (float *)next, next += line;
    w->fx = (float *)next, next += line;
    w->fy = (float *)next, next += line;
    w->top = next, next += line;
    w->bottom = next, next += line;
    w->at = (int32_t *)next, next += line;
    w->line = (uint16_t *)next, next += line;
    w->plane = next;
    return block;
}

/* Returns 0, or 1 if there was no memory; the result is not complete then. */
int bodycomp_augment(const struct augmentation *a) {
    int failed = 0;
#pragma omp parallel num_threads(a->threads)
    {
        struct workshop w;
        void *block = furnish(a, &w);
        if (!block) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(dynamic)
        for (int64_t sample = 0; sample < a->samples; sample++)
            if (block) vary_sample(a, sample, &w);
        free(block);
    }
    return failed;
}

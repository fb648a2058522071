/* Softmax over the classes of channels-last logits; see softmax.c. Included once per type. */
#include "rows.h"

/* Read sixteen pixels' logits, subtract their maximum and raise e to them; returns their sums. */
static v16 NAME(exponentials)(const T *x, int classes, int n, v16 *centred, v16 *powers) {
    v16 top = splat(-INFINITY), sum = {0};
    for (int k = 0; k < classes; k++) {
        v16 v = {0};
        for (int i = 0; i < n; i++) v[i] = NAME(value)(x[i * classes + k]);
        centred[k] = v;
        top = pick(v > top, v, top);
    }
    for (int k = 0; k < classes; k++) {
        centred[k] -= top;
        powers[k] = exponential(centred[k]);
        sum += powers[k];
    }
    return sum;
}

/* Over all pixels that are annotated: sum of -log(probability of the true class), and per class the sums of
 * probabilities where it is true, of probabilities, and of pixels where it is true. */
void NAME(softmax_sums)(const T *x, const uint8_t *truth, int64_t pixels, int64_t classes,
                        double *cross_entropy, double *overlap, double *predicted, double *size) {
    int64_t count = 3 * classes + 1, apart = count + 8;
    int threads = omp_get_max_threads();
    double partial[threads * apart];
    memset(partial, 0, sizeof partial);
#pragma omp parallel
    {
        double *own = partial + omp_get_thread_num() * apart;
        int64_t begin = pixels * omp_get_thread_num() / omp_get_num_threads();
        int64_t end = pixels * (omp_get_thread_num() + 1) / omp_get_num_threads();
        for (int64_t start = begin; start < end; start += BLOCK) {
            int64_t stop = start + BLOCK < end ? start + BLOCK : end;
            v16 sums[3 * MAX_CLASSES], centred[MAX_CLASSES], powers[MAX_CLASSES];
            v16 entropy = {0}, product = splat(1);
            memset(sums, 0, sizeof sums);
            for (int64_t p = start; p < stop; p += LANES) {
                int n = stop - p < LANES ? (int)(stop - p) : LANES;
                i16x32 label = labels(truth + p, n);
                v16 sum = NAME(exponentials)(x + p * classes, classes, n, centred, powers);
                product *= pick(label >= 0, sum, splat(1)); /* the others take no part */
                v16 inverse = 1 / sum;
                for (int k = 0; k < classes; k++) {
                    i16x32 is_true = label == k;
                    v16 share = pick(label >= 0, powers[k] * inverse, splat(0));
                    entropy -= pick(is_true, centred[k], splat(0));
                    sums[3 * k] += pick(is_true, share, splat(0));
                    sums[3 * k + 1] += share;
                    sums[3 * k + 2] += pick(is_true, splat(1), splat(0));
                }
            }
            for (int i = 0; i < LANES; i++) own[0] += entropy[i] + logf(product[i]);
            for (int k = 0; k < 3 * classes; k++)
                for (int i = 0; i < LANES; i++) own[1 + k] += sums[k][i];
        }
    }
    double total[3 * MAX_CLASSES + 1] = {0};
    for (int64_t i = 0; i < count; i++)
        for (int t = 0; t < threads; t++) total[i] += partial[t * apart + i];
    *cross_entropy = total[0];
    for (int64_t k = 0; k < classes; k++) {
        overlap[k] = total[1 + 3 * k];
        predicted[k] = total[2 + 3 * k];
        size[k] = total[3 + 3 * k];
    }
}

/* dx of entropy * cross_entropy + sum(d_overlap * overlap) + sum(d_predicted * predicted). */
void NAME(softmax_backward)(const T *x, const uint8_t *truth, int64_t pixels, int64_t classes,
                            float entropy, const float *d_overlap, const float *d_predicted,
                            T *dx) {
#pragma omp parallel for schedule(static)
    for (int64_t start = 0; start < pixels; start += BLOCK) {
        int64_t stop = start + BLOCK < pixels ? start + BLOCK : pixels;
        v16 centred[MAX_CLASSES], shares[MAX_CLASSES], slopes[MAX_CLASSES];
        for (int64_t p = start; p < stop; p += LANES) {
            int n = stop - p < LANES ? (int)(stop - p) : LANES;
            i16x32 label = labels(truth + p, n);
            v16 sum = NAME(exponentials)(x + p * classes, classes, n, centred, shares);
            v16 mean = {0};
            for (int k = 0; k < classes; k++) {
                shares[k] /= sum;
                slopes[k] = splat(d_predicted[k]) + pick(label == k, splat(d_overlap[k]), splat(0));
                mean += shares[k] * slopes[k];
            }
            for (int k = 0; k < classes; k++) {
                v16 wrong = shares[k] - pick(label == k, splat(1), splat(0));
                v16 d = entropy * wrong + shares[k] * (slopes[k] - mean);
                d = pick(label >= 0, d, splat(0));
                for (int i = 0; i < n; i++) dx[(p + i) * classes + k] = NAME(stored)(d[i]);
            }
        }
    }
}

/* What the kernels over rows share: activations, and sums per thread.
 *
 * Sums are kept per thread and added up in the order of threads, so that the same number of threads
 * gives the same numbers. */
#ifndef BODYCOMP_SUMS
#define BODYCOMP_SUMS
#include <omp.h>

#include "rows.h"

#define GROUP 8  /* rows taken together: few enough that memory is read in order */
#define CHUNK 64 /* rows whose sums are kept in float32 before they go to float64 */

static inline void own_rows(int64_t rows, int64_t *begin, int64_t *end) {
    int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    *begin = rows * thread / threads;
    *end = rows * (thread + 1) / threads;
}
static inline v16 activate(v16 v, float slope) { return pick(v > 0, v, v * slope); }
static inline v16 derive(v16 dy, v16 v, float slope) { return pick(v > 0, dy, dy * slope); }
static inline void add_recent(float *into, v16 v, int n) {
    store_f32(into, load_f32(into, n) + v, n);
}
static inline void flush(double *into, float *recent, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        into[i] += recent[i];
        recent[i] = 0;
    }
}
static inline void add_sums(double *into, v16 v, int n) {
    for (int i = 0; i < n; i++) into[i] += v[i];
}

/* Sums of each thread stand apart by a cache line at least. */
#define PARTIAL_SUMS(count)                      \
    int64_t apart = (count) + 8;                 \
    int threads = omp_get_max_threads();         \
    double partial[threads * apart];             \
    memset(partial, 0, sizeof partial);
#define OWN_SUMS (partial + omp_get_thread_num() * apart)
#define COLLECT_SUMS(total, count)                                              \
    for (int64_t i = 0; i < (count); i++) {                                     \
        (total)[i] = 0;                                                         \
        for (int t = 0; t < threads; t++) (total)[i] += partial[t * apart + i]; \
    }
#endif

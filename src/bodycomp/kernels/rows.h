/* Sixteen channels at a time of channels-last rows, as float32, whatever the rows are stored as.
 *
 * Include with T_BF16 defined for bfloat16 rows, without for float32 rows. Every name that depends
 * on the type goes through NAME(). GCC's vector types compile for any processor; where AVX-512 has
 * masked loads, the last channels of a row use them. */
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifndef BODYCOMP_ROWS_ONCE
#define BODYCOMP_ROWS_ONCE
#define LANES 16
typedef float v16 __attribute__((vector_size(64), may_alias));
typedef uint32_t u16x32 __attribute__((vector_size(64), may_alias));
typedef int32_t i16x32 __attribute__((vector_size(64), may_alias));
typedef uint16_t u16x16 __attribute__((vector_size(32), may_alias));

static inline v16 splat(float x) { return (v16){0} + x; }
static inline v16 pick(i16x32 yes, v16 a, v16 b) { /* a where yes, else b */
    return (v16)(((i16x32)a & yes) | ((i16x32)b & ~yes));
}
static inline v16 load_f32(const float *p, int n) {
#if defined(__AVX512F__)
    return n == LANES ? (v16)_mm512_loadu_ps(p)
                      : (v16)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    v16 v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
#endif
}
static inline void store_f32(float *p, v16 v, int n) {
#if defined(__AVX512F__)
    if (n == LANES) _mm512_storeu_ps(p, (__m512)v);
    else _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    memcpy(p, &v, (size_t)n * sizeof(float));
#endif
}
static inline v16 load_bf16(const uint16_t *p, int n) {
    u16x16 half = {0};
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    half = n == LANES ? (u16x16)_mm256_loadu_si256((const void *)p)
                      : (u16x16)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
    memcpy(&half, p, (size_t)n * sizeof(uint16_t));
#endif
    return (v16)(__builtin_convertvector(half, u16x32) << 16);
}
static inline u16x16 round_bf16(v16 v) { /* to nearest, ties to even; NaN stays NaN */
#if defined(__AVX512BF16__)
    return (u16x16)_mm512_cvtneps_pbh((__m512)v);
#else
    u16x32 bits = (u16x32)v, odd = (bits >> 16) & 1;
    u16x32 rounded = (bits + 0x7fff + odd) >> 16;
    u16x32 nan = (u16x32)(v != v);
    return __builtin_convertvector((rounded & ~nan) | (0x7fc0 & nan), u16x16);
#endif
}
static inline void store_bf16(uint16_t *p, v16 v, int n) {
    u16x16 half = round_bf16(v);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    if (n == LANES) _mm256_storeu_si256((void *)p, (__m256i)half);
    else _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)half);
#else
    memcpy(p, &half, (size_t)n * sizeof(uint16_t));
#endif
}
static inline int lanes(int64_t channels, int64_t at) {
    return channels - at < LANES ? (int)(channels - at) : LANES;
}
#endif

#undef T
#undef NAME
#undef LOAD
#undef STORE
#if defined(T_BF16)
#define T uint16_t
#define NAME(name) name##_bf16
#define LOAD load_bf16
#define STORE store_bf16
#else
#define T float
#define NAME(name) name##_f32
#define LOAD load_f32
#define STORE store_f32
#endif

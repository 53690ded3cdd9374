// Short vectors by the extension that GCC and Clang share. Included once for each instruction set, inside that set's
// namespace; SIM3DR_LANES is how many doubles that set works on at once: 2, 4 or 8.

template <typename Number, int COUNT>
struct VectorOf {
    typedef Number type __attribute__((vector_size(COUNT * sizeof(Number))));
};
using Float4 = VectorOf<float, 4>::type;
using Double4 = VectorOf<double, 4>::type;
using Int4 = VectorOf<int32_t, 4>::type;
using Long4 = VectorOf<int64_t, 4>::type;
using Floats = VectorOf<float, SIM3DR_LANES>::type;
using Ints = VectorOf<int32_t, SIM3DR_LANES>::type;
using Doubles = VectorOf<double, SIM3DR_LANES>::type;
using Longs = VectorOf<int64_t, SIM3DR_LANES>::type;

template <typename Vector>
SIM3DR_INLINE Vector load(const void* from) {
    Vector vector;
    __builtin_memcpy(&vector, from, sizeof(Vector));
    return vector;
}

template <typename Vector>
SIM3DR_INLINE void store(void* to, Vector vector) {
    __builtin_memcpy(to, &vector, sizeof(Vector));
}

template <typename Vector>
SIM3DR_INLINE Vector smaller(Vector a, Vector b) {
    return a < b ? a : b;
}

template <typename Vector>
SIM3DR_INLINE Vector larger(Vector a, Vector b) {
    return a > b ? a : b;
}

// Chosen elements of two vectors; the second one's count on from the first one's.
#if defined(__clang__) || __GNUC__ >= 12
#define SIM3DR_CHOOSE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
SIM3DR_INLINE Int4 indices_for(Float4, Int4 indices) { return indices; }
SIM3DR_INLINE Long4 indices_for(Double4, Int4 indices) { return __builtin_convertvector(indices, Long4); }
#define SIM3DR_CHOOSE(a, b, ...) __builtin_shuffle(a, b, indices_for(a, Int4{__VA_ARGS__}))
#endif

// GCC 12 makes several instructions of these conversions where there is one.
#if SIM3DR_LANES == 2
SIM3DR_INLINE Double4 widen(Float4 numbers) { return __builtin_convertvector(numbers, Double4); }
#else
SIM3DR_INLINE Double4 widen(Float4 numbers) { return _mm256_cvtps_pd(numbers); }
#endif
#if SIM3DR_LANES == 8
SIM3DR_INLINE Longs widen(Ints numbers) { return (Longs)_mm512_cvtepi32_epi64((__m256i)numbers); }
#else
SIM3DR_INLINE Longs widen(Ints numbers) { return __builtin_convertvector(numbers, Longs); }
#endif

// A block of pixels: all lanes in one row, or, with eight of them, two rows of four.
#if SIM3DR_LANES == 8
constexpr int BLOCK_WIDTH = 4, BLOCK_HEIGHT = 2;
constexpr Doubles BLOCK_COLUMNS = {0, 1, 2, 3, 0, 1, 2, 3}, BLOCK_ROWS = {0, 0, 0, 0, 1, 1, 1, 1};

SIM3DR_INLINE Longs load_block(const int64_t* from, int64_t stride) {
    const __m512i upper = _mm512_castsi256_si512(load<__m256i>(from));
    return (Longs)_mm512_inserti64x4(upper, load<__m256i>(from + stride), 1);
}
SIM3DR_INLINE Floats load_block(const float* from, int64_t stride) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(load<__m128>(from)), load<__m128>(from + stride), 1);
}
SIM3DR_INLINE void store_block(int64_t* to, int64_t stride, Longs vector) {
    store(to, _mm512_castsi512_si256((__m512i)vector));
    store(to + stride, _mm512_extracti64x4_epi64((__m512i)vector, 1));
}
SIM3DR_INLINE void store_block(float* to, int64_t stride, Floats vector) {
    store(to, _mm256_castps256_ps128(vector));
    store(to + stride, _mm256_extractf128_ps(vector, 1));
}

using Mask = __mmask8;
SIM3DR_INLINE Mask above(Doubles a, Doubles b) { return _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ); }
SIM3DR_INLINE Mask above(Longs a, Longs b) { return _mm512_cmpgt_epi64_mask((__m512i)a, (__m512i)b); }
SIM3DR_INLINE bool any(Mask mask) { return mask != 0; }
SIM3DR_INLINE Longs pick(Mask mask, Longs a, Longs b) {
    return (Longs)_mm512_mask_mov_epi64((__m512i)b, mask, (__m512i)a);
}
SIM3DR_INLINE Floats pick(Mask mask, Floats a, Floats b) { return _mm256_mask_mov_ps(b, mask, a); }
#else
constexpr int BLOCK_WIDTH = SIM3DR_LANES, BLOCK_HEIGHT = 1;
#if SIM3DR_LANES == 4
constexpr Doubles BLOCK_COLUMNS = {0, 1, 2, 3}, BLOCK_ROWS = {0, 0, 0, 0};
#else
constexpr Doubles BLOCK_COLUMNS = {0, 1}, BLOCK_ROWS = {0, 0};
#endif
SIM3DR_INLINE Longs load_block(const int64_t* from, int64_t) { return load<Longs>(from); }
SIM3DR_INLINE Floats load_block(const float* from, int64_t) { return load<Floats>(from); }
SIM3DR_INLINE void store_block(int64_t* to, int64_t, Longs vector) { store(to, vector); }
SIM3DR_INLINE void store_block(float* to, int64_t, Floats vector) { store(to, vector); }

using Mask = Longs;
SIM3DR_INLINE Mask above(Doubles a, Doubles b) { return a > b; }
SIM3DR_INLINE Mask above(Longs a, Longs b) { return a > b; }
SIM3DR_INLINE bool any(Mask mask) {
    int64_t found = 0;
    for (int lane = 0; lane < SIM3DR_LANES; ++lane) found |= mask[lane];
    return found != 0;
}
SIM3DR_INLINE Longs pick(Mask mask, Longs a, Longs b) { return mask ? a : b; }
SIM3DR_INLINE Floats pick(Mask mask, Floats a, Floats b) {
    return __builtin_convertvector(mask, Ints) ? a : b;
}
#endif

/* search/simd.c: see simd.h. Each call asks what the machine has: one load and a branch. */
#include "search/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static uint64_t within_avx512(
    const uint32_t *values, uint32_t from, uint32_t until)
{
	const __m512i low = _mm512_set1_epi32((int)from);
	const __m512i span = _mm512_set1_epi32((int)(until - from));
	uint64_t bits = 0;
	for (int i = 0; i < 4; i++) {
		__m512i value = _mm512_sub_epi32(_mm512_loadu_si512(values + 16 * i), low);
		bits |= (uint64_t)_mm512_cmple_epu32_mask(value, span) << (16 * i);
	}
	return bits;
}

__attribute__((target("avx2"))) static uint64_t within_avx2(
    const uint32_t *values, uint32_t from, uint32_t until)
{
	const __m256i low = _mm256_set1_epi32((int)from);
	const __m256i span = _mm256_set1_epi32((int)(until - from));
	uint64_t bits = 0;
	for (int i = 0; i < 8; i++) {
		__m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(values + 8 * i));
		value = _mm256_sub_epi32(value, low);
		__m256i in = _mm256_cmpeq_epi32(_mm256_min_epu32(value, span), value);
		unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(in));
		bits |= (uint64_t)mask << (8 * i);
	}
	return bits;
}

__attribute__((target("bmi2"))) static uint64_t deposit_bmi2(uint64_t bits, uint64_t places)
{
	return _pdep_u64(bits, places);
}
#endif

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vpopcntdq"))) static uint32_t count_both_avx512(
    const uint64_t *a, const uint64_t *b)
{
	__m512i sum = _mm512_setzero_si512();
	for (int i = 0; i < 8; i++) {
		__m512i both = _mm512_and_si512(
		    _mm512_loadu_si512(a + 8 * i), _mm512_loadu_si512(b + 8 * i));
		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(both));
	}
	return (uint32_t)_mm512_reduce_add_epi64(sum);
}
#endif

static uint64_t within_plain(const uint32_t *values, uint32_t from, uint32_t until)
{
	uint64_t bits = 0;
	for (int i = 0; i < 64; i++)
		bits |= (uint64_t)(values[i] - from <= until - from) << i;
	return bits;
}

static uint64_t deposit_plain(uint64_t bits, uint64_t places)
{
	uint64_t result = 0;
	for (; places != 0; places &= places - 1, bits >>= 1)
		result |= (bits & 1) != 0 ? places & -places : 0;
	return result;
}

uint64_t simd_within(const uint32_t values[64], uint32_t from, uint32_t until)
{
	if (from > until)
		return 0;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		return within_avx512(values, from, until);
	if (__builtin_cpu_supports("avx2"))
		return within_avx2(values, from, until);
#endif
	return within_plain(values, from, until);
}

uint64_t simd_deposit(uint64_t bits, uint64_t places)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("bmi2"))
		return deposit_bmi2(bits, places);
#endif
	return deposit_plain(bits, places);
}

void simd_above(const float values[128], float low, uint64_t bits[2])
{
	for (int half = 0; half < 2; half++) {
		const float *from = values + 64 * half;
		uint64_t above = 0;
#if defined(__x86_64__)
		__m128 limit = _mm_set1_ps(low);
		for (int i = 0; i < 16; i++) {
			__m128 is = _mm_cmpgt_ps(_mm_loadu_ps(from + 4 * i), limit);
			above |= (uint64_t)(unsigned)_mm_movemask_ps(is) << (4 * i);
		}
#else
		for (int i = 0; i < 64; i++)
			above |= (uint64_t)(from[i] > low) << i;
#endif
		bits[half] = above;
	}
}

#if defined(__x86_64__)
__attribute__((target("avx512f,popcnt"))) static uint32_t count_below_avx512(
    const uint32_t *values, uint32_t limit)
{
	const __m512i low = _mm512_set1_epi32((int)limit);
	uint32_t masks[4];
	for (int i = 0; i < 4; i++) {
		__mmask16 first = _mm512_cmplt_epu32_mask(_mm512_loadu_si512(values + 32 * i), low);
		__mmask16 second =
		    _mm512_cmplt_epu32_mask(_mm512_loadu_si512(values + 32 * i + 16), low);
		masks[i] = (uint32_t)first | (uint32_t)second << 16;
	}
	return (uint32_t)(__builtin_popcountll(masks[0] | (uint64_t)masks[1] << 32) +
	    __builtin_popcountll(masks[2] | (uint64_t)masks[3] << 32));
}

__attribute__((target("avx2"))) static uint32_t count_below_avx2(
    const uint32_t *values, uint32_t limit)
{
	const __m256i low = _mm256_set1_epi32((int)limit);
	__m256i others = _mm256_setzero_si256();
	for (int i = 0; i < 16; i++) {
		__m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(values + 8 * i));
		/* -1 where it is not below. */
		others = _mm256_sub_epi32(
		    others, _mm256_cmpeq_epi32(_mm256_max_epu32(value, low), value));
	}
	__m128i sum = _mm_add_epi32(
	    _mm256_castsi256_si128(others), _mm256_extracti128_si256(others, 1));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
	return 128 - (uint32_t)_mm_cvtsi128_si32(sum);
}
#endif

uint32_t simd_count_below(const uint32_t values[128], uint32_t limit)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		return count_below_avx512(values, limit);
	if (__builtin_cpu_supports("avx2"))
		return count_below_avx2(values, limit);
#endif
	uint32_t base = 0;
	for (uint32_t half = 64; half > 0; half /= 2)
		base += (values[base + half - 1] < limit) * half;
	return base + (values[base] < limit);
}

uint32_t simd_count_both(const uint64_t a[64], const uint64_t b[64])
{
	uint32_t count = 0;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512vpopcntdq"))
		return count_both_avx512(a, b);
#endif
	for (int i = 0; i < 64; i++)
		count += (uint32_t)__builtin_popcountll(a[i] & b[i]);
	return count;
}

#if defined(__x86_64__)
__attribute__((target("avx512bw"))) static void bytes_upto_avx512(
    const uint8_t *values, uint8_t limit, uint64_t *bits)
{
	const __m512i most = _mm512_set1_epi8((char)limit);
	for (int i = 0; i < 64; i++)
		bits[i] = _mm512_cmple_epu8_mask(_mm512_loadu_si512(values + 64 * i), most);
}

__attribute__((target("avx2"))) static void bytes_upto_avx2(
    const uint8_t *values, uint8_t limit, uint64_t *bits)
{
	const __m256i most = _mm256_set1_epi8((char)limit);
	for (int i = 0; i < 128; i++) {
		__m256i value = _mm256_loadu_si256((const __m256i *)(const void *)(values + 32 * i));
		__m256i is = _mm256_cmpeq_epi8(_mm256_min_epu8(value, most), value);
		uint64_t half = (uint32_t)_mm256_movemask_epi8(is);
		bits[i / 2] = i % 2 == 0 ? half : bits[i / 2] | half << 32;
	}
}
#endif

void simd_bytes_upto(const uint8_t values[4096], uint8_t limit, uint64_t bits[64])
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512bw")) {
		bytes_upto_avx512(values, limit, bits);
		return;
	}
	if (__builtin_cpu_supports("avx2")) {
		bytes_upto_avx2(values, limit, bits);
		return;
	}
#endif
	for (int i = 0; i < 64; i++)
		bits[i] = ~simd_bytes_above_64(values + 64 * i, limit);
}

#if defined(__x86_64__)
/* All of the filter in four registers. */
__attribute__((target("avx512f"))) static void filter_avx512(
    const uint32_t *filter, const uint32_t *values, uint64_t *bits)
{
	const __m512i a = _mm512_loadu_si512(filter), b = _mm512_loadu_si512(filter + 16);
	const __m512i c = _mm512_loadu_si512(filter + 32), d = _mm512_loadu_si512(filter + 48);
	const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31);
	const __m512i upper = _mm512_set1_epi32(SIMD_FILTER_BITS / 2);
	bits[0] = bits[1] = 0;
	for (int i = 0; i < 8; i++) {
		__m512i value = _mm512_loadu_si512(values + 16 * i);
		__m512i at = _mm512_srli_epi32(value, 5);
		__m512i word = _mm512_mask_blend_epi32(_mm512_test_epi32_mask(value, upper),
		    _mm512_permutex2var_epi32(a, at, b), _mm512_permutex2var_epi32(c, at, d));
		__m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(value, low));
		bits[i / 4] |= (uint64_t)_mm512_test_epi32_mask(word, bit) << (16 * (i % 4));
	}
}
#endif

void simd_filter(const uint32_t filter[SIMD_FILTER_BITS / 32], const uint32_t values[128],
    uint64_t bits[2])
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f")) {
		filter_avx512(filter, values, bits);
		return;
	}
#endif
	bits[0] = bits[1] = 0;
	for (int i = 0; i < 128; i++) {
		uint32_t at = values[i] % SIMD_FILTER_BITS;
		bits[i / 64] |= (uint64_t)(filter[at / 32] >> (at % 32) & 1) << (i % 64);
	}
}

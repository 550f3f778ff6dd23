/* search/similar_scan.c: a window of hashes compared with one, as fast as memory gives them. */
#include "search/similar_parts.h"

static void scan_portable(const uint8_t (*hashes)[SIMILAR_HASH_BYTES], const uint8_t *hash,
    uint32_t distance_max, uint64_t *found)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		uint64_t bits = 0;
		for (uint32_t i = 0; i < 64; i++)
			bits |= (uint64_t)(hash_distance(hashes[word * 64 + i], hash) <=
			            distance_max) << i;
		found[word] = bits;
	}
}

#ifdef __x86_64__
#include <immintrin.h>

/* Four sums of 64 bits, those of one hash: bits by nibbles (W. Muła, N. Kurz and D. Lemire,
 * "Faster population counts using AVX2 instructions", 2018). */
__attribute__((target("avx2"))) static inline __m256i sums_avx2(const uint8_t *at, __m256i hash)
{
	const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1,
	    1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i low = _mm256_set1_epi8(15);
	__m256i bits = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)at), hash);
	__m256i sum = _mm256_add_epi8(_mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low)),
	    _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low)));
	return _mm256_sad_epu8(sum, _mm256_setzero_si256());
}

__attribute__((target("avx2"))) static void scan_avx2(const uint8_t (*hashes)[SIMILAR_HASH_BYTES],
    const uint8_t *hash, uint32_t distance_max, uint64_t *found)
{
	const __m256i wanted = _mm256_loadu_si256((const __m256i *)(const void *)hash);
	const __m256i most = _mm256_set1_epi64x((int64_t)distance_max);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		uint64_t bits = 0;
		for (uint32_t i = 0; i < 64; i += 4) {
			const uint8_t *at = hashes[word * 64 + i];
			__m256i a = sums_avx2(at, wanted), b = sums_avx2(at + 32, wanted);
			__m256i c = sums_avx2(at + 64, wanted), d = sums_avx2(at + 96, wanted);
			/* {a0+a1, b0+b1, a2+a3, b2+b3}, and the same of c and d */
			__m256i ab = _mm256_add_epi64(
			    _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
			__m256i cd = _mm256_add_epi64(
			    _mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
			__m256i sums = _mm256_add_epi64(_mm256_permute2x128_si256(ab, cd, 0x20),
			    _mm256_permute2x128_si256(ab, cd, 0x31));
			int far = _mm256_movemask_pd(
			    _mm256_castsi256_pd(_mm256_cmpgt_epi64(sums, most)));
			bits |= (uint64_t)(~far & 15) << i;
		}
		found[word] = bits;
	}
}

#define AVX512 "avx512f,avx512vpopcntdq,avx512bw,avx512vl"

__attribute__((target(AVX512))) static inline __m512i sums_avx512(const uint8_t *at, __m512i hash)
{
	return _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(at), hash));
}

/* Two hashes a register; eight make eight sums. */
__attribute__((target(AVX512))) static void scan_avx512(
    const uint8_t (*hashes)[SIMILAR_HASH_BYTES], const uint8_t *hash, uint32_t distance_max,
    uint64_t *found)
{
	const __m512i wanted = _mm512_broadcast_i64x4(
	    _mm256_loadu_si256((const __m256i *)(const void *)hash));
	const __m512i most = _mm512_set1_epi64((int64_t)distance_max);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		uint64_t bits = 0;
		for (uint32_t i = 0; i < 64; i += 8) {
			const uint8_t *at = hashes[word * 64 + i];
			__m512i a = sums_avx512(at, wanted), b = sums_avx512(at + 64, wanted);
			__m512i c = sums_avx512(at + 128, wanted), d = sums_avx512(at + 192, wanted);
			/* Each pair of 64 bits summed: {a, b} alternate, two of each a hash. */
			__m512i ab = _mm512_add_epi64(
			    _mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
			__m512i cd = _mm512_add_epi64(
			    _mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
			/* Lanes of hashes: ab = a0 b0 | a0 b0 | a1 b1 | a1 b1 */
			__m512i even = _mm512_shuffle_i64x2(ab, cd, 0x88);
			__m512i odd = _mm512_shuffle_i64x2(ab, cd, 0xdd);
			__m512i sums = _mm512_add_epi64(even, odd);
			/* a0 b0 a1 b1 c0 d0 c1 d1: back in order */
			sums = _mm512_permutexvar_epi64(
			    _mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), sums);
			bits |= (uint64_t)_mm512_cmple_epu64_mask(sums, most) << i;
		}
		found[word] = bits;
	}
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

bool similar_scan_as(unsigned way, const uint8_t (*hashes)[SIMILAR_HASH_BYTES],
    const uint8_t *hash, uint32_t distance_max, uint64_t found[WINDOW_WORDS])
{
	ASSERT(way <= 2);
	if (way == 0) {
		scan_portable(hashes, hash, distance_max, found);
		return true;
	}
#ifdef __x86_64__
	if (way == 1 && __builtin_cpu_supports("avx2")) {
		scan_avx2(hashes, hash, distance_max, found);
		return true;
	}
	if (way == 2 && has_avx512()) {
		scan_avx512(hashes, hash, distance_max, found);
		return true;
	}
#endif
	return false;
}

void similar_scan(const uint8_t (*hashes)[SIMILAR_HASH_BYTES], const uint8_t *hash,
    uint32_t distance_max, uint64_t found[WINDOW_WORDS])
{
	for (unsigned way = 3; way-- > 0;)
		if (similar_scan_as(way, hashes, hash, distance_max, found))
			return;
}

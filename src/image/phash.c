/* image/phash.c: perceptual hashes; see analysis.h. */
#include "image/analysis.h"

#include <math.h>

enum { SIDE = ANALYSIS_SIDE, FREQUENCIES = 16 };

/* What rounding to 8 bits and mild compression may add to a frequency. */
static const float noise = 24;

/* Frequencies 1 to 16 along the rows, then along the columns. */
void phash_make(const float *grey, uint8_t out[PHASH_BYTES], uint8_t *quality)
{
	float waves[FREQUENCIES][SIDE], rows[SIDE][FREQUENCIES];
	for (unsigned u = 0; u < FREQUENCIES; u++)
		for (unsigned x = 0; x < SIDE; x++)
			waves[u][x] = (float)cos(M_PI / (2 * SIDE) * (2 * x + 1) * (u + 1));
	for (unsigned y = 0; y < SIDE; y++) {
		for (unsigned u = 0; u < FREQUENCIES; u++) {
			float sum = 0;
			for (unsigned x = 0; x < SIDE; x++)
				sum += grey[y * SIDE + x] * waves[u][x];
			rows[y][u] = sum;
		}
	}
	unsigned clear = 0;
	memset(out, 0, PHASH_BYTES);
	for (unsigned v = 0; v < FREQUENCIES; v++) {
		for (unsigned u = 0; u < FREQUENCIES; u++) {
			float sum = 0;
			for (unsigned y = 0; y < SIDE; y++)
				sum += rows[y][u] * waves[v][y];
			clear += fabsf(sum) > noise;
			if (sum > 0)
				out[(v * FREQUENCIES + u) / 8] |= (uint8_t)(1U << (u % 8));
		}
	}
	*quality = (uint8_t)(clear * 100 / PHASH_BITS);
}

static bool hash_bit(const uint8_t *hash, unsigned row, unsigned column)
{
	return (hash[(row * FREQUENCIES + column) / 8] >> (column % 8) & 1) != 0;
}

/* A mirrored picture has the odd frequencies with the other sign: bit 0 is frequency 1. */
void phash_turn(const uint8_t hash[PHASH_BYTES], unsigned turn, uint8_t out[PHASH_BYTES])
{
	uint8_t turned[PHASH_BYTES] = {0};
	ASSERT(turn < PHASH_TURNS);
	for (unsigned v = 0; v < FREQUENCIES; v++) {
		for (unsigned u = 0; u < FREQUENCIES; u++) {
			bool bit = turn & 4 ? hash_bit(hash, u, v) : hash_bit(hash, v, u);
			bit ^= (turn & 1) && u % 2 == 0;
			bit ^= (turn & 2) && v % 2 == 0;
			turned[(v * FREQUENCIES + u) / 8] |= (uint8_t)(bit << (u % 8));
		}
	}
	memcpy(out, turned, PHASH_BYTES);
}

unsigned phash_distance(const uint8_t a[PHASH_BYTES], const uint8_t b[PHASH_BYTES])
{
	unsigned distance = 0;
	for (unsigned i = 0; i < PHASH_BYTES; i += 8) {
		uint64_t x, y;
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		distance += (unsigned)__builtin_popcountll(x ^ y);
	}
	ASSERT(distance <= PHASH_BITS);
	return distance;
}

void phash_format(const uint8_t hash[PHASH_BYTES], char out[2 * PHASH_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < PHASH_BYTES; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
}

static int digit_of(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

bool phash_parse(struct span text, uint8_t out[PHASH_BYTES])
{
	if (text.len != 2 * PHASH_BYTES)
		return false;
	for (unsigned i = 0; i < PHASH_BYTES; i++) {
		int high = digit_of(text.ptr[2 * i]), low = digit_of(text.ptr[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

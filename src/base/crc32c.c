/* base/crc32c.c: see crc32c.h. ISA-L takes int lengths and a raw register. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

/* Folding pays from a few hundred bytes on: the head of a small record is shorter. */
enum { SHORT_MAX = 256 };

__attribute__((target("sse4.2"))) static uint32_t crc32c_short(uint32_t state, struct span bytes)
{
	uint64_t crc = state, word;
	const uint8_t *at = bytes.ptr, *end = bytes.ptr + bytes.len;
	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, sizeof(word));
		crc = _mm_crc32_u64(crc, word);
	}
	for (; at < end; at++)
		crc = _mm_crc32_u8((uint32_t)crc, *at);
	return (uint32_t)crc;
}

static bool crc32c_is_short(struct span bytes)
{
	return bytes.len <= SHORT_MAX && __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_short(uint32_t state, struct span bytes)
{
	(void)bytes;
	return state;
}

static bool crc32c_is_short(struct span bytes)
{
	return bytes.len == 0;
}
#endif

uint32_t crc32c(uint32_t crc, struct span bytes)
{
	enum { STEP = 1 << 30 };
	uint32_t state = ~crc;
	if (crc32c_is_short(bytes))
		return ~crc32c_short(state, bytes);
	while (bytes.len > 0) {
		int len = (int)(bytes.len < STEP ? bytes.len : STEP);
		state = crc32_iscsi((unsigned char *)(uintptr_t)bytes.ptr, len, state);
		bytes = span_slice(bytes, (size_t)len, bytes.len);
	}
	return ~state;
}

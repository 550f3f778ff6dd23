/* base/endian.h: unaligned loads and stores. Disk and wire formats are little-endian
 * unless a foreign format (JPEG, PNG, TIFF) says otherwise. */
#pragma once
#include <stdint.h>
#include <string.h>

#define ENDIAN_PAIR(bits) \
	static inline uint##bits##_t load_le##bits(const void *p) \
	{ \
		uint##bits##_t v; \
		memcpy(&v, p, sizeof(v)); \
		return v; \
	} \
	static inline uint##bits##_t load_be##bits(const void *p) \
	{ \
		return __builtin_bswap##bits(load_le##bits(p)); \
	} \
	static inline void store_le##bits(void *p, uint##bits##_t v) \
	{ \
		memcpy(p, &v, sizeof(v)); \
	} \
	static inline void store_be##bits(void *p, uint##bits##_t v) \
	{ \
		store_le##bits(p, __builtin_bswap##bits(v)); \
	}

ENDIAN_PAIR(16)
ENDIAN_PAIR(32)
ENDIAN_PAIR(64)
#undef ENDIAN_PAIR

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are little-endian");

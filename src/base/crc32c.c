/* base/crc32c.c: see crc32c.h. ISA-L takes int lengths and a raw register. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

uint32_t crc32c_long(uint32_t crc, struct span bytes)
{
	enum { STEP = 1 << 30 };
	uint32_t state = ~crc;
	while (bytes.len > 0) {
		int len = (int)(bytes.len < STEP ? bytes.len : STEP);
		state = crc32_iscsi((unsigned char *)(uintptr_t)bytes.ptr, len, state);
		bytes = span_slice(bytes, (size_t)len, bytes.len);
	}
	return ~state;
}

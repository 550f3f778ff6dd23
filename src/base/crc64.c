/* base/crc64.c: see crc64.h. ISA-L inverts the register before and after; Redis does not. */
#include "base/crc64.h"

#include <isa-l/crc64.h>

uint64_t crc64(struct span bytes)
{
	if (bytes.len == 0)
		return 0;
	return ~crc64_jones_refl(UINT64_MAX, bytes.ptr, bytes.len);
}

/* base/crc64.h: the CRC-64 that Redis puts behind a dump (D. Jones's polynomial, reflected), by ISA-L. */
#pragma once
#include "base/span.h"

/* Of "123456789": e9c6d914c4b8d9ca. */
uint64_t crc64(struct span bytes);

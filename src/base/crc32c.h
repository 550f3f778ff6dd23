/* base/crc32c.h: CRC-32C (Castagnoli), by ISA-L, which folds with (V)PCLMULQDQ and
 * falls back by itself where the processor cannot; short inputs by SSE4.2's instruction. */
#pragma once
#include "base/span.h"

/* Continues `crc` (0 to begin) over `bytes`. crc32c(crc32c(0, a), b) == crc32c(0, ab). */
uint32_t crc32c(uint32_t crc, struct span bytes);

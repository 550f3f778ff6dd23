/* cache/intset.h: integers in order, each in 2, 4 or 8 bytes: as many as the widest needs.
 *
 *   u8 width | integer ... (little-endian, two's complement, rising)
 *
 * A run without bytes is empty. Never narrows. The format is also that of dumps.
 */
#pragma once
#include "cache/packed.h"

uint32_t intset_count(const struct packed *set);
/* place < count. */
int64_t intset_get(const struct packed *set, uint32_t place);
/* Where it stands, or would stand. */
MUST_CHECK bool intset_find(const struct packed *set, int64_t number, uint32_t *place);
/* False: it was there already (was not there). */
bool intset_add(struct packed *set, struct memory *memory, int64_t number);
bool intset_remove(struct packed *set, struct memory *memory, int64_t number);
/* Whether foreign bytes are one. */
MUST_CHECK bool intset_check(struct span bytes);

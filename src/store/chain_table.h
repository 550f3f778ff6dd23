/* store/chain_table.h: the body of a chain's head: which records hold the parts of a long body.
 *
 * The head is a record marked RECORD_CHAINED; the table has {u64 LSN, u32 body bytes, u32 0} for
 * each part, in order. All parts but the last are whole chunks. Where a part lies is kept in
 * memory only (chain.c), since parts move.
 */
#pragma once
#include "store/record.h"

enum { CHAIN_PARTS_MAX = 1024, CHAIN_ENTRY = 16, CHAIN_PART_MIN = 4 * CHUNK_BYTES };

struct chain_part {
	uint64_t lsn;
	uint32_t body_bytes;
};

struct chain_part chain_table_get(struct span table, uint32_t index);
/* False if the bytes are no table. */
MUST_CHECK bool chain_table_check(struct span table, uint64_t *body_bytes);

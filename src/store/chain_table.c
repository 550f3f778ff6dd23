/* store/chain_table.c: see chain_table.h. */
#include "store/chain_table.h"

#include "base/endian.h"

struct chain_part chain_table_get(struct span table, uint32_t index)
{
	const uint8_t *at = table.ptr + (size_t)index * CHAIN_ENTRY;
	ASSERT((size_t)(index + 1) * CHAIN_ENTRY <= table.len);
	return (struct chain_part){.lsn = load_le64(at), .body_bytes = load_le32(at + 8)};
}

bool chain_table_check(struct span table, uint64_t *body_bytes)
{
	*body_bytes = 0;
	uint64_t count = table.len / CHAIN_ENTRY;
	if (count == 0 || count > CHAIN_PARTS_MAX || table.len % CHAIN_ENTRY != 0)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct chain_part part = chain_table_get(table, i);
		if (part.body_bytes == 0 || part.body_bytes > RECORD_BODY_MAX)
			return false;
		if (i + 1 < count && part.body_bytes % CHUNK_BYTES != 0)
			return false;
		*body_bytes += part.body_bytes;
	}
	return true;
}

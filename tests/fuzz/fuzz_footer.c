/* tests/fuzz/fuzz_footer.c: footers and their blocks, whatever their bytes are.
 *
 * The first byte chooses: a tail, a block as it lies on disk, or the raw items of a block; in
 * half of the cases checksums are made good first, so that the fuzzer gets past them.
 */
#include "base/crc32c.h"
#include "store/footer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct stamp stamp = {3, 77, 0};

static void fuzz_items(struct span raw)
{
	struct footer_base base = {0};
	struct footer_item item;
	size_t before = raw.len;
	while (footer_item_take(&raw, &base, &item) == OK) {
		if (raw.len >= before)
			abort();              /* it must get on */
		if (item.has_head && item.key.len + item.meta.len > FOOTER_HEAD_MAX)
			abort();
		before = raw.len;
	}
}

static void fuzz_tail(struct span bytes, bool repair)
{
	uint8_t sector[SECTOR] = {0};
	struct footer_tail tail;
	memcpy(sector, bytes.ptr, bytes.len < sizeof(sector) ? bytes.len : sizeof(sector));
	memcpy(&tail, sector, sizeof(tail));
	if (repair)
		footer_tail_write(sector, &tail, &stamp);
	if (footer_tail_parse(span_of(sector, SECTOR), &stamp, 1 << 20, &tail) != OK)
		return;
	uint64_t at = footer_blocks_at(1 << 20, tail.stored_bytes);
	if (at < SECTOR || at > footer_tail_at(1 << 20))
		abort();
}

static void fuzz_block(struct span bytes)
{
	static uint8_t raw[FOOTER_BLOCK_RAW];
	struct footer_block block;
	if (footer_block_peek(bytes, 0, &block) != OK)
		return;
	if (footer_block_parse(bytes, &stamp, &block, raw) == OK)
		fuzz_items(span_of(raw, block.raw_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW];
	if (size < 2)
		return 0;
	struct span rest = span_of(data + 1, size - 1);
	switch (data[0] & 3) {
	case 0:
		fuzz_tail(rest, (data[0] & 4) != 0);
		break;
	case 1:
		fuzz_block(rest);
		break;
	case 2:
		fuzz_items(rest);
		break;
	default:
		if (rest.len > FOOTER_BLOCK_RAW)
			return 0;
		fuzz_block(span_of(out, footer_block_write(out, &stamp, 0, 1, rest)));
	}
	return 0;
}

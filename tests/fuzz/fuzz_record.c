/* tests/fuzz/fuzz_record.c: the walk through a segment's bytes, whatever they are.
 *
 *   clang -std=gnu17 -g -O1 -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,address,undefined \
 *     tests/fuzz/fuzz_record.c src/store/{scan,record,block}.c src/base/{check,crc32c}.c -lisal
 *
 * The first byte chooses: a segment's walk (as the server does it, with repaired checksums
 * in half of the cases, so that the fuzzer gets past them), a segment header, a store file.
 */
#include "base/crc32c.h"
#include "store/chain_table.h"
#include "store/scan.h"

#include <stdlib.h>

enum { FUZZ_SEGMENT = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes every record and commit block that claims to be one valid. */
static void fuzz_repair(uint8_t *bytes)
{
	for (uint64_t at = SECTOR; at + COMMIT_BYTES <= FUZZ_SEGMENT; at += RECORD_ALIGN) {
		struct stamp stamp = {1, 2, at};
		struct record_header header;
		struct commit_block commit;
		memcpy(&header, bytes + at, sizeof(header));
		memcpy(&commit, bytes + at, sizeof(commit));
		uint32_t head_bytes = 0;
		if (header.magic == RECORD_MAGIC && header.key_bytes <= KEY_BYTES_MAX &&
		    header.meta_bytes <= META_BYTES_MAX && header.body_bytes <= RECORD_BODY_MAX)
			head_bytes = record_head_bytes(
			    header.key_bytes, header.meta_bytes, header.body_bytes);
		if (head_bytes > 0 && at + head_bytes <= FUZZ_SEGMENT)
			record_stamp(bytes + at, head_bytes, &stamp);
		if (header.magic == COMMIT_MAGIC && (uint64_t)commit.batch_sector * SECTOR <= at)
			commit_write(bytes + at, &commit, &stamp);
	}
}

static void fuzz_walk(const uint8_t *bytes)
{
	struct scan scan;
	scan_init(&scan, 1, 2, FUZZ_SEGMENT);
	for (;;) {
		struct span rest = span_of(bytes + scan.at, FUZZ_SEGMENT - scan.at);
		uint64_t before = scan.at;
		enum scan_step step = scan_next(&scan, rest);
		if (step == SCAN_END)
			return;
		if (step == SCAN_MORE)
			abort();              /* everything is there */
		if (step == SCAN_BAD)
			scan_skip(&scan, rest);
		if (scan.at <= before)
			abort();              /* it must get on */
		if (step != SCAN_RECORD)
			continue;
		struct span body = span_of(bytes + scan.record_at + scan.view.layout.body_at,
		    scan.view.header.body_bytes);
		bool good = record_check_chunks(scan.view.crcs, 0, body);
		uint64_t total;
		if (good && chain_table_check(body, &total) && total == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_header header;
	struct store_id id;
	if (size < 1)
		return 0;
	struct span rest = span_of(data + 1, size - 1);
	if (data[0] == 1)
		return segment_header_parse(rest, &header) == OK && header.bytes % SECTOR != 0;
	if (data[0] == 2)
		return store_file_parse(rest, &id) == OK && rest.len != STORE_FILE_BYTES;
	uint8_t *bytes = calloc(1, FUZZ_SEGMENT);
	if (bytes == NULL)
		abort();
	size_t len = rest.len < FUZZ_SEGMENT - SECTOR ? rest.len : FUZZ_SEGMENT - SECTOR;
	memcpy(bytes + SECTOR, rest.ptr, len);
	if (data[0] & 4)
		fuzz_repair(bytes);
	fuzz_walk(bytes);
	free(bytes);
	return 0;
}

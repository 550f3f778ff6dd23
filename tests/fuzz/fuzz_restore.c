/* tests/fuzz/fuzz_restore.c: what RESTORE is given, whatever its bytes are. The checksum is made right,
 * so that the fuzzer gets past it. What was accepted must be sound, and come back from its own dump. */
#include "base/crc64.h"
#include "base/endian.h"
#include "cache/rdb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void fuzz_value(struct span payload, enum entry_type type, struct memory *memory)
{
	struct value_limits limits = {
		.hash_entries = 8, .hash_bytes = 64, .set_entries = 8, .set_bytes = 64, .intset_entries = 8,
		.zset_entries = 8, .zset_bytes = 64, .list_size = 8,
	};
	struct value value, copy;
	struct buf dump;
	value_init(&value, type, memory);
	value_init(&copy, type, memory);
	buf_init(&dump, memory);
	if (rdb_load_value(payload, &value, &limits) == OK) {
		enum entry_type again;
		must(value.count > 0);
		rdb_dump_value(&value, &dump);
		must(rdb_check(buf_span(&dump), &again) == OK && again == type);
		must(rdb_load_value(buf_span(&dump), &copy, &limits) == OK);
		must(copy.count == value.count);
	}
	value_fini(&value);
	value_fini(&copy);
	buf_fini(&dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory = {0};
	struct buf payload;
	enum entry_type type;
	buf_init(&payload, &memory);
	buf_append(&payload, span_of(data, size));
	if (rdb_check(buf_span(&payload), &type) != OK) {
		uint8_t footer[10];
		store_le16(footer, 11);
		buf_append(&payload, span_of(footer, 2));
		store_le64(footer + 2, crc64(buf_span(&payload)));
		buf_append(&payload, span_of(footer + 2, 8));
	}
	if (rdb_check(buf_span(&payload), &type) == OK && type != ENTRY_STRING)
		fuzz_value(buf_span(&payload), type, &memory);
	if (rdb_check(buf_span(&payload), &type) == OK && type == ENTRY_STRING) {
		struct buf text;
		buf_init(&text, &memory);
		if (rdb_load_string(buf_span(&payload), &text) != OK)
			must(text.len == 0);
		buf_fini(&text);
	}
	buf_fini(&payload);
	must(memory.bytes == 0);
	return 0;
}

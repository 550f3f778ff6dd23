/* tests/fuzz/fuzz_value.c: dumps of values and operations on them, whatever their bytes are.
 *
 * The first byte chooses the type, the second the encoding and the limits, the third how many bytes are
 * the dump; the rest are operations. What was accepted must be sound: it is read in every way, and
 * its own dump must load again.
 */
#include "cache/ops.h"
#include "cache/value.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void ignore(void *ctx, struct span name, struct span data, double score)
{
	UNUSED(name);
	UNUSED(data);
	UNUSED(score);
	++*(uint64_t *)ctx;
}

static void fuzz_read(const struct value *value)
{
	struct walk walk;
	struct item item;
	uint64_t rank, scanned = 0, cursor = 0;
	double score;
	walk_init(&walk, value);
	while (walk_next(&walk)) {
		if (value->type == ENTRY_HASH)
			must(hash_get(value, walk.name.bytes, &item) &&
			    span_equal(item.bytes, walk.data.bytes));
		if (value->type == ENTRY_SET)
			must(set_has(value, walk.name.bytes));
		if (value->type == ENTRY_ZSET) {
			must(zset_score(value, walk.name.bytes, &score) && score == walk.score);
			must(zset_rank(value, walk.name.bytes, &rank) && rank + 1 == walk.place);
		}
	}
	must(walk.place == value->count);
	do
		if (value->type != ENTRY_LIST)
			cursor = value_scan(value, cursor, ignore, &scanned);
	while (cursor != 0);
	must(value->type == ENTRY_LIST || scanned == value->count);
}

static void fuzz_dump(const struct value *value, const struct value_limits *limits, struct memory *memory)
{
	struct value copy;
	struct buf dump;
	buf_init(&dump, memory);
	value_dump(value, &dump);
	value_init(&copy, value->type, memory);
	must(value_load(&copy, value->encoding, buf_span(&dump), limits) == OK);
	must(copy.count == value->count);
	value_fini(&copy);
	buf_fini(&dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory = {0};
	struct value value;
	if (size < 3)
		return 0;
	uint32_t most = data[1] & 16 ? 3 : 512;
	struct value_limits limits = {
		.hash_entries = most, .hash_bytes = 64, .set_entries = most, .set_bytes = 64,
		.intset_entries = most, .zset_entries = most, .zset_bytes = 64,
		.list_size = data[1] & 32 ? 2 : -2,
	};
	struct span rest = span_of(data + 3, size - 3), dump = span_slice(rest, 0, data[2]);
	value_init(&value, ENTRY_HASH + data[0] % 4, &memory);
	if (data[2] == 0 || value_load(&value, (data[1] & 15) % 5, dump, &limits) == OK) {
		fuzz_read(&value);
		enum err err = value_apply(&value, span_slice(rest, dump.len, rest.len), &limits, NULL, NULL);
		must(err == OK || err == ERR_CORRUPT);
		must(value.bytes == memory.bytes);
		fuzz_read(&value);
		fuzz_dump(&value, &limits, &memory);
	}
	value_fini(&value);
	must(memory.bytes == 0);
	return 0;
}

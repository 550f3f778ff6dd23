/* tests/unit/store/record_test.c: formats: records, commit blocks, headers. */
#include "base/memory.h"
#include "base/random.h"
#include "store/block.h"

#include <criterion/criterion.h>

static const struct stamp here = {7, 0x1234, 8192 + 64};

static uint32_t write_one(uint8_t *out, const struct stamp *stamp)
{
	const uint32_t crcs[2] = {11, 22};
	const struct record record = {
	    .type = RECORD_IMAGE,
	    .flags = RECORD_CONTINUES,
	    .db = 3,
	    .lsn = 99,
	    .refers = 5,
	    .expire_ms = -1,
	    .time_ms = 77,
	    .key = SPAN_LIT("cat"),
	    .meta = SPAN_LIT("metadata"),
	};
	record_write_stamped(out, &record, CHUNK_BYTES + 1, crcs, stamp);
	return record_head_bytes(3, 8, CHUNK_BYTES + 1);
}

Test(record, head_reads_back)
{
	uint8_t bytes[256];
	struct record_view view;
	uint32_t len = write_one(bytes, &here);
	cr_assert_eq(record_parse(span_of(bytes, len), &here, &view), OK);
	cr_assert_eq(view.header.lsn, 99);
	cr_assert_eq(view.header.db, 3);
	cr_assert_eq(view.header.expire_ms, -1);
	cr_assert(span_equal(view.key, SPAN_LIT("cat")));
	cr_assert(span_equal(view.meta, SPAN_LIT("metadata")));
	cr_assert_eq(view.crcs.len, 8);
	cr_assert_eq(
	    (here.offset + view.layout.body_at) % SECTOR, 0, "a long body starts on a sector");
	cr_assert_eq(view.layout.bytes, view.layout.body_at + CHUNK_BYTES + 1);
}

Test(record, every_single_bit_flip_is_noticed)
{
	uint8_t bytes[256];
	struct record_view view;
	uint32_t len = write_one(bytes, &here);
	for (uint32_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_assert_neq(
		    record_parse(span_of(bytes, sizeof(bytes)), &here, &view), OK, "bit %u", bit);
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	cr_assert_eq(record_parse(span_of(bytes, len), &here, &view), OK);
}

Test(record, is_valid_at_its_own_place_only)
{
	uint8_t bytes[256];
	struct record_view view;
	uint32_t len = write_one(bytes, &here);
	struct stamp other = here;
	other.offset += 64;
	cr_assert_eq(record_parse(span_of(bytes, len), &other, &view), ERR_CORRUPT);
	other = here;
	other.segment++;
	cr_assert_eq(record_parse(span_of(bytes, len), &other, &view), ERR_CORRUPT);
	other = here;
	other.nonce++;
	cr_assert_eq(record_parse(span_of(bytes, len), &other, &view), ERR_NOTFOUND);
}

Test(record, short_input_asks_for_more)
{
	uint8_t bytes[256];
	struct record_view view;
	uint32_t len = write_one(bytes, &here);
	cr_assert_eq(record_parse(span_of(bytes, 63), &here, &view), ERR_NOTFOUND);
	cr_assert_eq(record_parse(span_of(bytes, len - 1), &here, &view), ERR_AGAIN);
	cr_assert_eq(view.layout.head_bytes, len);
}

Test(record, absurd_lengths_are_refused)
{
	uint8_t bytes[256];
	struct record_view view;
	write_one(bytes, &here);
	struct record_header header;
	memcpy(&header, bytes, sizeof(header));
	header.key_bytes = KEY_BYTES_MAX + 1;
	memcpy(bytes, &header, sizeof(header));
	cr_assert_eq(record_parse(span_of(bytes, sizeof(bytes)), &here, &view), ERR_CORRUPT);
}

Test(record, marks_are_those_that_forbid_the_past)
{
	cr_assert(record_is_mark(RECORD_DELETE, 0));
	cr_assert(record_is_mark(RECORD_EXPIRE, 0));
	cr_assert(record_is_mark(RECORD_FLUSH, 0));
	cr_assert(record_is_mark(RECORD_VOID, 0));
	cr_assert(record_is_mark(RECORD_SETTING, 0));
	cr_assert(!record_is_mark(RECORD_SETTING, 5));
	cr_assert(!record_is_mark(RECORD_IMAGE, 0));
	cr_assert(!record_is_mark(RECORD_META, 0));
}

Test(commit_block, reads_back_at_its_place_only)
{
	uint8_t bytes[COMMIT_BYTES];
	struct commit_block in = {.count = 3, .durable_lsn = 55, .batch_sector = 2}, out;
	commit_write(bytes, &in, &here);
	cr_assert_eq(commit_parse(span_of(bytes, sizeof(bytes)), &here, &out), OK);
	cr_assert_eq(out.count, 3);
	cr_assert_eq(out.durable_lsn, 55);
	struct stamp other = here;
	other.offset += 64;
	cr_assert_eq(commit_parse(span_of(bytes, sizeof(bytes)), &other, &out), ERR_CORRUPT);
	for (uint32_t bit = 0; bit < 8 * COMMIT_BYTES; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_assert_neq(commit_parse(span_of(bytes, sizeof(bytes)), &here, &out), OK);
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

Test(segment_header, newer_version_is_told_from_corruption)
{
	static uint8_t sector[SECTOR];
	struct segment_header in = {.segment = 9, .nonce = 4, .bytes = 1 << 20}, out;
	segment_header_write(sector, &in);
	cr_assert_eq(segment_header_parse(span_of(sector, SECTOR), &out), OK);
	cr_assert_eq(out.segment, 9);
	sector[40] ^= 1;
	cr_assert_eq(segment_header_parse(span_of(sector, SECTOR), &out), ERR_CORRUPT);
	sector[0] = 0;
	cr_assert_eq(segment_header_parse(span_of(sector, SECTOR), &out), ERR_NOTFOUND);
}

Test(store_file, names_the_store)
{
	uint8_t bytes[STORE_FILE_BYTES];
	struct store_id in = {{1, 2, 3}}, out;
	store_file_write(bytes, &in);
	cr_assert_eq(store_file_parse(span_of(bytes, sizeof(bytes)), &out), OK);
	cr_assert_arr_eq(in.bytes, out.bytes, sizeof(in.bytes));
	bytes[17] ^= 4;
	cr_assert_eq(store_file_parse(span_of(bytes, sizeof(bytes)), &out), ERR_CORRUPT);
}

/* tests/unit/repl/frame_test.c: frames come back as they were written, and broken ones do not. */
#include "repl/frame.h"

#include "base/random.h"

#include <criterion/criterion.h>

static struct memory memory;

static struct record record_of(uint64_t lsn, struct span value)
{
	return (struct record){.type = RECORD_VALUE, .flags = RECORD_CONTINUES, .db = 3, .lsn = lsn,
	    .refers = 7, .expire_ms = -5, .time_ms = 1234567890123, .epoch = 9, .key = SPAN_LIT("key"),
	    .meta = SPAN_LIT("s"), .value = value};
}

Test(frame, records_come_back)
{
	struct buf payload = {.memory = &memory}, frame = {.memory = &memory}, inflated = {.memory = &memory};
	for (uint64_t i = 1; i <= 100; i++) {
		struct record record = record_of(i, SPAN_LIT("the same value in each of them"));
		frame_record_write(&payload, &record);
	}
	frame_write(&frame, FRAME_RECORDS, buf_span(&payload), true);
	cr_assert_lt(frame.len, payload.len / 3, "compressed");
	struct frame parsed;
	struct span rest;
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	cr_assert_eq(parsed.frame_bytes, frame.len);
	cr_assert_eq(frame_inflate(&parsed, &inflated, &rest), OK);
	for (uint64_t i = 1; i <= 100; i++) {
		struct record record;
		cr_assert_eq(frame_record_take(&rest, &record), OK);
		cr_assert_eq(record.lsn, i);
		cr_assert_eq(record.expire_ms, -5);
		cr_assert_eq(record.time_ms, 1234567890123);
		cr_assert_eq(record.epoch, 9);
		cr_assert_eq(record.flags, RECORD_CONTINUES);
		cr_assert(span_equal(record.key, SPAN_LIT("key")));
		cr_assert(span_equal(record.value, SPAN_LIT("the same value in each of them")));
	}
	struct record none;
	cr_assert_eq(frame_record_take(&rest, &none), ERR_NOTFOUND);
	buf_fini(&payload);
	buf_fini(&frame);
	buf_fini(&inflated);
}

Test(frame, every_flipped_bit_is_noticed)
{
	struct buf frame = {.memory = &memory};
	struct frame parsed;
	const struct frame_position position = {.lsn = 5, .leader_lsn = 8, .time_ms = 99, .epoch = 2};
	frame_write_position(&frame, &position);
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	struct frame_position back;
	cr_assert_eq(frame_read_position(parsed.payload, &back), OK);
	cr_assert_eq(back.leader_lsn, 8);
	for (size_t bit = 0; bit < frame.len * 8; bit++) {
		frame.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(frame_parse(buf_span(&frame), 0, &parsed), OK, "bit %zu", bit);
		frame.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	buf_fini(&frame);
}

/* Else a follower waits for what was never sent, and takes nothing meanwhile. */
Test(frame, a_damaged_header_is_noticed_before_its_bytes_come)
{
	enum { SUM_OF_ALL = 20 };
	struct buf frame = {.memory = &memory};
	struct frame parsed;
	frame_write_lsn(&frame, FRAME_CANCEL, 77);
	for (size_t bit = 0; bit < SUM_OF_ALL * 8; bit++) {
		frame.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		enum err err = frame_parse(span_of(frame.ptr, FRAME_HEADER), 0, &parsed);
		cr_assert(err == ERR_CORRUPT || err == ERR_VERSION, "bit %zu: %s", bit, err_name(err));
		frame.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	buf_fini(&frame);
}

Test(frame, one_that_is_lost_doubled_or_out_of_turn_is_noticed)
{
	struct buf frames = {.memory = &memory};
	struct frame parsed;
	uint32_t number = 0, first = 0;
	frame_write_lsn(&frames, FRAME_CANCEL, 1);
	frame_write_lsn(&frames, FRAME_CANCEL, 1);
	frame_seal(&frames, 0, &first);
	cr_assert_eq(first, 2);
	size_t bytes = frames.len / 2;
	for (; number < 2; number++)
		for (size_t at = 0; at < 2; at++)
			cr_assert_eq(frame_parse(span_of(frames.ptr + at * bytes, bytes), number, &parsed),
			    at == number ? OK : ERR_CORRUPT);
	buf_fini(&frames);
}

Test(frame, words_have_one_check_in_each_place)
{
	char check[FRAME_CHECK], other[FRAME_CHECK];
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("ACK"), SPAN_LIT("12")};
	const struct span moved[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("ACK1"), SPAN_LIT("2")};
	frame_check_words(words, 3, 1, check);
	cr_assert_eq(strlen(check), FRAME_CHECK - 1);
	frame_check_words(words, 3, 2, other);
	cr_assert_str_neq(check, other);
	frame_check_words(moved, 3, 1, other);
	cr_assert_str_neq(check, other);
	frame_check_words(words, 2, 1, other);
	cr_assert_str_neq(check, other);
}

Test(frame, a_part_of_a_frame_waits_for_the_rest)
{
	struct buf frame = {.memory = &memory};
	struct frame parsed;
	frame_write_lsn(&frame, FRAME_CANCEL, 77);
	for (size_t len = 0; len < frame.len; len++)
		cr_assert_eq(frame_parse(span_of(frame.ptr, len), 0, &parsed), ERR_AGAIN);
	uint64_t lsn;
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	cr_assert_eq(frame_read_lsn(parsed.payload, &lsn), OK);
	cr_assert_eq(lsn, 77);
	buf_fini(&frame);
}

Test(frame, bodies_tell_where_they_go_on)
{
	struct buf frame = {.memory = &memory}, inflated = {.memory = &memory};
	struct frame parsed;
	struct span payload;
	struct record record = record_of(5, (struct span){0}), back;
	uint64_t bytes, from, lsn, offset;
	frame_write_body(&frame, &record, 300000, 2 * CHUNK_BYTES);
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	cr_assert_eq(frame_inflate(&parsed, &inflated, &payload), OK);
	cr_assert_eq(frame_read_body(payload, &back, &bytes, &from), OK);
	cr_assert_eq(bytes, 300000);
	cr_assert_eq(from, 2 * CHUNK_BYTES);
	buf_clear(&frame);
	frame_write_bytes_head(&frame, 5, from, SPAN_LIT("some bytes"));
	buf_append(&frame, SPAN_LIT("some bytes"));
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	struct span piece;
	cr_assert_eq(frame_read_bytes(parsed.payload, &lsn, &offset, &piece), OK);
	cr_assert_eq(lsn, 5);
	cr_assert_eq(offset, 2 * CHUNK_BYTES);
	cr_assert(span_equal(piece, SPAN_LIT("some bytes")));
	buf_fini(&frame);
	buf_fini(&inflated);
}

Test(frame, what_makes_no_sense_is_refused)
{
	struct buf payload = {.memory = &memory};
	struct record record = record_of(5, SPAN_LIT("v")), back;
	frame_record_write(&payload, &record);
	static const struct { size_t at; uint8_t byte; } lies[] = {
	    {0, 0}, {0, RECORD_TYPE_COUNT}, {0, RECORD_PART}, {1, 0x80}, {3, 1}, {15, 0x7f},
	    {43, 0xff}, {47, 0x10}, {51, 0xff}, {39, 0x80},
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t kept = payload.ptr[lies[i].at];
		payload.ptr[lies[i].at] = lies[i].byte;
		struct span rest = buf_span(&payload);
		cr_assert_eq(frame_record_take(&rest, &back), ERR_CORRUPT, "lie %zu", i);
		payload.ptr[lies[i].at] = kept;
	}
	for (uint64_t refers = 0; refers <= 6; refers++) {    /* a LINK to nothing, or to what comes later */
		record.type = RECORD_LINK;
		record.refers = refers;
		buf_clear(&payload);
		frame_record_write(&payload, &record);
		struct span rest = buf_span(&payload);
		cr_assert_eq(frame_record_take(&rest, &back), refers > 0 && refers < 5 ? OK : ERR_CORRUPT);
	}
	buf_fini(&payload);
}

Test(frame, keys_that_are_compared_come_back)
{
	struct buf payload = {.memory = &memory}, frame = {.memory = &memory}, inflated = {.memory = &memory};
	struct frame parsed;
	struct span rest;
	struct frame_listed back;
	uint64_t lsn, number;
	uint32_t word;
	const struct frame_listed listed = {
	    .version = 7, .lsn = 9, .body_lsn = 5, .db = 3, .key = SPAN_LIT("a key")};
	for (int i = 0; i < 50; i++)
		frame_listed_write(&payload, &listed);
	frame_write_compared(&frame, FRAME_LISTED, 77, FRAME_LAST, buf_span(&payload));
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	cr_assert_eq(frame_inflate(&parsed, &inflated, &rest), OK);
	cr_assert_eq(frame_read_compared(&rest, &lsn, &word), OK);
	cr_assert_eq(lsn, 77);
	cr_assert_eq(word, FRAME_LAST);
	int count = 0;
	while (frame_listed_take(&rest, &back) == OK) {
		cr_assert_eq(back.version, 7);
		cr_assert_eq(back.body_lsn, 5);
		cr_assert_eq(back.db, 3);
		cr_assert(span_equal(back.key, listed.key));
		count++;
	}
	cr_assert_eq(count, 50);
	payload.ptr[28] = 0xff;               /* a key that is longer than what is there */
	rest = buf_span(&payload);
	cr_assert_eq(frame_listed_take(&rest, &back), ERR_CORRUPT);
	buf_clear(&frame);
	frame_write_renewed(&frame, 4, 5);
	cr_assert_eq(frame_parse(buf_span(&frame), 0, &parsed), OK);
	cr_assert_eq(frame_read_renewed(parsed.payload, &number, &lsn), OK);
	cr_assert_eq(number, 4);
	cr_assert_eq(lsn, 5);
	buf_fini(&payload);
	buf_fini(&frame);
	buf_fini(&inflated);
}

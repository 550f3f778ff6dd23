/* tests/fuzz/fuzz_frame.c: frames of a leader that lies. In half of the cases the checksum is made
 * good first, so that the fuzzer gets past it. */
#include "base/crc32c.h"
#include "base/endian.h"
#include "engine/replica/repair_parts.h"
#include "repl/epoch.h"
#include "repl/frame.h"
#include "store/follow.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memory memory;

static void fuzz_records(struct span payload)
{
	struct record record;
	size_t before = payload.len;
	while (frame_record_take(&payload, &record) == OK) {
		if (payload.len >= before || record.lsn == 0 || record.lsn > STORE_LSN_MAX)
			abort();
		struct buf again = {.memory = &memory};
		struct record copy;
		frame_record_write(&again, &record);
		struct span rest = buf_span(&again);
		if (frame_record_take(&rest, &copy) != OK || copy.lsn != record.lsn ||
		    !span_equal(copy.key, record.key) || !span_equal(copy.value, record.value))
			abort();
		buf_fini(&again);
		before = payload.len;
	}
}

static void fuzz_compared(uint8_t type, struct span payload)
{
	struct frame_listed listed;
	uint64_t lsn;
	uint32_t word;
	if (frame_read_compared(&payload, &lsn, &word) != OK || type == FRAME_SUMS)
		return;
	size_t before = payload.len;
	while (frame_listed_take(&payload, &listed) == OK) {
		if (payload.len >= before || listed.version == 0 || listed.db >= DATABASE_COUNT)
			abort();
		before = payload.len;
	}
}

/* An answer to FETCH: its parts lie within it, and the head is a record or none. */
static void fuzz_fetched(struct span payload)
{
	struct fetched fetched;
	struct record record;
	if (!fetched_read(payload, &fetched))
		return;
	if (fetched.head.len + fetched.bytes.len > payload.len ||
	    (fetched.at == FETCHED_LATER && fetched.bytes.len > 0))
		abort();
	while (frame_record_take(&fetched.head, &record) == OK) {
	}
}

/* The words of a greeting. */
static void fuzz_epoch(struct span payload)
{
	char text[EPOCH_TEXT], word[EPOCH_TEXT];
	struct epoch epoch, back;
	size_t len = payload.len < sizeof(text) ? payload.len : sizeof(text) - 1;
	memcpy(text, payload.ptr, len);
	text[len] = 0;
	if (epoch_scan(text, &epoch) == 0)
		return;
	(void)epoch_word(word, &epoch);
	if (epoch_scan(word, &back) == 0 || !epoch_equal(&epoch, &back))
		abort();
}

static void fuzz_payload(uint8_t type, struct span payload)
{
	struct record record;
	struct frame_position position;
	struct span bytes;
	uint64_t a, b;
	if (type == FRAME_RECORDS)
		fuzz_records(payload);
	else if (type == FRAME_BODY && frame_read_body(payload, &record, &a, &b) == OK && (a == 0 || b > a))
		abort();
	else if (type == FRAME_BYTES && frame_read_bytes(payload, &a, &b, &bytes) == OK && bytes.len == 0)
		abort();
	else if (type == FRAME_CANCEL || type == FRAME_WHOLE || type == FRAME_LOST)
		(void)!frame_read_lsn(payload, &a);
	else if (type == FRAME_POSITIONED)
		(void)!frame_read_position(payload, &position);
	else if (type == FRAME_RENEWED)
		(void)!frame_read_renewed(payload, &a, &b);
	else if (type == FRAME_LISTED || type == FRAME_SUMS)
		fuzz_compared(type, payload);
	else if (type == FRAME_FETCHED)
		fuzz_fetched(payload);
	else if (type == FRAME_FETCH)
		fuzz_epoch(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;
	struct buf inflated = {.memory = &memory};
	struct span payload;
	if (size < 1 + FRAME_HEADER)
		return 0;
	struct buf copy = {.memory = &memory};
	buf_append(&copy, span_of(data + 1, size - 1));
	if (data[0] & 1) {
		uint32_t len = load_le32(copy.ptr + 8);
		struct span rest = span_of(copy.ptr + FRAME_HEADER, copy.len - FRAME_HEADER);
		if (len > rest.len)
			store_le32(copy.ptr + 8, (uint32_t)rest.len);
		uint32_t crc = crc32c(0, span_of(copy.ptr, 16));
		rest = span_slice(rest, 0, load_le32(copy.ptr + 8));
		store_le32(copy.ptr + 16, crc);
		store_le32(copy.ptr + 20, crc32c(crc, rest));
	}
	if (frame_parse(buf_span(&copy), 0, &frame) == OK) {
		if (frame.frame_bytes > copy.len)
			abort();
		if (frame_inflate(&frame, &inflated, &payload) == OK)
			fuzz_payload(frame.type, payload);
	}
	buf_fini(&inflated);
	buf_fini(&copy);
	return 0;
}

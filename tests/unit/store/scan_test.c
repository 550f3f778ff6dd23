/* tests/unit/store/scan_test.c: batches written by batch.c are walked by scan.c. */
#include "base/random.h"
#include "store/batch.h"
#include "store/scan.h"

#include <criterion/criterion.h>

enum { SEGMENT = 1 << 20 };

/* Writes a random batch at `offset`; returns where it ends. Bodies count for the batch. */
static uint64_t put_batch(uint8_t *file, struct batch *batch, struct random *random,
    uint64_t offset, uint64_t *lsn)
{
	struct stamp stamp = {5, 77, offset};
	struct commit_block commit = {.durable_lsn = *lsn};
	batch_begin(batch, &stamp);
	for (uint64_t n = 1 + random_below(random, 6); n > 0; n--) {
		struct record record = {
		    .type = RECORD_VALUE,
		    .lsn = ++*lsn,
		    .key = SPAN_LIT("k"),
		    .meta = SPAN_LIT("mm"),
		};
		struct payload payload = {0};
		struct body *body = NULL;
		struct batch_spot spot;
		if (random_below(random, 3) > 0) {
			size_t len = 1 + random_below(random, 40000);
			cr_assert_eq(body_new_heap(batch->memory, len, &body), OK);
			memset(body->ptr, (int)(*lsn & 255), len);
			body_advance(body, len);
			payload = (struct payload){
				.body = body, .len = (uint32_t)len, .crcs = body->chunk_crcs,
			};
		}
		cr_assert_gt(batch_bytes_with(batch, &record, &payload, &spot), 0);
		(void)batch_add(batch, &stamp, &record, &payload, &spot);
		body_unref(body);
	}
	batch_close(batch, &stamp, &commit);
	uint64_t at = offset;
	for (uint32_t i = 0; i < batch->piece_count; i++) {
		memcpy(file + at, batch->pieces[i].iov_base, batch->pieces[i].iov_len);
		at += batch->pieces[i].iov_len;
	}
	cr_assert_eq(at - offset, batch->bytes);
	return at;
}

struct walked {
	uint32_t records, commits;
	uint64_t last_lsn;
	enum scan_step end;
};

static struct walked walk(const uint8_t *file)
{
	struct scan scan;
	struct walked walked = {0};
	scan_init(&scan, 5, 77, SEGMENT);
	for (;;) {
		walked.end = scan_next(&scan, span_of(file + scan.at, SEGMENT - scan.at));
		if (walked.end == SCAN_COMMIT) {
			walked.commits++;
			continue;
		}
		if (walked.end != SCAN_RECORD)
			return walked;
		struct span body = span_of(file + scan.record_at + scan.view.layout.body_at,
		    scan.view.header.body_bytes);
		cr_assert(record_check_chunks(scan.view.crcs, 0, body));
		cr_assert_eq(scan.view.header.lsn, walked.last_lsn + 1);
		walked.last_lsn++;
		walked.records++;
	}
}

Test(scan, finds_every_record_of_every_batch)
{
	struct memory memory = {0};
	struct random random;
	random_init(&random, 11);
	struct batch *batch = batch_new(&memory);
	uint8_t *file = memory_zalloc(&memory, SEGMENT);
	for (int round = 0; round < 30; round++) {
		uint64_t lsn = 0, at = SECTOR;
		uint32_t batches = 0;
		memset(file, 0, SEGMENT);
		while (at < SEGMENT - 300000) {
			at = put_batch(file, batch, &random, at, &lsn);
			batches++;
		}
		struct walked walked = walk(file);
		cr_assert_eq(walked.records, lsn);
		cr_assert_eq(walked.commits, batches);
		cr_assert_eq(walked.end, SCAN_BAD, "zeros follow");
	}
	batch_free(batch);
	memory_free(&memory, file, SEGMENT);
	cr_assert_eq(memory.bytes, 0);
}

Test(scan, moved_batch_is_valid_at_its_new_place_only)
{
	struct memory memory = {0};
	struct random random;
	random_init(&random, 12);
	struct batch *batch = batch_new(&memory);
	uint8_t *file = memory_zalloc(&memory, SEGMENT);
	uint64_t lsn = 0;
	put_batch(file, batch, &random, 40 * SECTOR, &lsn);
	memset(file, 0, SEGMENT);
	struct stamp stamp = {5, 77, SECTOR};
	batch_move(batch, &stamp);
	uint64_t at = SECTOR;
	for (uint32_t i = 0; i < batch->piece_count; i++) {
		memcpy(file + at, batch->pieces[i].iov_base, batch->pieces[i].iov_len);
		at += batch->pieces[i].iov_len;
	}
	struct walked walked = walk(file);
	cr_assert_eq(walked.records, lsn);
	cr_assert_eq(walked.commits, 1);
	cr_assert_neq(batch->entries[0].place.offset, batch->entries[0].old.offset);
	batch_free(batch);
	memory_free(&memory, file, SEGMENT);
}

Test(scan, single_records_are_found_behind_a_bad_place)
{
	struct memory memory = {0};
	struct random random;
	random_init(&random, 13);
	struct batch *batch = batch_new(&memory);
	uint8_t *file = memory_zalloc(&memory, SEGMENT);
	uint64_t lsn = 0, at = SECTOR;
	while (at < SEGMENT - 300000)
		at = put_batch(file, batch, &random, at, &lsn);
	file[SECTOR + 9] ^= 1;
	struct scan scan;
	uint32_t found = 0;
	scan_init(&scan, 5, 77, SEGMENT);
	enum scan_step step = SCAN_RECORD;
	while (step != SCAN_END) {
		struct span rest = span_of(file + scan.at, SEGMENT - scan.at);
		step = scan_next(&scan, rest);
		found += step == SCAN_RECORD;
		if (step == SCAN_BAD)
			scan_skip(&scan, rest);
	}
	cr_assert_eq(found, lsn - 1, "all but the one whose header is bad");
	batch_free(batch);
	memory_free(&memory, file, SEGMENT);
}

Test(scan, head_shares_a_sector_with_the_end_of_the_body_before)
{
	enum { LEN = 20000 };             /* 4 sectors and most of a fifth */
	struct memory memory = {0};
	struct batch *batch = batch_new(&memory);
	struct body *body;
	const struct stamp stamp = {5, 77, SECTOR};
	const struct commit_block commit = {0};
	cr_assert_eq(body_new_heap(&memory, LEN, &body), OK);
	memset(body->ptr, 'x', LEN);
	body_advance(body, LEN);
	const struct payload payload = {.body = body, .len = LEN, .crcs = body->chunk_crcs};
	batch_begin(batch, &stamp);
	for (uint64_t lsn = 1; lsn <= 2; lsn++) {
		const struct record record = {.type = RECORD_VALUE, .lsn = lsn, .key = SPAN_LIT("k")};
		struct batch_spot spot;
		cr_assert_gt(batch_bytes_with(batch, &record, &payload, &spot), 0);
		(void)batch_add(batch, &stamp, &record, &payload, &spot);
	}
	batch_close(batch, &stamp, &commit);
	cr_assert_eq(batch->bytes, 11 * SECTOR, "a head, 5 sectors, 5 sectors with a head and a commit");
	body_unref(body);
	batch_free(batch);
	cr_assert_eq(memory.bytes, 0);
}

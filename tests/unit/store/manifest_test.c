/* tests/unit/store/manifest_test.c: a manifest is whole, or it is none. */
#include "base/buf.h"
#include "store/manifest.h"

#include <criterion/criterion.h>

static const struct store_id store = {{1, 2, 3}};

static void manifest_make(struct buf *out)
{
	const struct manifest_segment segments[2] = {
		{.id = 3, .nonce = 7, .covered = 5 * SECTOR, .flags = MANIFEST_COMPLETE},
		{.id = 9, .nonce = 8, .covered = SECTOR, .tier = TIER_WARM},
	};
	const struct manifest_chunk chunks[2] = {
		{.offset = 0, .bytes = 100, .count = 2, .index = 1, .db = 0},
		{.offset = SECTOR, .bytes = 200, .count = 3, .index = 0, .db = 4},
	};
	const uint32_t chain[7] = {3, 64, 900, 1, 9, 64, 1000};
	const struct manifest manifest = {
		.header = {.slot = 1, .store = store, .number = 5, .replay_lsn = 11, .last_lsn = 12,
		    .file_bytes = 2 * SECTOR, .bits = {1}},
		.segments = span_of(segments, sizeof(segments)),
		.chunks = span_of(chunks, sizeof(chunks)),
		.chains = span_of(chain, sizeof(chain)),
		.blob = SPAN_LIT("settings"),
	};
	manifest_write(out, &manifest);
}

Test(manifest, comes_back_as_it_was)
{
	struct memory memory = {0};
	struct buf file;
	buf_init(&file, &memory);
	struct manifest manifest;
	struct manifest_segment segment;
	manifest_make(&file);
	cr_assert_eq(manifest_parse(buf_span(&file), &store, 1, &manifest), OK);
	cr_assert_eq(manifest.header.replay_lsn, 11);
	cr_assert_eq(manifest_segment_count(&manifest), 2);
	cr_assert(manifest_find_segment(&manifest, 9, &segment));
	cr_assert_eq(segment.nonce, 8);
	cr_assert_not(manifest_find_segment(&manifest, 4, &segment));
	cr_assert_eq(manifest_chunk_at(&manifest, 1).count, 3);
	cr_assert(span_equal(manifest.blob, SPAN_LIT("settings")));
	cr_assert_eq(manifest.chains.len, 28);
	buf_fini(&file);
}

Test(manifest, of_another_slot_or_store_is_none)
{
	const struct store_id other = {{1, 2, 4}};
	struct memory memory = {0};
	struct buf file;
	buf_init(&file, &memory);
	struct manifest manifest;
	manifest_make(&file);
	cr_assert_eq(manifest_parse(buf_span(&file), &store, 0, &manifest), ERR_CORRUPT);
	cr_assert_eq(manifest_parse(buf_span(&file), &other, 1, &manifest), ERR_CORRUPT);
	buf_fini(&file);
}

Test(manifest, either_copy_will_do_and_every_flipped_bit_is_found)
{
	struct memory memory = {0};
	struct buf file;
	buf_init(&file, &memory);
	struct manifest manifest;
	manifest_make(&file);
	size_t half = file.len / 2;
	for (size_t bit = 0; bit < 8 * half; bit++) {
		uint8_t mask = (uint8_t)(1 << bit % 8);
		file.ptr[bit / 8] ^= mask;
		cr_assert_eq(manifest_parse(buf_span(&file), &store, 1, &manifest), OK);
		cr_assert_eq(manifest.segments.ptr, file.ptr + half + sizeof(manifest.header));
		file.ptr[half + bit / 8] ^= mask;
		cr_assert_neq(manifest_parse(buf_span(&file), &store, 1, &manifest), OK);
		file.ptr[bit / 8] ^= mask;
		cr_assert_eq(manifest_parse(buf_span(&file), &store, 1, &manifest), OK);
		file.ptr[half + bit / 8] ^= mask;
	}
	buf_fini(&file);
}

Test(manifest, every_cut_is_found)
{
	struct memory memory = {0};
	struct buf file;
	buf_init(&file, &memory);
	struct manifest manifest;
	manifest_make(&file);
	for (size_t len = 0; len < file.len / 2; len++)
		cr_assert_neq(
		    manifest_parse(span_of(file.ptr, len), &store, 1, &manifest), OK);
	buf_fini(&file);
}

Test(manifest, chunk_with_a_flipped_bit_or_in_anothers_place_fails)
{
	uint8_t bytes[64] = "entries";
	struct manifest_chunk chunk = {.bytes = 64, .count = 2, .index = 3, .db = 1};
	chunk.crc = manifest_chunk_crc(&chunk, span_of(bytes, sizeof(bytes)));
	for (int bit = 0; bit < 512; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(manifest_chunk_crc(&chunk, span_of(bytes, sizeof(bytes))), chunk.crc);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	struct manifest_chunk other = chunk;
	other.index = 4;
	cr_assert_neq(manifest_chunk_crc(&other, span_of(bytes, sizeof(bytes))), chunk.crc);
}

/* tests/unit/store/footer_test.c: footers say what the records say, or nothing. */
#include "base/random.h"
#include "store/footer.h"
#include "store/scan.h"
#include "tests/unit/store/owner.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ITEMS = 300 };

static const struct stamp stamp = {7, 4711, 0};

static struct footer_item random_item(struct random *random, uint32_t *offset, uint8_t *text)
{
	struct footer_item item = {
		.lsn = 1 + random_below(random, 8) * random_next(random) % 1000000,
		.type = (uint8_t)(1 + random_below(random, RECORD_TYPE_COUNT - 1)),
		.flags = (uint8_t)(random_next(random) & 0xfd),
		.db = (uint8_t)random_below(random, 16),
		.is_mark = random_below(random, 2) == 0,
		.bytes = (uint32_t)(64 + random_below(random, 100000)),
		.batch_sector = 1 + *offset / 64,
		.offset = *offset,
	};
	*offset += 1 + (uint32_t)random_below(random, 40);
	size_t key = random_below(random, 30), meta = random_below(random, 100);
	item.has_head = footer_holds_head(item.type, item.flags, key + meta);
	if (!item.has_head)
		return item;
	item.refers = random_next(random) >> random_below(random, 64);
	item.expire_ms = (int64_t)(random_next(random) >> random_below(random, 64));
	item.time_ms = (int64_t)(random_next(random) >> random_below(random, 64));
	item.body_bytes = (uint32_t)random_next(random);
	item.key = span_of(text, key);
	item.meta = span_of(text + key, meta);
	return item;
}

static void items_equal(const struct footer_item *a, const struct footer_item *b)
{
	cr_assert_eq(a->lsn, b->lsn);
	cr_assert_eq(a->offset, b->offset);
	cr_assert_eq(a->bytes, b->bytes);
	cr_assert_eq(a->batch_sector, b->batch_sector);
	cr_assert(a->type == b->type && a->flags == b->flags && a->db == b->db);
	cr_assert(a->is_mark == b->is_mark && a->has_head == b->has_head);
	cr_assert(a->refers == b->refers && a->expire_ms == b->expire_ms);
	cr_assert(a->time_ms == b->time_ms && a->body_bytes == b->body_bytes);
	cr_assert(span_equal(a->key, b->key) && span_equal(a->meta, b->meta));
}

Test(footer, items_come_back_as_they_were)
{
	static uint8_t raw[FOOTER_BLOCK_RAW], block[FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW];
	static uint8_t back[FOOTER_BLOCK_RAW], text[256];
	struct random random;
	random_init(&random, 5);
	for (int i = 0; i < 256; i++)
		text[i] = (uint8_t)random_next(&random);
	for (int round = 0; round < 200; round++) {
		struct footer_item items[ITEMS];
		struct footer_base base = {0}, counted = {0};
		uint32_t offset = 64;
		size_t len = 0, counting = 0;
		for (int i = 0; i < ITEMS; i++) {
			items[i] = random_item(&random, &offset, text);
			counting += footer_item_write(NULL, &counted, &items[i]);
			len += footer_item_write(raw + len, &base, &items[i]);
		}
		cr_assert_eq(len, counting);
		size_t stored = footer_block_write(block, &stamp, 3, ITEMS, span_of(raw, len));
		struct footer_block header;
		struct span bytes = span_of(block, stored);
		cr_assert_eq(footer_block_peek(bytes, 3, &header), OK);
		cr_assert_eq(footer_block_parse(bytes, &stamp, &header, back), OK);
		cr_assert_eq(header.raw_bytes, len);
		struct span rest = span_of(back, header.raw_bytes);
		struct footer_item item;
		base = (struct footer_base){0};
		for (int i = 0; i < ITEMS; i++) {
			cr_assert_eq(footer_item_take(&rest, &base, &item), OK);
			items_equal(&item, &items[i]);
		}
		cr_assert_eq(footer_item_take(&rest, &base, &item), ERR_NOTFOUND);
	}
}

Test(footer, every_flipped_bit_is_found)
{
	static uint8_t raw[FOOTER_BLOCK_RAW], block[FOOTER_BLOCK_HEADER + FOOTER_BLOCK_RAW];
	static uint8_t back[FOOTER_BLOCK_RAW], tail[SECTOR];
	uint8_t text[256] = "abcdefgh";
	struct random random;
	random_init(&random, 6);
	struct footer_base base = {0};
	uint32_t offset = 64;
	size_t len = 0;
	for (int i = 0; i < 20; i++) {
		struct footer_item item = random_item(&random, &offset, text);
		len += footer_item_write(raw + len, &base, &item);
	}
	size_t stored = footer_block_write(block, &stamp, 0, 20, span_of(raw, len));
	for (size_t bit = 0; bit < 8 * stored; bit++) {
		struct footer_block header;
		struct span bytes = span_of(block, stored);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert(footer_block_peek(bytes, 0, &header) != OK ||
		    footer_block_parse(bytes, &stamp, &header, back) != OK);
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	struct footer_tail out;
	const struct footer_tail made = {
		.block_count = 1, .batches = 2, .count = 20, .stored_bytes = stored, .end_sector = 9,
	};
	footer_tail_write(tail, &made, &stamp);
	struct span sector = span_of(tail, SECTOR);
	cr_assert_eq(footer_tail_parse(sector, &stamp, 1 << 20, &out), OK);
	cr_assert_eq(out.count, 20);
	for (size_t bit = 0; bit < 8 * sizeof(made); bit++) {
		tail[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(footer_tail_parse(sector, &stamp, 1 << 20, &out), OK);
		tail[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(footer, of_an_earlier_life_or_another_segment_is_none)
{
	uint8_t tail[SECTOR];
	struct footer_tail out;
	const struct footer_tail made = {
		.block_count = 1, .batches = 2, .count = 20, .stored_bytes = 99, .end_sector = 9,
	};
	const struct stamp recycled = {7, 4712, 0}, other = {8, 4711, 0};
	footer_tail_write(tail, &made, &stamp);
	struct span sector = span_of(tail, SECTOR);
	cr_assert_eq(footer_tail_parse(sector, &recycled, 1 << 20, &out), ERR_NOTFOUND);
	cr_assert_eq(footer_tail_parse(sector, &other, 1 << 20, &out), ERR_CORRUPT);
	cr_assert_eq(footer_tail_parse(sector, &stamp, 1 << 20, &out), OK);
}

/* ---- In a store ---- */

static const struct owner_options small = {.segment_bytes = 1 << 20, .spares = 4, .warm = true};

static void fill(struct owner *owner, struct random *random, int count)
{
	for (int i = 0; i < count; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%u", (unsigned)random_below(random, 500));
		uint8_t type = random_below(random, 2) ? RECORD_IMAGE : RECORD_VALUE;
		size_t bytes = random_below(random, 20) == 0 ? random_below(random, 200000)
		                                             : random_below(random, 3000);
		enum err err = ERR_OVERLOADED;
		while (err == ERR_OVERLOADED) {
			bool there = owner_find(owner, key) != NULL && !owner_find(owner, key)->deleted;
			if (there && random_below(random, 6) == 0)
				err = owner_delete(owner, key);
			else
				err = owner_put(owner, key, type, bytes, random_below(random, 3) & 3);
			store_flush(owner->store);
			if (err == ERR_OVERLOADED || random_below(random, 4) == 0)
				owner_wait(owner);
		}
		cr_assert_eq(err, OK);
	}
	for (int i = 0; i < 30; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%u", (unsigned)random_below(random, 500));
		struct owner_key *found = owner_find(owner, key);
		if (found != NULL && !found->deleted)
			cr_assert_eq(owner_move(owner, key, (enum tier)random_below(random, 2)), OK);
	}
}

/* Spoils the footer of every segment file: a byte of its tail, or somewhere in its blocks. */
static void damage(const struct owner *owner, const char *where)
{
	char command[600];
	snprintf(command, sizeof(command),
	    "for f in %s/*.seg %s/*.seg; do [ -f $f ] || continue;"
	    " printf x | dd of=$f bs=1 seek=$(($(stat -c %%s $f) - %s)) conv=notrunc 2>/dev/null;"
	    " done", owner->dir[0], owner->dir[1], where);
	cr_assert_eq(system(command), 0);
}

static void same_keys(const struct owner_key *a, const struct owner_key *b)
{
	for (int i = 0; i < OWNER_KEYS; i++) {
		cr_assert_eq(a[i].used, b[i].used);
		cr_assert_str_eq(a[i].key, b[i].key);
		cr_assert_str_eq(a[i].meta, b[i].meta);
		cr_assert(a[i].lsn == b[i].lsn && a[i].type == b[i].type);
		cr_assert(a[i].deleted == b[i].deleted && a[i].body_bytes == b[i].body_bytes);
		cr_assert(memcmp(&a[i].place, &b[i].place, sizeof(a[i].place)) == 0);
	}
}

static void same_accounts(const struct store_stats *a, const struct store_stats *b)
{
	for (int tier = 0; tier < TIER_COUNT; tier++) {
		cr_assert_eq(a->tier[tier].live_bytes, b->tier[tier].live_bytes);
		cr_assert_eq(a->tier[tier].live_records, b->tier[tier].live_records);
		cr_assert_eq(a->tier[tier].tombstones, b->tier[tier].tombstones);
	}
}

Test(footer, recovery_finds_the_same_with_and_without_footers, .timeout = 120)
{
	static struct owner owner;
	static struct owner_key with[OWNER_KEYS];
	struct random random;
	random_init(&random, 21);
	owner_init(&owner);
	for (int round = 0; round < 3; round++) {
		owner_start(&owner, &small);
		fill(&owner, &random, 1500);
		owner_stop(&owner);
		owner_start(&owner, &small);
		struct store_stats first = owner_stats(&owner);
		memcpy(with, owner.keys, sizeof(with));
		cr_assert_gt(first.footers_read, 3);
		owner_stop(&owner);
		/* In the tail; in the sector of blocks before it. */
		damage(&owner, round == 0 ? "8100" : "12278");
		owner_start(&owner, &small);
		struct store_stats second = owner_stats(&owner);
		cr_assert_lt(second.footers_read, first.footers_read);
		cr_assert_eq(second.recovered_records, first.recovered_records);
		same_keys(with, owner.keys);
		same_accounts(&first, &second);
		cr_assert_eq(owner.corrupt, 0);
		owner_stop(&owner);
	}
	owner_fini(&owner);
}

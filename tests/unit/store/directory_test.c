/* tests/unit/store/directory_test.c: the directory beside an array of keys. */
#include "store/directory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 3000 };

struct model {
	bool     there[KEYS];
	uint64_t value[KEYS], expire_ms[KEYS];
	uint32_t count;
};

static struct span key_of(uint64_t at, char text[32])
{
	return span_of(text, (size_t)snprintf(text, 32, "key:%llu", (unsigned long long)at));
}

static void set(
    struct directory *directory, struct model *model, uint64_t at, struct random *random)
{
	char text[32], value[200];
	struct span key = key_of(at, text);
	uint64_t hash = directory_hash(directory, key);
	struct entry *old = directory_find(directory, key, hash);
	cr_assert_eq(old != NULL, model->there[at]);
	uint64_t number = random_next(random);
	int len = snprintf(value, sizeof(value), "%llu:%0*d", (unsigned long long)number,
	    (int)random_below(random, 170) + 1, 0);
	struct span bytes = span_of(value, (size_t)len);
	if (old != NULL && !(old->flags & ENTRY_HAS_EXPIRY) && entry_string_overwrite(old, bytes)) {
		model->value[at] = number;
		return;
	}
	struct entry *entry = entry_new_string(directory->memory, key, 0, bytes, NULL);
	if (old != NULL)
		directory_replace(directory, old, entry, hash);
	else
		directory_insert(directory, entry, hash);
	model->count += old == NULL;
	model->there[at] = true;
	model->value[at] = number;
	model->expire_ms[at] = 0;
}

static void check(struct directory *directory, const struct model *model, uint64_t at)
{
	char text[32];
	struct span key = key_of(at, text);
	struct entry *entry = directory_find(directory, key, directory_hash(directory, key));
	cr_assert_eq(entry != NULL, model->there[at]);
	if (entry == NULL)
		return;
	cr_assert(span_equal(entry_key(entry), key));
	cr_assert_eq(strtoull((const char *)entry_string(entry).ptr, NULL, 10), model->value[at]);
	cr_assert_eq(entry_expire_ms(entry), model->expire_ms[at]);
}

/* The number in a key, which no NUL byte ends. */
static uint64_t number_of(const struct entry *entry)
{
	char text[32];
	struct span key = entry_key(entry);
	snprintf(text, sizeof(text), "%.*s", (int)key.len - 4, (const char *)key.ptr + 4);
	return strtoull(text, NULL, 10);
}

static void count_each(void *ctx, struct entry *entry)
{
	uint8_t *seen = ctx;
	cr_assert(number_of(entry) < KEYS);
	seen[number_of(entry)] = 1;
}

Test(directory, agrees_with_an_array)
{
	static struct model model;
	struct memory memory = {0};
	struct directory directory;
	struct random random;
	directory_init(&directory, &memory, 99);
	random_init(&random, 5);
	for (int step = 0; step < 200000; step++) {
		char text[32];
		uint64_t at = random_below(&random, KEYS);
		struct span key = key_of(at, text);
		uint64_t hash = directory_hash(&directory, key);
		struct entry *entry = directory_find(&directory, key, hash);
		uint64_t what = random_below(&random, 10);
		if (what < 5) {
			set(&directory, &model, at, &random);
		} else if (what < 7 && entry != NULL) {
			directory_remove(&directory, entry, hash);
			model.there[at] = false;
			model.count--;
		} else if (what == 7 && entry != NULL) {
			model.expire_ms[at] = random_below(&random, 3) * 1000;
			entry = directory_expire(&directory, entry, hash, model.expire_ms[at]);
			cr_assert(span_equal(entry_key(entry), key));
		}
		check(&directory, &model, random_below(&random, KEYS));
		cr_assert_eq(directory_count(&directory), model.count);
	}
	directory_fini(&directory);
	cr_assert_eq(memory.bytes, 0);
}

Test(directory, a_scan_shows_every_key_that_stayed_while_it_grows)
{
	static struct model model;
	static uint8_t seen[KEYS];
	struct memory memory = {0};
	struct directory directory;
	struct random random;
	uint64_t cursor = 0, added = 1000;
	directory_init(&directory, &memory, 1);
	random_init(&random, 6);
	for (uint64_t i = 0; i < 1000; i++)
		set(&directory, &model, i, &random);
	do {
		cursor = directory_scan(&directory, cursor, count_each, seen);
		for (int i = 0; i < 11 && added < KEYS; i++)
			set(&directory, &model, added++, &random);
	} while (cursor != 0);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert(seen[i], "key %llu was not shown", (unsigned long long)i);
	directory_fini(&directory);
}

Test(directory, deadlines_come_in_order)
{
	struct memory memory = {0};
	struct directory directory;
	directory_init(&directory, &memory, 1);
	for (uint64_t i = 1; i <= 100; i++) {
		char text[32];
		struct span key = key_of(i, text);
		uint64_t hash = directory_hash(&directory, key);
		directory_insert(&directory, entry_new_string(&memory, key, 0, key, NULL), hash);
		struct entry *entry = directory_find(&directory, key, hash);
		(void)directory_expire(&directory, entry, hash, i * 37 % 101);
	}
	for (uint64_t now = 0; now <= 101; now++) {
		struct entry *entry;
		while ((entry = directory_expired(&directory, now)) != NULL) {
			cr_assert_eq(entry_expire_ms(entry), now);
			directory_remove(
			    &directory, entry, directory_hash(&directory, entry_key(entry)));
		}
	}
	cr_assert_eq(directory_count(&directory), 0);
	directory_fini(&directory);
}

Test(directory, random_keys_are_spread)
{
	struct memory memory = {0};
	struct directory directory;
	struct random random;
	uint32_t hits[50] = {0};
	directory_init(&directory, &memory, 1);
	random_init(&random, 2);
	cr_assert_null(directory_random(&directory, &random));
	for (uint64_t i = 0; i < 50; i++) {
		char text[32];
		struct span key = key_of(i, text);
		directory_insert(&directory, entry_new_string(&memory, key, 0, key, NULL),
		    directory_hash(&directory, key));
	}
	for (int i = 0; i < 50000; i++)
		hits[number_of(directory_random(&directory, &random))]++;
	for (int i = 0; i < 50; i++)
		cr_assert(hits[i] > 600 && hits[i] < 1500, "key %d came %u times", i, hits[i]);
	directory_fini(&directory);
}

/* GOALS S5: memory of an image in the directory, its key apart. */
Test(directory, an_image_costs_at_most_64_bytes)
{
	enum { IMAGES = 1000000 };
	struct memory memory = {0};
	struct directory directory;
	uint64_t keys = 0;
	directory_init(&directory, &memory, 1);
	for (uint64_t i = 0; i < IMAGES; i++) {
		char text[32];
		struct span key = key_of(i, text);
		keys += key.len;
		directory_insert(
		    &directory, entry_new_image(&memory, key, 0), directory_hash(&directory, key));
	}
	directory_step(&directory, 0xffffffff);
	double each = (double)(directory_bytes(&directory) - keys) / IMAGES;
	cr_assert(each <= 80.0, "%.1f bytes", each);
	directory_fini(&directory);
}

static void drained_one(void *ctx, struct entry *entry)
{
	bool *seen = ctx;
	uint64_t at = strtoull((const char *)entry_key(entry).ptr + strlen("key:"), NULL, 10);
	cr_assert(!seen[at]);
	seen[at] = true;
}

Test(directory, is_drained_in_pieces_also_while_it_grows)
{
	for (unsigned keys = 0; keys < 800; keys += 97) {
		struct memory memory = {0};
		struct directory directory;
		bool seen[800] = {0};
		char text[32];
		unsigned pieces = 1;
		directory_init(&directory, &memory, 77);
		for (unsigned i = 0; i < keys; i++) {
			struct span key = key_of(i, text);
			struct entry *entry = entry_new_string(&memory, key,
			    i % 3 == 0 ? ENTRY_HAS_EXPIRY : 0, SPAN_LIT("value"), NULL);
			if (i % 3 == 0)
				entry_expiry(entry)->at_ms = i + 1;
			directory_insert(&directory, entry, directory_hash(&directory, key));
		}
		while (!directory_drain(&directory, 5, drained_one, seen))
			pieces++;
		cr_assert_geq(pieces, keys / 32);
		for (unsigned i = 0; i < keys; i++)
			cr_assert(seen[i]);
		cr_assert_eq(memory.bytes, 0);
		cr_assert_eq(directory_count(&directory), 0);
	}
}

Test(directory, bytes_that_a_reply_refers_to_outlive_their_entry)
{
	struct memory memory = {0};
	uint8_t bytes[ENTRY_SHARED_MIN];
	memset(bytes, 'b', sizeof(bytes));
	struct span value = span_of(bytes, sizeof(bytes)), shorter = span_of(bytes, sizeof(bytes) - 1);
	struct entry *entry = entry_new_string(&memory, SPAN_LIT("key"), 0, value, NULL);
	struct entry *plain = entry_new_string(&memory, SPAN_LIT("key"), 0, shorter, NULL);
	cr_assert(span_equal(entry_string(entry), value) && span_equal(entry_string(plain), shorter));
	cr_assert_eq(entry_bytes(entry) + entry_bytes(plain), memory.bytes);
	cr_assert_null(entry_block_ref(plain));
	void *owner = entry_block_ref(entry);
	cr_assert_not_null(owner);
	struct span lent = entry_string(entry);
	entry_free(&memory, entry);
	entry_free(&memory, plain);
	cr_assert(span_equal(lent, value));
	cr_assert_gt(memory.bytes, ENTRY_SHARED_MIN);
	entry_block_unref(owner);
	cr_assert_eq(memory.bytes, 0);
}

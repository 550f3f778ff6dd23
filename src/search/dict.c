/* search/dict.c: see dict.h. */
#include "search/dict.h"

#include "base/hash.h"

enum { DICT_GONE = DICT_NONE, DICT_SLOTS_MIN = 64, DICT_MOVE_SLOTS = 32 };

void dict_init(struct dict *dict, struct memory *memory, struct memory *list_memory, uint64_t seed)
{
	ASSERT(memory != NULL);
	*dict = (struct dict){.memory = memory, .list_memory = list_memory, .seed = seed,
	    .free_id = DICT_NONE};
}

static void table_free(struct dict *dict, struct dict_table *table)
{
	if (table->slots != NULL)
		memory_free(dict->memory, table->slots, table->count * sizeof(*table->slots));
	*table = (struct dict_table){0};
}

static void term_fini(struct dict *dict, struct term *term)
{
	postings_fini(&term->list, dict->list_memory);
	memory_free(dict->memory, term->key, term->key_len);
	term->key = NULL;
}

void dict_fini(struct dict *dict)
{
	for (uint32_t id = 0; id < dict->id_end; id++) {
		struct term *term = dict_term(dict, id);
		if (term != NULL)
			term_fini(dict, term);
	}
	for (uint32_t i = 0; i < dict->page_count; i++)
		memory_free(dict->memory, dict->pages[i], DICT_PAGE_TERMS * sizeof(struct term));
	for (uint32_t i = 0; i < dict->leaf_count; i++)
		memory_free(dict->memory, dict->leaves[i], sizeof(struct dict_leaf));
	memory_free(dict->memory, dict->pages, dict->page_cap * sizeof(*dict->pages));
	memory_free(dict->memory, dict->leaves, dict->leaf_cap * sizeof(*dict->leaves));
	table_free(dict, &dict->table);
	table_free(dict, &dict->old);
	dict_init(dict, dict->memory, dict->list_memory, dict->seed);
}

static struct span key_make(uint8_t key[DICT_KEY_MAX], uint16_t space, struct span text)
{
	ASSERT(text.len <= SEARCH_TAG_BYTES_MAX);
	key[0] = (uint8_t)(space >> 8);
	key[1] = (uint8_t)space;
	if (text.len > 0)
		memcpy(key + DICT_SPACE_BYTES, text.ptr, text.len);
	return span_of(key, DICT_SPACE_BYTES + text.len);
}

/* ---- Hash --------------------------------------------------------------------------- */

static void table_alloc(struct dict *dict, struct dict_table *table, uint32_t count)
{
	/* Zero is empty: a large table is not touched before its slots are used. */
	table->slots = memory_zalloc(dict->memory, count * sizeof(*table->slots));
	table->count = count;
	table->used = 0;
}

static void table_put(struct dict_table *table, struct dict_slot slot)
{
	uint32_t at = slot.hash & (table->count - 1);
	ASSERT(table->used < table->count);
	while (table->slots[at].id_next != 0)
		at = (at + 1) & (table->count - 1);
	table->slots[at] = slot;
	table->used++;
}

/* Moves some slots of the old table over; frees it when it is empty. */
static void dict_move(struct dict *dict)
{
	if (dict->old.count == 0)
		return;
	for (int i = 0; i < DICT_MOVE_SLOTS && dict->moved < dict->old.count; i++) {
		struct dict_slot *slot = &dict->old.slots[dict->moved++];
		if (slot->id_next != 0 && slot->id_next != DICT_GONE)
			table_put(&dict->table, *slot);
		slot->id_next = slot->id_next == 0 ? 0 : DICT_GONE;
	}
	if (dict->moved == dict->old.count)
		table_free(dict, &dict->old);
}

/* Room for one more. The old table is always through long before the new one is full:
 * each insertion moves 32 slots, and the new one has room for a quarter of the old. */
static void dict_grow(struct dict *dict)
{
	dict_move(dict);
	if (dict->old.count != 0)
		return;
	if (dict->table.count == 0) {
		table_alloc(dict, &dict->table, DICT_SLOTS_MIN);
		return;
	}
	if (dict->table.used + 1 <= dict->table.count / 4 * 3)
		return;
	uint32_t count = dict->table.count;
	if (dict->term_count > count / 4)
		count *= 2;
	dict->old = dict->table;
	dict->moved = 0;
	table_alloc(dict, &dict->table, count);
}

static struct dict_slot *table_find(const struct dict *dict, const struct dict_table *table,
    struct span key, uint32_t hash)
{
	if (table->count == 0)
		return NULL;
	uint32_t at = hash & (table->count - 1);
	for (; table->slots[at].id_next != 0; at = (at + 1) & (table->count - 1)) {
		struct dict_slot *slot = &table->slots[at];
		if (slot->hash != hash || slot->id_next == DICT_GONE)
			continue;
		if (span_equal(term_key(dict_term(dict, slot->id_next - 1)), key))
			return slot;
	}
	return NULL;
}

static struct dict_slot *dict_slot(const struct dict *dict, struct span key, uint32_t hash)
{
	struct dict_slot *slot = table_find(dict, &dict->table, key, hash);
	return slot != NULL ? slot : table_find(dict, &dict->old, key, hash);
}

struct term *dict_find(struct dict *dict, uint16_t space, struct span text)
{
	uint8_t bytes[DICT_KEY_MAX];
	struct span key = key_make(bytes, space, text);
	struct dict_slot *slot = dict_slot(dict, key, (uint32_t)hash_key(key, dict->seed));
	return slot == NULL ? NULL : dict_term(dict, slot->id_next - 1);
}

/* ---- Sorted view -------------------------------------------------------------------- */

/* Is it behind all there are? So it is as a rule when an index is loaded. */
static bool sorted_is_last(const struct dict *dict, struct span key, struct dict_cursor *cursor)
{
	if (dict->leaf_count == 0)
		return false;
	const struct dict_leaf *leaf = dict->leaves[dict->leaf_count - 1];
	const struct term *last = dict_term(dict, leaf->ids[leaf->count - 1]);
	*cursor = (struct dict_cursor){dict->leaf_count - 1, leaf->count};
	return span_compare(term_key(last), key) < 0;
}

/* The first place whose key is >= key. */
static void sorted_find(const struct dict *dict, struct span key, struct dict_cursor *cursor)
{
	uint32_t low = 0, high = dict->leaf_count;
	if (sorted_is_last(dict, key, cursor))
		return;
	while (low < high) {              /* the last leaf whose first key is <= key */
		uint32_t middle = low + (high - low) / 2;
		const struct term *first = dict_term(dict, dict->leaves[middle]->ids[0]);
		if (span_compare(term_key(first), key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	cursor->leaf = low == 0 ? 0 : low - 1;
	cursor->at = 0;
	if (dict->leaf_count == 0)
		return;
	const struct dict_leaf *leaf = dict->leaves[cursor->leaf];
	low = 0;
	high = leaf->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (span_compare(term_key(dict_term(dict, leaf->ids[middle])), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	cursor->at = low;
}

static struct dict_leaf *leaf_insert(struct dict *dict, uint32_t at)
{
	if (dict->leaf_count == dict->leaf_cap) {
		uint32_t cap = dict->leaf_cap == 0 ? 4 : dict->leaf_cap * 2;
		dict->leaves = memory_resize(dict->memory, dict->leaves,
		    dict->leaf_cap * sizeof(*dict->leaves), cap * sizeof(*dict->leaves));
		dict->leaf_cap = cap;
	}
	memmove(dict->leaves + at + 1, dict->leaves + at,
	    (dict->leaf_count - at) * sizeof(*dict->leaves));
	dict->leaves[at] = memory_alloc(dict->memory, sizeof(struct dict_leaf));
	dict->leaves[at]->count = 0;
	dict->leaf_count++;
	return dict->leaves[at];
}

static void sorted_insert(struct dict *dict, const struct term *term)
{
	struct dict_cursor cursor;
	sorted_find(dict, term_key(term), &cursor);
	struct dict_leaf *leaf =
	    dict->leaf_count == 0 ? leaf_insert(dict, 0) : dict->leaves[cursor.leaf];
	if (leaf->count == DICT_LEAF_IDS) {
		/* Ascending arrivals (dates, serial numbers) should leave full leaves behind. */
		uint32_t keep = cursor.at == DICT_LEAF_IDS ? DICT_LEAF_IDS : DICT_LEAF_IDS / 2;
		struct dict_leaf *right = leaf_insert(dict, cursor.leaf + 1);
		right->count = DICT_LEAF_IDS - keep;
		memcpy(right->ids, leaf->ids + keep, right->count * sizeof(*right->ids));
		leaf->count = keep;
		if (cursor.at > keep || keep == DICT_LEAF_IDS) {
			leaf = right;
			cursor.at -= keep;
		}
	}
	memmove(leaf->ids + cursor.at + 1, leaf->ids + cursor.at,
	    (leaf->count - cursor.at) * sizeof(*leaf->ids));
	leaf->ids[cursor.at] = term->id;
	leaf->count++;
}

static void sorted_remove(struct dict *dict, const struct term *term)
{
	struct dict_cursor cursor;
	sorted_find(dict, term_key(term), &cursor);
	struct dict_leaf *leaf = dict->leaves[cursor.leaf];
	ASSERT(cursor.at < leaf->count);
	ASSERT(leaf->ids[cursor.at] == term->id);
	leaf->count--;
	memmove(leaf->ids + cursor.at, leaf->ids + cursor.at + 1,
	    (leaf->count - cursor.at) * sizeof(*leaf->ids));
	if (leaf->count > 0)
		return;
	memory_free(dict->memory, leaf, sizeof(*leaf));
	dict->leaf_count--;
	memmove(dict->leaves + cursor.leaf, dict->leaves + cursor.leaf + 1,
	    (dict->leaf_count - cursor.leaf) * sizeof(*dict->leaves));
}

void dict_seek_key(const struct dict *dict, struct span key, struct dict_cursor *cursor)
{
	sorted_find(dict, key, cursor);
	if (cursor->leaf >= dict->leaf_count)
		return;
	const struct dict_leaf *leaf = dict->leaves[cursor->leaf];
	if (cursor->at < leaf->count &&
	    span_equal(term_key(dict_term(dict, leaf->ids[cursor->at])), key))
		cursor->at++;
}

void dict_seek(const struct dict *dict, uint16_t space, struct span text, bool after,
    struct dict_cursor *cursor)
{
	uint8_t bytes[DICT_KEY_MAX];
	struct span key = key_make(bytes, space, text);
	if (after)
		dict_seek_key(dict, key, cursor);
	else
		sorted_find(dict, key, cursor);
}

struct term *dict_next_any(const struct dict *dict, struct dict_cursor *cursor)
{
	while (cursor->leaf < dict->leaf_count && cursor->at == dict->leaves[cursor->leaf]->count) {
		cursor->leaf++;
		cursor->at = 0;
	}
	if (cursor->leaf >= dict->leaf_count)
		return NULL;
	return dict_term(dict, dict->leaves[cursor->leaf]->ids[cursor->at++]);
}

struct term *dict_next(const struct dict *dict, uint16_t space, struct span prefix,
    struct dict_cursor *cursor)
{
	uint8_t bytes[DICT_KEY_MAX];
	struct span key = key_make(bytes, space, prefix);
	struct term *term = dict_next_any(dict, cursor);
	if (term == NULL || span_equal(span_slice(term_key(term), 0, key.len), key))
		return term;
	cursor->at--;
	return NULL;
}

/* ---- Terms -------------------------------------------------------------------------- */

static struct term *term_take(struct dict *dict)
{
	uint32_t id = dict->free_id;
	if (id != DICT_NONE) {
		struct term *term = &dict->pages[id / DICT_PAGE_TERMS][id % DICT_PAGE_TERMS];
		dict->free_id = term->pins;
		return term;
	}
	id = dict->id_end++;
	ASSERT(id < DICT_GONE - 1);
	if (id / DICT_PAGE_TERMS == dict->page_count) {
		if (dict->page_count == dict->page_cap) {
			uint32_t cap = dict->page_cap == 0 ? 4 : dict->page_cap * 2;
			dict->pages = memory_resize(dict->memory, dict->pages,
			    dict->page_cap * sizeof(*dict->pages), cap * sizeof(*dict->pages));
			dict->page_cap = cap;
		}
		dict->pages[dict->page_count++] =
		    memory_zalloc(dict->memory, DICT_PAGE_TERMS * sizeof(struct term));
	}
	struct term *term = &dict->pages[id / DICT_PAGE_TERMS][id % DICT_PAGE_TERMS];
	term->id = id;
	return term;
}

uint32_t dict_hash(const struct dict *dict, uint16_t space, struct span text)
{
	uint8_t bytes[DICT_KEY_MAX];
	return (uint32_t)hash_key(key_make(bytes, space, text), dict->seed);
}

void dict_prefetch_slot(const struct dict *dict, uint32_t hash)
{
	if (dict->table.count > 0)
		__builtin_prefetch(&dict->table.slots[hash & (dict->table.count - 1)]);
}

/* The term that has this hash, most likely: NULL if it is not at its first place or the next. */
static const struct term *term_guess(const struct dict *dict, uint32_t hash)
{
	for (uint32_t i = 0; i < 2 && dict->table.count > 0; i++) {
		uint32_t at = (hash + i) & (dict->table.count - 1);
		const struct dict_slot *slot = &dict->table.slots[at];
		if (slot->id_next == 0 || slot->id_next == DICT_GONE || slot->hash != hash)
			continue;
		uint32_t id = slot->id_next - 1;
		return &dict->pages[id / DICT_PAGE_TERMS][id % DICT_PAGE_TERMS];
	}
	return NULL;
}

void dict_prefetch_term(const struct dict *dict, uint32_t hash)
{
	const struct term *term = term_guess(dict, hash);
	if (term == NULL)
		return;
	__builtin_prefetch(term);
	__builtin_prefetch((const uint8_t *)term + 64);
}

void dict_prefetch_key(const struct dict *dict, uint32_t hash)
{
	const struct term *term = term_guess(dict, hash);
	if (term == NULL)
		return;
	__builtin_prefetch(term->key);
	if (term->list.tail != NULL)
		__builtin_prefetch(term->list.tail + term->list.tail_len, 1);
}

struct term *dict_add(struct dict *dict, uint16_t space, struct span text)
{
	return dict_add_hashed(dict, space, text, dict_hash(dict, space, text));
}

struct term *dict_add_hashed(struct dict *dict, uint16_t space, struct span text, uint32_t hash)
{
	uint8_t bytes[DICT_KEY_MAX];
	struct span key = key_make(bytes, space, text);
	struct dict_slot *slot = dict_slot(dict, key, hash);
	if (slot != NULL)
		return dict_term(dict, slot->id_next - 1);
	dict_grow(dict);
	struct term *term = term_take(dict);
	postings_init(&term->list, space != SPACE_WORDS && (space & SPACE_TEXT) == 0);
	term->pins = 0;
	term->ordinal = ORDINAL_NONE;
	term->key = memory_alloc(dict->memory, key.len);
	term->key_len = (uint16_t)key.len;
	memcpy(term->key, key.ptr, key.len);
	table_put(&dict->table, (struct dict_slot){hash, term->id + 1});
	sorted_insert(dict, term);
	dict->term_count++;
	return term;
}

void dict_drop(struct dict *dict, struct term *term)
{
	ASSERT(term->pins == 0);
	ASSERT(term->list.count == 0);
	struct dict_slot *slot = dict_slot(
	    dict, term_key(term), (uint32_t)hash_key(term_key(term), dict->seed));
	ASSERT(slot != NULL);
	slot->id_next = DICT_GONE;
	sorted_remove(dict, term);
	term_fini(dict, term);
	term->pins = dict->free_id;
	dict->free_id = term->id;
	dict->term_count--;
	dict->dropped++;
}

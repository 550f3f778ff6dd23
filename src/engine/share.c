/* engine/share.c: images that a LINK record made: several keys with one body, or one key whose
 * body was stored under another.
 *
 * The record of such a body says another key than the entry's, so whoever starts from the record
 * (a move, the cleaner) finds the entries here, by the body's LSN. The LINK record itself must
 * stay for as long as its entry does, also when newer metadata takes its place there: `link`
 * holds it.
 */
#include "engine/internal.h"

enum { SHARE_SLOTS = 4096 };

struct share {
	struct share *next;
	uint64_t      body_lsn;
	struct place  link;               /* one reference is held */
	uint64_t      link_lsn;
	uint8_t       db;
	uint32_t      key_len;
	uint8_t       key[];
};

struct shares {
	struct share *slots[SHARE_SLOTS];
};

static struct share **share_slot(const struct engine *engine, uint64_t body_lsn)
{
	ASSERT(body_lsn > 0);
	return &engine->shares->slots[XXH3_64bits(&body_lsn, sizeof(body_lsn)) % SHARE_SLOTS];
}

static bool place_equal(struct place a, struct place b)
{
	return a.segment == b.segment && a.offset == b.offset;
}

void shares_init(struct engine *engine)
{
	engine->shares = memory_zalloc(&engine->memory.engine, sizeof(*engine->shares));
}

void shares_fini(struct engine *engine)
{
	if (engine->shares == NULL)
		return;
	for (uint32_t i = 0; i < SHARE_SLOTS; i++) {
		while (engine->shares->slots[i] != NULL) {
			struct share *share = engine->shares->slots[i];
			engine->shares->slots[i] = share->next;
			memory_free(&engine->memory.engine, share, sizeof(*share) + share->key_len);
		}
	}
	memory_free(&engine->memory.engine, engine->shares, sizeof(*engine->shares));
	engine->shares = NULL;
}

void share_load(struct engine *engine, uint8_t db, struct entry *entry, struct place link,
    uint64_t link_lsn)
{
	struct span key = entry_key(entry);
	struct share **slot = share_slot(engine, entry_image(entry)->body_lsn);
	struct share *share = memory_alloc(&engine->memory.engine, sizeof(*share) + key.len);
	ASSERT((entry->flags & ENTRY_LINKED) == 0);
	*share = (struct share){
		.next = *slot,
		.body_lsn = entry_image(entry)->body_lsn,
		.link = link,
		.link_lsn = link_lsn,
		.db = db,
		.key_len = (uint32_t)key.len,
	};
	if (key.len > 0)
		memcpy(share->key, key.ptr, key.len);
	*slot = share;
	entry->flags |= ENTRY_LINKED;
}

void share_add(struct engine *engine, uint8_t db, struct entry *entry, struct place link)
{
	share_load(engine, db, entry, link, entry->lsn);
	store_retain(engine->store, link);
}

bool share_of(struct engine *engine, uint8_t db, struct entry *entry, struct place *link,
    uint64_t *link_lsn)
{
	uint64_t lsn = entry_image(entry)->body_lsn;
	for (struct share *share = *share_slot(engine, lsn); share; share = share->next) {
		struct span own = span_of(share->key, share->key_len);
		if (share->body_lsn != lsn || share->db != db || !span_equal(own, entry_key(entry)))
			continue;
		*link = share->link;
		*link_lsn = share->link_lsn;
		return true;
	}
	return false;
}

void share_drop(struct engine *engine, uint8_t db, struct entry *entry)
{
	if ((entry->flags & ENTRY_LINKED) == 0)
		return;
	struct span key = entry_key(entry);
	struct share **at = share_slot(engine, entry_image(entry)->body_lsn);
	while (*at != NULL) {
		struct share *share = *at;
		struct span own = span_of(share->key, share->key_len);
		if (share->body_lsn == entry_image(entry)->body_lsn && share->db == db &&
		    span_equal(own, key)) {
			*at = share->next;
			store_release(engine->store, share->link);
			memory_free(&engine->memory.engine, share, sizeof(*share) + share->key_len);
			entry->flags &= ~(unsigned)ENTRY_LINKED & 0xfffU;
			return;
		}
		at = &share->next;
	}
	ASSERT(false);
}

static struct entry *share_entry(struct engine *engine, const struct share *share)
{
	struct directory *directory = &engine->directories[share->db];
	struct span key = span_of(share->key, share->key_len);
	struct entry *entry = directory_find(directory, key, directory_hash(directory, key));
	ASSERT(entry != NULL && entry->type == ENTRY_IMAGE);
	ASSERT(entry_image(entry)->body_lsn == share->body_lsn);
	return entry;
}

bool shares_name(struct engine *engine, const struct record *record)
{
	uint64_t lsn = record->type == RECORD_LINK ? record->refers : record->lsn;
	for (struct share *share = *share_slot(engine, lsn); share; share = share->next) {
		if (share->body_lsn != lsn)
			continue;
		struct place place = share->link;
		if (record->type == RECORD_IMAGE)
			place = entry_image(share_entry(engine, share))->body;
		if (place_equal(place, record->place))
			return true;
	}
	return false;
}

uint32_t shares_follow(struct engine *engine, const struct record *record, struct place from,
    struct place to)
{
	uint64_t lsn = record->type == RECORD_LINK ? record->refers : record->lsn;
	uint32_t count = 0;
	for (struct share *share = *share_slot(engine, lsn); share; share = share->next) {
		if (share->body_lsn != lsn)
			continue;
		struct place *place = &share->link;
		if (record->type == RECORD_IMAGE)
			place = &entry_image(share_entry(engine, share))->body;
		if (!place_equal(*place, from))
			continue;
		*place = to;
		struct span key = span_of(share->key, share->key_len);
		engine_touch(engine, share->db,
		    directory_hash(&engine->directories[share->db], key));
		count++;
	}
	return count;
}

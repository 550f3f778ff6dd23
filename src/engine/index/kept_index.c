/* engine/index/kept_index.c: the search index into a checkpoint; see kept_index.h. */
#include "engine/index/kept_index_parts.h"

#include "base/arith.h"
#include "base/endian.h"

#include "engine/index/fields.h"
#include "engine/index/refill.h"
#include "engine/twins.h"
#include "search/similar.h"

enum { CHUNK_BYTES_MIN = 64 << 10, CHUNKS_AIM = 3000, CHANGES_FEW = 256, CHANGES_PART = 64 };

void kept_index_new(struct engine *engine)
{
	engine->kept = memory_zalloc(&engine->memory.search, sizeof(struct kept_index));
}

static void dump_drop(struct kept_index *kept)
{
	if (kept->out.dump != NULL)
		index_dump_free(kept->out.dump);
	kept->out.dump = NULL;
}

void kept_index_free(struct engine *engine)
{
	if (engine->kept == NULL)
		return;
	dump_drop(engine->kept);
	kept_index_load_reset(engine);
	memory_free(&engine->memory.search, engine->kept, sizeof(*engine->kept));
	engine->kept = NULL;
}

void kept_index_info(const struct engine *engine, struct buf *out)
{
	const struct kept_index *kept = engine->kept;
	buf_printf(out,
	    "search_checkpoint_documents:%llu\r\nsearch_checkpoint_dropped:%llu\r\n"
	    "search_checkpoint_dumps:%llu\r\nsearch_checkpoint_bytes:%llu\r\n",
	    (unsigned long long)kept->claimed, (unsigned long long)kept->dropped,
	    (unsigned long long)kept->dumps, (unsigned long long)kept->dump_bytes);
}

/* ---- When ---- */

/* Documents that ever came or went. */
static uint64_t changes_of(const struct engine *engine, uint8_t db)
{
	struct index_stats stats;
	if (engine->indexes[db] == NULL)
		return 0;
	index_get_stats(engine->indexes[db], &stats);
	return stats.docids_used + stats.removed;
}

static void note_state(const struct engine *engine, struct kept_slot *out)
{
	*out = (struct kept_slot){.is_written = true};
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		out->changes[db] = changes_of(engine, (uint8_t)db);
		out->tags[db] = fields_tag(engine, (uint8_t)db);
	}
}

/* Documents are being made, of all or of some fields: what is there is not all of it. */
static bool is_in_the_making(const struct engine *engine)
{
	if (engine->reindex != NULL)
		return true;
	for (unsigned db = 0; db < DATABASE_COUNT; db++)
		if (engine->kept->databases[db] != NULL || refill_left(engine, (uint8_t)db) > 0)
			return true;
	return false;
}

bool kept_index_is_due(struct engine *engine, uint32_t slot, bool is_there)
{
	const struct kept_slot *before = &engine->kept->slots[slot];
	ASSERT(slot < ARRAY_COUNT(engine->kept->slots));
	if (is_in_the_making(engine))
		return false;
	if (!is_there || !before->is_written)
		return true;
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		uint64_t now = changes_of(engine, (uint8_t)db), then = before->changes[db];
		uint64_t few = CHANGES_FEW + engine->images[db] / CHANGES_PART;
		if (now < then || now - then > few ||
		    before->tags[db] != fields_tag(engine, (uint8_t)db))
			return true;
	}
	return false;
}

/* ---- Documents ---- */

static void put_u32(struct buf *out, uint32_t value)
{
	uint8_t bytes[4];
	store_le32(bytes, value);
	buf_append(out, span_of(bytes, sizeof(bytes)));
}

/* u8 what is there | u64 LSN | [hash] | [u32 colours]. */
static void document_write(void *ctx, uint32_t docid, void *owner, struct buf *out)
{
	struct engine *engine = ctx;
	const struct similar *similar = engine->similars[engine->kept->out.db];
	const uint8_t *hash = similar_hash(similar, docid);
	uint32_t colours = similar_colours(similar, docid);
	struct entry *entry = owner;
	uint8_t head[9];
	head[0] = (uint8_t)(((entry->flags & ENTRY_UNSEEN) != 0 ? KEPT_UNSEEN : 0) |
	    (hash != NULL ? KEPT_HASH : 0) | (colours != 0 ? KEPT_COLOURS : 0));
	store_le64(head + 1, kept_meta_lsn(entry));
	buf_append(out, span_of(head, sizeof(head)));
	if (hash != NULL)
		buf_append(out, span_of(hash, SIMILAR_HASH_BYTES));
	if (colours != 0)
		put_u32(out, colours);
}

/* ---- Writing ---- */

size_t kept_index_begin(struct engine *engine)
{
	struct kept_index *kept = engine->kept;
	uint64_t bytes = engine->memory.search.bytes;
	dump_drop(kept);
	memset(&kept->out, 0, sizeof(kept->out));
	kept->out.is_on = true;
	note_state(engine, &kept->out.now);
	kept->dumps++;
	kept->dump_bytes = 0;
	return (size_t)max_u64(bytes / CHUNKS_AIM, CHUNK_BYTES_MIN);
}

static void dump_begin(struct engine *engine, struct buf *out)
{
	struct kept_index *kept = engine->kept;
	const struct index_dump_owner owner = {.ctx = engine, .write = document_write};
	kept->out.tag = fields_tag(engine, kept->out.db);
	kept->out.dump = index_dump_new(engine->indexes[kept->out.db], &owner, kept->out.tag);
	kept->out.is_begun = true;
	kept->out.is_spoilt = false;
	kept->out.shard = 0;
	buf_append_u8(out, KEPT_BEGIN);
	buf_append_u8(out, kept->out.db);
}

/* A piece of the dump. What it says of some fields may be half of it by now. */
static void dump_piece(struct engine *engine, struct buf *out)
{
	struct kept_index *kept = engine->kept;
	uint8_t db = kept->out.db;
	if (refill_left(engine, db) > 0 || kept->out.tag != fields_tag(engine, db))
		kept->out.is_spoilt = true;
	if (kept->out.is_spoilt) {
		dump_drop(kept);
		return;
	}
	if (!index_dump_step(kept->out.dump, out))
		dump_drop(kept);
}

/* The digests of one shard. */
static void dump_twins(struct engine *engine, struct buf *out)
{
	struct kept_index *kept = engine->kept;
	buf_append_u8(out, KEPT_TWINS);
	size_t from = out->len;
	put_u32(out, 0);
	dedupe_dump(engine, kept->out.db, kept->out.shard++, out);
	store_le32(out->ptr + from, (uint32_t)((out->len - from - 4) / KEPT_TWIN_BYTES));
}

/* One database is over. */
static void dump_next(struct kept_index *kept)
{
	kept->out.is_begun = false;
	kept->out.db++;
}

bool kept_index_dump(struct engine *engine, struct buf *out, uint32_t *count)
{
	struct kept_index *kept = engine->kept;
	size_t from = out->len;
	ASSERT(kept->out.is_on);
	if (kept->out.db == DATABASE_COUNT) {
		buf_append_u8(out, KEPT_END);
		++*count;
		return false;
	}
	if (!kept->out.is_begun && engine->indexes[kept->out.db] == NULL)
		dump_next(kept);
	else if (!kept->out.is_begun)
		dump_begin(engine, out);
	else if (kept->out.dump != NULL)
		dump_piece(engine, out);
	else if (!kept->out.is_spoilt && kept->out.shard < TWIN_SHARDS)
		dump_twins(engine, out);
	else
		dump_next(kept);
	kept->dump_bytes += out->len - from;
	*count += out->len > from;
	return true;
}

void kept_index_end(struct engine *engine, uint32_t slot, bool is_good)
{
	struct kept_index *kept = engine->kept;
	ASSERT(slot < ARRAY_COUNT(kept->slots));
	dump_drop(kept);
	if (kept->out.is_on && is_good)
		kept->slots[slot] = kept->out.now;
	else if (!is_good)
		kept->slots[slot].is_written = false;
	kept->out.is_on = false;
}

void kept_index_forget(struct engine *engine, uint8_t db)
{
	struct kept_index *kept = engine->kept;
	if (kept->out.dump != NULL && kept->out.db == db) {
		dump_drop(kept);
		kept->out.is_spoilt = true;
	}
	kept_index_drop(engine, db);
}

/* engine/replica/proof.c: one walk through a database that hashes what is there. See proof.h.
 *
 * Short values are hashed where the walk finds them. The names of others are queued: long ones
 * are hashed a piece at a time, and begun again when they change meanwhile; metadata of images
 * that is not in memory is read from disk, some at a time.
 */
#include "engine/replica/proof.h"

#include "base/endian.h"
#include "engine/collection/collection.h"
#include "engine/past/past.h"

enum { SHORT_BYTES = 64 << 10, SHORT_MEMBERS = 512, PIECE_BYTES = 1 << 20, PIECE_MEMBERS = 512 };
enum { BEGUN_MAX = 16 };

struct proof_key {
	struct list link;
	uint32_t    len;
	uint32_t    begun;                /* times that it changed while it was hashed */
	uint8_t     key[];
};

struct proof_read {
	struct list       link;
	struct proof     *proof;
	struct proof_key *key;
	uint64_t          expire_ms;
	struct store_read read;
};

void proof_add(struct proof_sum *sum, const struct digest *digest)
{
	uint64_t low = load_le64(digest->bytes), high = load_le64(digest->bytes + 8);
	sum->low += low;
	sum->high += high + (sum->low < low);
	sum->keys++;
}

uint32_t proof_bucket(struct span key, unsigned bits)
{
	ASSERT(bits <= PROOF_BITS_MAX);
	return bits == 0 ? 0 : (uint32_t)(XXH3_64bits(key.ptr, key.len) >> (64 - bits));
}

/* ---- One key's digest ------------------------------------------------------------------ */

static void hash_number(XXH3_state_t *hash, uint64_t number, size_t bytes)
{
	uint8_t out[8];
	store_le64(out, number);
	digest_add(hash, span_of(out, bytes));
}

static void hash_head(
    XXH3_state_t *hash, enum entry_type type, uint64_t expire_ms, struct span key)
{
	digest_begin(hash);
	hash_number(hash, type, 1);
	hash_number(hash, expire_ms, 8);
	hash_number(hash, key.len, 4);
	digest_add(hash, key);
}

static void add_member(struct proof *proof, const struct walk *walk)
{
	uint8_t few[512];
	struct buf buf = {0};
	size_t len = 4 + walk->name.bytes.len + walk->data.bytes.len;
	uint8_t *to = few;
	if (len > sizeof(few)) {
		buf_reserve(&buf, len);
		to = buf.ptr;
	}
	store_le32(to, (uint32_t)walk->name.bytes.len);
	if (walk->name.bytes.len > 0)
		memcpy(to + 4, walk->name.bytes.ptr, walk->name.bytes.len);
	if (walk->data.bytes.len > 0)
		memcpy(to + 4 + walk->name.bytes.len, walk->data.bytes.ptr, walk->data.bytes.len);
	struct digest digest = digest_of(span_of(to, len));
	proof_add(&proof->sum, &digest);
	buf_fini(&buf);
}

/* Up to `members` of the walk. True: these were the last. */
static bool hash_members(struct proof *proof, enum entry_type type, unsigned members)
{
	for (unsigned i = 0; i < members; i++) {
		struct walk *walk = &proof->walk;
		if (!walk_next(walk)) {
			if (type == ENTRY_HASH || type == ENTRY_SET) {
				hash_number(proof->hash, proof->sum.low, 8);
				hash_number(proof->hash, proof->sum.high, 8);
			}
			return true;
		}
		if (type == ENTRY_HASH || type == ENTRY_SET) {
			if (type == ENTRY_SET)
				walk->data.bytes = (struct span){0};
			add_member(proof, walk);
			continue;
		}
		if (type == ENTRY_ZSET) {
			uint64_t bits;
			memcpy(&bits, &walk->score, sizeof(bits));
			hash_number(proof->hash, bits, 8);
		}
		hash_number(proof->hash, walk->name.bytes.len, 4);
		digest_add(proof->hash, walk->name.bytes);
	}
	return false;
}

static void begin_walk(struct proof *proof, struct entry *entry)
{
	proof->sum = (struct proof_sum){0};
	walk_init(&proof->walk, entry_collection(entry, &proof->small));
}

static void tell(struct proof *proof, const XXH3_state_t *hash, struct span key)
{
	struct digest digest = digest_end(hash);
	proof->each(proof, proof_bucket(key, proof->bits), key, &digest);
}

/* ---- Keys that wait ---------------------------------------------------------------------- */

static void queue_key(struct proof *proof, struct span key)
{
	struct proof_key *copy = memory_alloc(&proof->engine->memory.engine, sizeof(*copy) + key.len);
	copy->len = (uint32_t)key.len;
	copy->begun = 0;
	if (key.len > 0)
		memcpy(copy->key, key.ptr, key.len);
	list_append(&proof->keys, &copy->link);
}

static void drop_key(struct proof *proof, struct proof_key *key)
{
	memory_free(&proof->engine->memory.engine, key, sizeof(*key) + key->len);
}

static struct span key_span(const struct proof_key *key)
{
	return span_of(key->key, key->len);
}

static struct entry *find(struct proof *proof, struct span key)
{
	struct directory *directory = &proof->engine->directories[proof->db];
	struct entry *entry = directory_lookup(directory, key);
	return entry == NULL || engine_is_expired(proof->engine, entry) ? NULL : entry;
}

/* ---- Images --------------------------------------------------------------------------------- */

static void image_done(struct proof *proof, struct span key, uint64_t expire_ms, struct span meta)
{
	XXH3_state_t hash;                /* the other may be in the middle of something */
	hash_head(&hash, ENTRY_IMAGE, expire_ms, key);
	digest_add(&hash, meta);
	tell(proof, &hash, key);
}

static void on_read(struct store_read *read, enum err err)
{
	struct proof_read *mine = read->ctx;
	struct proof *proof = mine->proof;
	struct engine *engine = proof->engine;
	struct proof_key *key = mine->key;
	if (engine->closing && proof->err == OK)
		proof->err = ERR_CANCELLED;
	if (proof->err == OK && err == OK && read->record.meta.len > 0) {
		image_done(proof, key_span(key), mine->expire_ms, read->record.meta);
		drop_key(proof, key);
	} else if (proof->err == OK && (err == ERR_CORRUPT || err == ERR_IO)) {
		image_done(proof, key_span(key), mine->expire_ms, SPAN_LIT("unreadable"));
		drop_key(proof, key);
	} else if (proof->err == OK) {
		list_append(&proof->keys, &key->link);  /* it changed meanwhile, or has to wait */
	} else {
		drop_key(proof, key);
	}
	store_read_fini(read);
	list_remove(&mine->link);
	proof->reading--;
	memory_free(&engine->memory.engine, mine, sizeof(*mine));
}

static void read_image(struct proof *proof, struct proof_key *key, const struct image_ref *ref,
    uint64_t expire_ms)
{
	struct proof_read *mine = memory_zalloc(&proof->engine->memory.engine, sizeof(*mine));
	mine->proof = proof;
	mine->key = key;
	mine->expire_ms = expire_ms;
	mine->read = (struct store_read){
	    .done = on_read, .ctx = mine, .place = ref->meta, .lsn = ref->meta_lsn, .meta_only = true};
	list_append(&proof->reads, &mine->link);
	proof->reading++;
	store_read_start(proof->engine->store, &mine->read);
}

/* ---- One key, from the walk or from the queue ----------------------------------------------- */

/* True: its digest was told. False: it takes a read, or more than one piece. */
static bool hash_at_once(struct proof *proof, struct entry *entry)
{
	struct span key = entry_key(entry);
	uint64_t expire_ms = entry_expire_ms(entry);
	if (entry->type == ENTRY_IMAGE) {
		struct image_ref ref;
		image_ref_of(proof->engine, entry, &ref);
		struct body *meta = metadata_cached(proof->engine, &ref);
		if (meta != NULL)
			image_done(proof, key, expire_ms, body_span(meta));
		body_unref(meta);
		return meta != NULL;
	}
	if (entry->type == ENTRY_STRING) {
		struct span bytes = entry_string(entry);
		if (bytes.len > SHORT_BYTES && entry_body(entry) != NULL)
			return false;
		hash_head(proof->hash, entry->type, expire_ms, key);
		digest_add(proof->hash, bytes);
		tell(proof, proof->hash, key);
		return true;
	}
	const struct value *value = entry_collection(entry, &proof->small);
	if (value->count > SHORT_MEMBERS || value->bytes > SHORT_BYTES)
		return false;
	hash_head(proof->hash, entry->type, expire_ms, key);
	begin_walk(proof, entry);
	bool all = hash_members(proof, entry->type, UINT32_MAX);
	ASSERT(all);
	tell(proof, proof->hash, key);
	return true;
}

static void on_entry(void *ctx, struct entry *entry)
{
	struct proof *proof = ctx;
	struct span key = entry_key(entry);
	if (engine_is_expired(proof->engine, entry))
		return;
	if (proof->wanted != NULL && !proof->wanted(proof, proof_bucket(key, proof->bits)))
		return;
	if (!hash_at_once(proof, entry))
		queue_key(proof, key);
}

static void item_end(struct proof *proof)
{
	body_unref(proof->body);
	proof->body = NULL;
	if (proof->item != NULL)
		drop_key(proof, proof->item);
	proof->item = NULL;
}

static const void *object_of(const struct entry *entry)
{
	return (entry->flags & ENTRY_VALUE_OBJECT) ? entry_object(entry) : entry;
}

static void item_begin(struct proof *proof, struct proof_key *key, struct entry *entry)
{
	proof->item = key;
	proof->hashed = 0;
	proof->lsn = entry->lsn;
	proof->object = object_of(entry);
	hash_head(proof->hash, entry->type, entry_expire_ms(entry), key_span(key));
	if (entry->type == ENTRY_STRING)
		proof->body = body_ref(entry_body(entry));
	else
		begin_walk(proof, entry);
}

/* The first of the queue. False: nothing can be done for it now. */
static bool queue_step(struct proof *proof)
{
	struct proof_key *key = LIST_OF(proof->keys.next, struct proof_key, link);
	struct entry *entry = find(proof, key_span(key));
	struct image_ref ref;
	if (entry != NULL && entry->type == ENTRY_IMAGE && proof->reading >= PROOF_READS_MAX)
		return false;
	list_remove(&key->link);
	if (entry == NULL || hash_at_once(proof, entry)) {
		drop_key(proof, key);
	} else if (entry->type == ENTRY_IMAGE) {
		image_ref_of(proof->engine, entry, &ref);
		read_image(proof, key, &ref, entry_expire_ms(entry));
	} else {
		item_begin(proof, key, entry);
	}
	return true;
}

/* A piece of the item. */
static void item_step(struct proof *proof)
{
	struct proof_key *key = proof->item;
	if (proof->body != NULL) {
		struct span bytes = body_span(proof->body);
		struct span piece = span_slice(bytes, proof->hashed, PIECE_BYTES);
		digest_add(proof->hash, piece);
		proof->hashed += piece.len;
		if (proof->hashed < bytes.len)
			return;
		tell(proof, proof->hash, key_span(key));
		item_end(proof);
		return;
	}
	struct entry *entry = find(proof, key_span(key));
	if (entry == NULL) {
		item_end(proof);
		return;
	}
	if (entry->lsn != proof->lsn || object_of(entry) != proof->object) {
		proof->item = NULL;
		if (++key->begun < BEGUN_MAX) {
			list_append(&proof->keys, &key->link);
			return;
		}
		hash_head(proof->hash, entry->type, 0, key_span(key));
		digest_add(proof->hash, SPAN_LIT("changes all the time"));
		tell(proof, proof->hash, key_span(key));
		drop_key(proof, key);
		return;
	}
	if (!hash_members(proof, entry->type, PIECE_MEMBERS))
		return;
	tell(proof, proof->hash, key_span(key));
	item_end(proof);
}

/* ---- The whole --------------------------------------------------------------------------------- */

enum err proof_start(struct proof *proof)
{
	struct engine *engine = proof->engine;
	ASSERT(proof->each != NULL && proof->done != NULL);
	ASSERT(!engine->loading && !engine->partly);
	unsigned count = 0;
	for (struct list *at = engine->proofs.next; at != &engine->proofs; at = at->next)
		count++;
	if (count >= PROOFS_MAX)
		return ERR_OVERLOADED;
	proof->hash = memory_try_alloc_aligned(&engine->memory.engine, 64, sizeof(*proof->hash));
	if (proof->hash == NULL)
		return ERR_MEMORY;
	list_init(&proof->keys);
	list_init(&proof->reads);
	list_append(&engine->proofs, &proof->link);
	return OK;
}

static void proof_end(struct proof *proof)
{
	struct engine *engine = proof->engine;
	ASSERT(proof->reading == 0);
	item_end(proof);
	while (!list_is_empty(&proof->keys)) {
		struct proof_key *key = LIST_OF(proof->keys.next, struct proof_key, link);
		list_remove(&key->link);
		drop_key(proof, key);
	}
	list_remove(&proof->link);
	memory_free(&engine->memory.engine, proof->hash, sizeof(*proof->hash));
	proof->hash = NULL;
	proof->done(proof, proof->err);       /* may free it */
}

/* One thing that can be done. False: there is none now, or the proof is over. */
static bool proof_step(struct proof *proof)
{
	struct directory *directory = &proof->engine->directories[proof->db];
	bool is_last = proof->walked && proof->item == NULL && list_is_empty(&proof->keys);
	if (proof->err != OK || is_last) {
		if (proof->reading == 0)
			proof_end(proof);
		return false;
	}
	if (proof->item != NULL) {
		item_step(proof);
		return true;
	}
	if (!list_is_empty(&proof->keys))
		return queue_step(proof);
	proof->cursor = directory_scan(directory, proof->cursor, on_entry, proof);
	proof->walked = proof->cursor == 0;
	return true;
}

bool proofs_step(struct engine *engine)
{
	if (list_is_empty(&engine->proofs))
		return false;
	const struct list *at = engine->proofs.next;
	struct proof *proof = LIST_OF(engine->proofs.next, struct proof, link);
	uint64_t end_us = io_clock_us(engine->io) + (uint64_t)engine->settings->search_slice_us;
	do {
		if (!proof_step(proof))
			/* Over and perhaps freed: the next one. Else it waits for reads. */
			return !list_is_empty(&engine->proofs) && engine->proofs.next != at;
	} while (io_clock_us(engine->io) < end_us);
	return true;
}

void proofs_cancel(struct engine *engine)
{
	struct list *at = engine->proofs.next;
	while (at != &engine->proofs) {
		struct proof *proof = LIST_OF(at, struct proof, link);
		at = at->next;
		proof->err = ERR_CANCELLED;
		if (proof->reading == 0)
			proof_end(proof);
	}
}

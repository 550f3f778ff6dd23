/* engine/past/history.c: see history.h. */
#include "engine/past/history.h"

#include "base/hash.h"

static uint64_t key_hash(const struct history *history, uint8_t db, struct span key)
{
	return hash_key(key, history->seed + db);
}

static struct history_shard *shard_of(const struct history *history, uint64_t hash)
{
	struct history_shard *shards = (struct history_shard *)(uintptr_t)history->shards;
	return &shards[hash >> 56];
}

static void *history_alloc(struct history *history, size_t bytes)
{
	history->bytes.bytes += bytes;
	return memory_zalloc(history->memory, bytes);
}

static void history_free(struct history *history, void *ptr, size_t bytes)
{
	ASSERT(history->bytes.bytes >= bytes);
	history->bytes.bytes -= bytes;
	memory_free(history->memory, ptr, bytes);
}

void history_init(struct history *history, struct memory *memory, uint64_t seed)
{
	ASSERT(memory != NULL);
	*history = (struct history){.memory = memory, .seed = seed, .floor_ms = INT64_MIN};
	list_init(&history->line);
	list_init(&history->later);
}

void history_delay(struct history *history, uint64_t end_lsn)
{
	ASSERT(end_lsn == 0 || history->delayed_lsn == 0 || history->delayed_lsn == end_lsn);
	history->delayed_lsn = end_lsn;
	if (end_lsn == 0)
		list_append_all(&history->line, &history->later);
}

void history_fini(struct history *history)
{
	history_delay(history, 0);
	while (history_oldest(history) != NULL)
		history_drop_oldest(history);
	for (unsigned i = 0; i < HISTORY_SHARDS; i++) {
		struct history_shard *shard = &history->shards[i];
		if (shard->cap > 0)
			history_free(history, shard->slots, shard->cap * sizeof(*shard->slots));
		*shard = (struct history_shard){0};
	}
	ASSERT(history->bytes.bytes == 0);
}

static struct past_key **shard_at(
    const struct history_shard *shard, uint64_t hash, uint8_t db, struct span key)
{
	ASSERT(shard->cap > 0);
	struct past_key **at = &shard->slots[hash & (shard->cap - 1)];
	for (; *at != NULL; at = &(*at)->next) {
		if ((*at)->hash == hash && (*at)->db == db &&
		    span_equal(span_of((*at)->key, (*at)->key_len), key))
			break;
	}
	return at;
}

struct past_key *history_find(const struct history *history, uint8_t db, struct span key)
{
	uint64_t hash = key_hash(history, db, key);
	const struct history_shard *shard = shard_of(history, hash);
	return shard->cap == 0 ? NULL : *shard_at(shard, hash, db, key);
}

static void shard_grow(struct history *history, struct history_shard *shard)
{
	struct history_shard old = *shard;
	shard->cap = old.cap == 0 ? 8 : old.cap * 2;
	ASSERT(shard->cap > old.cap);
	shard->slots = history_alloc(history, shard->cap * sizeof(*shard->slots));
	for (uint32_t i = 0; i < old.cap; i++) {
		while (old.slots[i] != NULL) {
			struct past_key *key = old.slots[i];
			old.slots[i] = key->next;
			key->next = shard->slots[key->hash & (shard->cap - 1)];
			shard->slots[key->hash & (shard->cap - 1)] = key;
		}
	}
	if (old.cap > 0)
		history_free(history, old.slots, old.cap * sizeof(*old.slots));
}

static struct past_key *key_make(struct history *history, uint8_t db, struct span key)
{
	struct past_key *made = history_find(history, db, key);
	if (made != NULL)
		return made;
	made = history_alloc(history, sizeof(*made) + key.len);
	made->hash = key_hash(history, db, key);
	made->db = db;
	made->key_len = (uint32_t)key.len;
	if (key.len > 0)
		memcpy(made->key, key.ptr, key.len);
	struct history_shard *shard = shard_of(history, made->hash);
	if (shard->count >= shard->cap)
		shard_grow(history, shard);
	struct past_key **at = &shard->slots[made->hash & (shard->cap - 1)];
	made->next = *at;
	*at = made;
	shard->count++;
	history->keys++;
	return made;
}

static void key_unmake(struct history *history, struct past_key *key)
{
	ASSERT(key->newest == NULL);
	struct history_shard *shard = shard_of(history, key->hash);
	struct past_key **at = &shard->slots[key->hash & (shard->cap - 1)];
	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	shard->count--;
	history->keys--;
	history_free(history, key, sizeof(*key) + key->key_len);
}

struct version *history_add(struct history *history, uint8_t db, struct span key,
    const struct version *what, const struct ending *ending)
{
	ASSERT(ending->state != VERSION_CURRENT);
	ASSERT(what->lsn > 0 && what->lsn < ending->lsn);
	struct past_key *owner = key_make(history, db, key);
	struct version *version = history_alloc(history, sizeof(*version));
	ASSERT(owner->newest == NULL || owner->newest->end_lsn <= what->lsn);
	*version = *what;
	version->key = owner;
	version->state = (uint64_t)ending->state & 0xffff;
	version->end_lsn = ending->lsn;
	version->until_ms = ending->time_ms;
	version->older = owner->newest;
	version->newer = NULL;
	if (owner->newest == NULL)
		owner->oldest = version;
	else
		owner->newest->newer = version;
	owner->newest = version;
	owner->count++;
	list_init(&version->line);
	bool waits = history->delayed_lsn != 0 && ending->lsn > history->delayed_lsn;
	list_append(waits ? &history->later : &history->line, &version->line);
	history->versions++;
	return version;
}

struct version *history_oldest(const struct history *history)
{
	if (list_is_empty(&history->line))
		return NULL;
	return LIST_OF(history->line.next, struct version, line);
}

void history_drop_oldest(struct history *history)
{
	struct version *version = history_oldest(history);
	ASSERT(version != NULL);
	struct past_key *key = version->key;
	ASSERT(key->oldest == version);       /* it ended first, also of its key */
	key->oldest = version->newer;
	if (version->newer == NULL)
		key->newest = NULL;
	else
		version->newer->older = NULL;
	if (history->floor_lsn < version->end_lsn)
		history->floor_lsn = version->end_lsn;
	if (history->floor_ms < version->until_ms)
		history->floor_ms = version->until_ms;
	list_remove(&version->line);
	history->versions--;
	key->count--;
	history_free(history, version, sizeof(*version));
	if (key->newest == NULL)
		key_unmake(history, key);
}

bool moment_reaches(const struct moment *moment, uint64_t lsn, int64_t since_ms)
{
	return moment->by_lsn ? lsn <= moment->lsn : since_ms <= moment->ms;
}

struct version *history_at(const struct past_key *key, const struct moment *moment)
{
	struct version *version = key->newest;
	while (version != NULL && !moment_reaches(moment, version->lsn, version->since_ms))
		version = version->older;
	if (version == NULL || moment_reaches(moment, version->end_lsn, version->until_ms))
		return NULL;
	return version;
}

bool history_covers(const struct history *history, const struct moment *moment)
{
	return moment->by_lsn ? moment->lsn >= history->floor_lsn : moment->ms >= history->floor_ms;
}

/* tests/sim/keeper.c: see keeper.h. */
#include "tests/sim/keeper.h"

#include "base/number.h"

enum { BITS = 3, CHUNKS = 1 << BITS };
_Static_assert((int)CHUNKS == (int)OWNER_CHUNKS, "one mark for each");

/* One key in a chunk. */
struct kept {
	uint64_t    key;
	struct slot slot;
};

static uint64_t key_hash(uint8_t key)
{
	return (uint64_t)(key + 1) * 0x9e3779b97f4a7c15 >> 7;
}

static uint32_t key_chunk(uint8_t key)
{
	return (uint32_t)(key_hash(key) & (CHUNKS - 1));
}

uint64_t keeper_key_hash(void *ctx, uint8_t db, struct span key)
{
	int64_t number = -1;
	UNUSED(ctx);
	ASSERT(db == 0);
	bool good = number_parse_i64(span_slice(key, 3, key.len), &number);
	ASSERT(good && number >= 0 && number < OWNER_KEYS);
	return key_hash((uint8_t)number);
}

void keeper_touch(struct owner *owner, uint8_t key)
{
	owner->touched[0][key_chunk(key)] = owner->touched[1][key_chunk(key)] = true;
}

bool keeper_knows(struct owner *owner, uint8_t key)
{
	return store_want_key(owner->store, 0, key_hash(key)) == KEY_IS_LOADED;
}

bool keeper_knows_all(const struct owner *owner)
{
	struct store_load_progress progress;
	store_get_load(owner->store, &progress);
	return progress.chunks == 0 || (progress.left == 0 && progress.damaged == 0);
}

/* ---- Out ---- */

static void job_ready(struct store_checkpoint *job)
{
	struct owner *owner = job->ctx;
	if (owner->keeping == KEEPING_BEGUN) {
		owner->chunk = 0;
		if (!store_checkpoint_bits(owner->store, 0, BITS))
			memset(owner->touched[job->slot], 1, CHUNKS);
	}
	owner->keeping = KEEPING_CHUNKS;
}

static void job_done(struct store_checkpoint *job, enum err err)
{
	struct owner *owner = job->ctx;
	owner->keeping = KEEPING_NOTHING;
	owner->checkpoints += err == OK;
}

static void keeper_chunk(struct owner *owner)
{
	struct kept kept[OWNER_KEYS];
	struct store_chunk chunk = {.index = owner->chunk++};
	bool *touched = &owner->touched[owner->job.slot][chunk.index];
	if (!*touched)
		return;
	*touched = false;
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		const struct slot *slot = &owner->slots[key];
		if (key_chunk(key) != chunk.index || slot->now.main_lsn == 0)
			continue;
		memset(&kept[chunk.count], 0, sizeof(kept[0]));
		kept[chunk.count++] = (struct kept){key, *slot};
		chunk.first |= slot->now.type == RECORD_VALUE && slot->now.len > BODY_INLINE_MAX;
	}
	chunk.bytes = span_of(kept, chunk.count * sizeof(kept[0]));
	if (store_checkpoint_chunk(owner->store, &chunk))
		owner->keeping = KEEPING_WAIT;
}

void keeper_step(struct owner *owner)
{
	if (owner->keeping == KEEPING_NOTHING) {
		owner->job = (struct store_checkpoint){
		    .ready = job_ready, .done = job_done, .ctx = owner, .seed = 1};
		owner->keeping = KEEPING_BEGUN;
		if (store_checkpoint_begin(owner->store, &owner->job) != OK)
			owner->keeping = KEEPING_NOTHING;
	} else if (owner->keeping == KEEPING_CHUNKS && owner->chunk < CHUNKS) {
		keeper_chunk(owner);
	} else if (owner->keeping == KEEPING_CHUNKS) {
		owner->keeping = KEEPING_WAIT;
		store_checkpoint_finish(owner->store, (struct span){0});
	}
}

/* ---- In ---- */

void keeper_load_begin(void *ctx, const struct store_load *load)
{
	struct owner *owner = ctx;
	if (load->seed != 1)
		owner_fail(owner, "a checkpoint with the seed of another");
	owner->replay_lsn = load->replay_lsn;
	owner->loads++;
	memset(owner->touched, 0, sizeof(owner->touched));
}

static enum err kept_load(struct owner *owner, const struct kept *kept)
{
	if (kept->key >= OWNER_KEYS || kept->slot.now.main_lsn == 0)
		return ERR_CORRUPT;
	struct slot *slot = &owner->slots[kept->key];
	*slot = kept->slot;
	bool is_value = slot->now.type == RECORD_VALUE;
	struct place before = slot->main, meta = slot->meta;
	(void)store_adopt(owner->store, &slot->main, is_value ? 0 : slot->now.main_lsn);
	if (slot->meta.segment != 0)
		(void)store_adopt(owner->store, &slot->meta, slot->now.meta_lsn);
	if (!place_equal(before, slot->main) || !place_equal(meta, slot->meta))
		keeper_touch(owner, (uint8_t)kept->key);
	if (!is_value || slot->now.len <= BODY_INLINE_MAX)
		return OK;
	slot->awaited = true;
	return store_fetch(owner->store, slot->main) ? OK : ERR_CORRUPT;
}

enum err keeper_load_chunk(void *ctx, uint8_t db, uint32_t count, struct span bytes)
{
	struct kept kept;
	ASSERT(db == 0);
	if (bytes.len != count * sizeof(kept))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&kept, bytes.ptr + i * sizeof(kept), sizeof(kept));
		enum err err = kept_load(ctx, &kept);
		if (err != OK)
			return err;
	}
	return OK;
}

enum err keeper_load_settings(void *ctx, struct span bytes)
{
	UNUSED(ctx);
	return bytes.len == 0 ? OK : ERR_CORRUPT;
}

void keeper_load_reset(void *ctx)
{
	struct owner *owner = ctx;
	memset(owner->slots, 0, sizeof(owner->slots));
	memset(owner->touched, 1, sizeof(owner->touched));
	owner->replay_lsn = owner->last = 0;
	owner->reset = true;
}

void keeper_loaded(void *ctx, bool all)
{
	struct owner *owner = ctx;
	struct store_load_progress progress;
	store_get_load(owner->store, &progress);
	owner->loaded_late += all;
	if (owner->trust && progress.damaged > 0)
		owner_fail(owner, "a chunk of an honest disk is said to be damaged");
}

/* engine/replica/rejoin.c: see rejoin.h. The file, and the comparison as the follower sees it. */
#include "engine/replica/rejoin.h"

#include "base/arith.h"
#include "base/endian.h"
#include "engine/replica/renew.h"
#include "engine/replica/replica.h"

enum {
	BATCH_KEYS = 256,                 /* asked for at a time */
	BATCH_BYTES = 256 << 10,
	WRONG_HEAD = 30,      /* u8 have, database; u64 version, LSN, LSN of body; u32 length */
};

/* ---- The file ---- */

static void rejoin_parse(struct rejoin *rejoin, const char *text)
{
	unsigned cut;
	char word[EPOCH_TEXT];
	struct epoch epoch;
	unsigned long long base, common, cut_lsn, lost;
	char lineage[41];
	if (sscanf(text, "tintype-rejoin 3 %u %llu %llu %llu %llu %43s %40s", &cut, &base, &common, &cut_lsn, &lost,
	        word, lineage) != 7 || epoch_scan(word, &epoch) == 0) {
		log_warning(rejoin->engine->log, "%s cannot be read", rejoin->path);
		return;
	}
	rejoin->pending = true;
	rejoin->cut = cut != 0;
	rejoin->base = base;
	rejoin->common = common;
	rejoin->cut_lsn = cut_lsn;
	rejoin->lost_lsn = lost;
	rejoin->epoch = epoch;
	memcpy(rejoin->lineage, lineage, sizeof(lineage));
}

void rejoin_new(struct engine *engine)
{
	struct rejoin *rejoin = memory_zalloc(&engine->memory.engine, sizeof(*rejoin));
	struct buf text;
	engine->rejoin = rejoin;
	rejoin->engine = engine;
	buf_init(&rejoin->wrong, &engine->memory.engine);
	snprintf(rejoin->path, sizeof(rejoin->path), "%s/rejoin", engine->settings->dir);
	if (engine->settings->readonly)
		return;
	buf_init(&text, &engine->memory.engine);
	if (io_load_file(engine->io, rejoin->path, 512, &text) == OK) {
		buf_append_u8(&text, 0);
		rejoin_parse(rejoin, (const char *)text.ptr);
	}
	buf_fini(&text);
	if (engine->settings->replicaof[0] == 0)
		rejoin->cut = false;          /* nobody is there whose log it should be like */
}

static enum err rejoin_save(struct rejoin *rejoin)
{
	char text[256], word[EPOCH_TEXT];
	(void)epoch_word(word, &rejoin->epoch);
	int len = snprintf(text, sizeof(text), "tintype-rejoin 3 %d %llu %llu %llu %llu %s %s\n", rejoin->cut,
	    (unsigned long long)rejoin->base, (unsigned long long)rejoin->common,
	    (unsigned long long)rejoin->cut_lsn, (unsigned long long)rejoin->lost_lsn, word, rejoin->lineage);
	ASSERT(len > 0 && (size_t)len < sizeof(text));
	enum err err = io_save_file(rejoin->engine->io, rejoin->path, span_of(text, (size_t)len));
	if (err != OK)
		log_warning(rejoin->engine->log, "%s cannot be written: %s", rejoin->path, err_name(err));
	return err;
}

static void rejoin_removed(struct io_op *op, int32_t result)
{
	struct rejoin *rejoin = op->ctx;
	rejoin->removing = false;
	if (result < 0 && io_err(result) != ERR_NOTFOUND)
		log_warning(rejoin->engine->log, "%s cannot be removed: %s", rejoin->path,
		    err_name(io_err(result)));
}

static void rejoin_remove(struct rejoin *rejoin)
{
	rejoin->pending = rejoin->cut = false;
	rejoin->lost_lsn = 0;
	rejoin_reset(rejoin->engine);
	if (rejoin->removing)
		return;
	rejoin->removing = true;
	io_op_init(&rejoin->op, rejoin_removed, rejoin);
	io_unlink(rejoin->engine->io, &rejoin->op, rejoin->path);
}

void rejoin_free(struct engine *engine)
{
	struct rejoin *rejoin = engine->rejoin;
	if (rejoin == NULL)
		return;
	rejoin_reset(engine);
	while (rejoin->removing || rejoin->exporting != NULL) /* short, and the last thing to do */
		io_wait(engine->io, IO_FOREVER);
	buf_fini(&rejoin->wrong);
	memory_free(&engine->memory.engine, rejoin, sizeof(*rejoin));
	engine->rejoin = NULL;
}

void rejoin_follows(struct engine *engine)
{
	struct rejoin *rejoin = engine->rejoin;
	struct replication *replication = engine->replication;
	if (!rejoin->pending)
		return;
	replication->partial.base = rejoin->base;
	replication->partial.whole = UINT64_MAX;
	replication->partial.epoch = rejoin->epoch;
	memcpy(replication->partial.lineage, rejoin->lineage, sizeof(rejoin->lineage));
	replication->whole_least = 0;         /* nobody follows this server until it is over */
}

void rejoin_opened(struct engine *engine)
{
	struct rejoin *rejoin = engine->rejoin;
	if (!rejoin->pending)
		return;
	if (rejoin->cut) {
		rejoin->cut_lsn = store_last_lsn(engine->store);
		rejoin->cut = false;
		if (rejoin_save(rejoin) != OK)
			rejoin->cut = true;       /* once more at the next start: that does no harm */
	}
	if (engine->settings->replicaof[0] == 0)
		log_warning(engine->log, "this server leads, though something is missing behind LSN %llu",
		    (unsigned long long)rejoin->base);
}

static bool begin(struct engine *engine, uint64_t base, uint64_t cut_at, uint64_t lost)
{
	struct rejoin *rejoin = engine->rejoin;
	struct replication *replication = engine->replication;
	struct rejoin before = *rejoin;
	const char *lineage = replication->lineage[0] != 0 ? replication->lineage
	    : replication->leader_lineage[0] != 0 ? replication->leader_lineage
	                                          : replication->partial.lineage;
	if (!rejoin->pending || base < rejoin->base)
		rejoin->base = base;
	if (!rejoin->pending) {
		rejoin->cut_lsn = rejoin->common = 0;
		rejoin->epoch = replication->lineage[0] != 0 ? replication_epoch_now(engine)
		    : replication->leader_lineage[0] != 0 ? replication->leader_epoch
		                                          : replication->partial.epoch;
		memcpy(rejoin->lineage, lineage, sizeof(rejoin->lineage));
	}
	if (rejoin->lineage[0] == 0)
		return false;
	rejoin->cut = cut_at != 0;
	rejoin->common = cut_at != 0 ? cut_at : rejoin->common;
	rejoin->lost_lsn = max_u64(rejoin->lost_lsn, lost);
	rejoin->pending = true;
	if (rejoin_save(rejoin) != OK) {
		*rejoin = before;
		return false;
	}
	rejoin->rejoins++;
	if (engine_follows(engine))
		rejoin_follows(engine);
	return true;
}

bool rejoin_begin(struct engine *engine, uint64_t base)
{
	return begin(engine, base, 0, 0);
}

bool rejoin_begin_lost(struct engine *engine)
{
	bool leads = engine->settings->replicaof[0] == 0;
	return begin(engine, 1, 0, leads ? store_last_lsn(engine->store) : 0);
}

bool rejoin_note_lost(struct engine *engine, uint64_t lsn)
{
	return lsn <= engine->rejoin->lost_lsn || begin(engine, 1, 0, lsn);
}

bool rejoin_will_notice(const struct engine *engine, uint64_t lsn)
{
	return engine->rejoin->state == REJOIN_CATCHING_UP && lsn < engine->replication->agreed_lsn;
}

bool rejoin_begin_cut(struct engine *engine, uint64_t common)
{
	ASSERT(common > 0);
	return begin(engine, common, common, 0);
}

bool rejoin_diverged(struct engine *engine, uint64_t common, uint64_t last)
{
	uint64_t own = store_last_lsn(engine->store);
	if (engine->rejoin->exporting != NULL)
		return true;
	/* The cut takes an LSN behind our last, which must not be one of the leader's. */
	if (common >= own || common == 0 || last <= own + 1 || own - common > EPOCH_LSNS / 2)
		return false;
	return rejoin_export_start(engine, common);
}

void rejoin_forget(struct engine *engine)
{
	if (rejoin_is_pending(engine))
		rejoin_remove(engine->rejoin);
}

uint64_t rejoin_from(const struct engine *engine)
{
	const struct rejoin *rejoin = engine->rejoin;
	uint64_t last = store_last_lsn(engine->store);
	bool nothing_came = rejoin->pending && rejoin->cut_lsn == last;
	return nothing_came ? rejoin->common : last;
}

/* ---- The comparison ---- */

static void told_drop(struct rejoin *rejoin)
{
	if (rejoin->told != NULL)
		memory_free(&rejoin->engine->memory.engine, rejoin->told,
		    rejoin->told_cap * sizeof(*rejoin->told));
	rejoin->told = NULL;
	rejoin->told_count = rejoin->told_cap = 0;
}

void rejoin_reset(struct engine *engine)
{
	struct rejoin *rejoin = engine->rejoin;
	struct memory *memory = &engine->memory.engine;
	size_t buckets = (size_t)1 << rejoin->bits;
	if (rejoin->own != NULL) {
		memory_free(memory, rejoin->own, buckets * sizeof(*rejoin->own));
		memory_free(memory, rejoin->theirs, buckets * sizeof(*rejoin->theirs));
		memory_free(memory, rejoin->todo, buckets / 8);
		memory_free(memory, rejoin->wanted, buckets / 8);
	}
	told_drop(rejoin);
	rejoin->own = rejoin->theirs = NULL;
	rejoin->todo = rejoin->wanted = NULL;
	rejoin->walked = rejoin->has_theirs = false;
	buf_clear(&rejoin->wrong);
	rejoin->wrong_at = 0;
	rejoin->state = REJOIN_CATCHING_UP;
}

static void ask(struct engine *engine, const struct span *words, uint32_t count)
{
	follower_command(&engine->replication->follower, words, count);
}

static void begin_sums(struct rejoin *rejoin)
{
	struct engine *engine = rejoin->engine;
	struct memory *memory = &engine->memory.engine;
	char bits[24];
	rejoin->bits = compare_bits(engine);
	size_t buckets = (size_t)1 << rejoin->bits;
	rejoin->own = memory_zalloc(memory, buckets * sizeof(*rejoin->own));
	rejoin->theirs = memory_zalloc(memory, buckets * sizeof(*rejoin->theirs));
	rejoin->todo = memory_zalloc(memory, buckets / 8);
	rejoin->wanted = memory_zalloc(memory, buckets / 8);
	rejoin->walk =
	    (struct compare_walk){.engine = engine, .bits = rejoin->bits, .sums = rejoin->own};
	rejoin->walked = rejoin->has_theirs = false;
	rejoin->keys_wrong = 0;
	rejoin->state = REJOIN_SUMMING;
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("COMPARE"), frame_word(bits, rejoin->bits)};
	ask(engine, words, ARRAY_COUNT(words));
}

/* ---- Keys that the leader named ---- */

static uint64_t key_hash(uint8_t db, struct span key)
{
	uint64_t hash = XXH3_64bits_withSeed(key.ptr, key.len, 0x7265ULL + db);
	return hash == 0 ? 1 : hash;
}

static void told_put(uint64_t *told, uint32_t cap, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (cap - 1);
	while (told[at] != 0 && told[at] != hash)
		at = (at + 1) & (cap - 1);
	told[at] = hash;
}

static void told_add(struct rejoin *rejoin, uint64_t hash)
{
	struct memory *memory = &rejoin->engine->memory.engine;
	if (2 * (rejoin->told_count + 1) > rejoin->told_cap) {
		uint32_t cap = rejoin->told_cap == 0 ? 1024 : 2 * rejoin->told_cap;
		uint64_t *more = memory_zalloc(memory, cap * sizeof(*more));
		for (uint32_t i = 0; i < rejoin->told_cap; i++)
			if (rejoin->told[i] != 0)
				told_put(more, cap, rejoin->told[i]);
		if (rejoin->told != NULL)
			memory_free(memory, rejoin->told, rejoin->told_cap * sizeof(*rejoin->told));
		rejoin->told = more;
		rejoin->told_cap = cap;
	}
	told_put(rejoin->told, rejoin->told_cap, hash);
	rejoin->told_count++;
}

static bool was_told(const struct rejoin *rejoin, uint64_t hash)
{
	if (rejoin->told_cap == 0)
		return false;
	uint32_t at = (uint32_t)hash & (rejoin->told_cap - 1);
	while (rejoin->told[at] != 0 && rejoin->told[at] != hash)
		at = (at + 1) & (rejoin->told_cap - 1);
	return rejoin->told[at] == hash;
}

static void note_wrong(struct rejoin *rejoin, uint8_t db, struct span key,
    const struct compare_version *own, uint64_t body_lsn)
{
	uint8_t head[WRONG_HEAD];
	struct place place;
	enum renew_have have = RENEW_NO_BODY;
	if (body_lsn != 0 && own->body_lsn == body_lsn)
		have = RENEW_BODY;
	else if (body_lsn != 0 && past_held_place(rejoin->engine, body_lsn, &place))
		have = RENEW_BODY_ELSEWHERE;
	head[0] = (uint8_t)have;
	head[1] = db;
	store_le64(head + 2, own->hash);
	store_le64(head + 10, own->lsn);
	store_le64(head + 18, body_lsn);
	store_le32(head + 26, (uint32_t)key.len);
	buf_append(&rejoin->wrong, span_of(head, sizeof(head)));
	buf_append(&rejoin->wrong, key);
	rejoin->keys_wrong++;
}

/* What comes behind `told_lsn` comes in the stream. */
static void check_listed(struct rejoin *rejoin, uint64_t lsn, const struct frame_listed *listed)
{
	struct compare_version own;
	compare_find(rejoin->engine, listed->db, listed->key, &own);
	told_add(rejoin, key_hash(listed->db, listed->key));
	if (own.hash == listed->version || listed->lsn > lsn || own.lsn > lsn)
		return;
	note_wrong(rejoin, listed->db, listed->key, &own, listed->body_lsn);
}

static void on_own_key(void *ctx, uint8_t db, struct span key, const struct compare_version *version)
{
	struct rejoin *rejoin = ctx;
	if (version->lsn <= rejoin->told_lsn && !was_told(rejoin, key_hash(db, key)))
		note_wrong(rejoin, db, key, version, 0);
}

static void on_own_setting(void *ctx, struct span key)
{
	struct rejoin *rejoin = ctx;
	const struct compare_version own = {.hash = 1};
	note_wrong(rejoin, RECORD_ALL_DBS, key, &own, 0);
	rejoin->keys_wrong--;                 /* the leader sees whether it is */
}

/* The next buckets, up to a number of keys; none left: what is wrong is asked for. */
static void next_round(struct rejoin *rejoin)
{
	size_t buckets = (size_t)1 << rejoin->bits;
	uint64_t keys = 0, chosen = 0;
	char bits[24];
	told_drop(rejoin);
	memset(rejoin->wanted, 0, buckets / 8);
	for (size_t i = 0; i < buckets && (chosen == 0 || keys < COMPARE_KEYS_MAX); i++) {
		uint8_t bit = (uint8_t)(1U << i % 8);
		if ((rejoin->todo[i / 8] & bit) == 0)
			continue;
		rejoin->todo[i / 8] &= (uint8_t)~bit;
		rejoin->wanted[i / 8] |= bit;
		keys += rejoin->own[i].keys + rejoin->theirs[i].keys;
		chosen++;
	}
	if (chosen == 0) {
		settings_each_key(rejoin->engine, on_own_setting, rejoin);
		rejoin->state = REJOIN_RENEWING;
		rejoin->number_got = rejoin->number;
		return;
	}
	rejoin->state = REJOIN_LISTING;
	rejoin->told_lsn = UINT64_MAX;
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("LIST"), frame_word(bits, rejoin->bits),
	    span_of(rejoin->wanted, buckets / 8)};
	ask(rejoin->engine, words, ARRAY_COUNT(words));
}

/* ---- Frames ---- */

static enum err take_sums(struct rejoin *rejoin, struct span payload)
{
	size_t buckets = (size_t)1 << rejoin->bits;
	uint64_t lsn;
	uint32_t bits;
	enum err err = frame_read_compared(&payload, &lsn, &bits);
	if (err != OK || rejoin->state != REJOIN_SUMMING || rejoin->has_theirs || bits != rejoin->bits ||
	    payload.len != buckets * COMPARE_SUM_BYTES)
		return ERR_INVALID;
	for (size_t i = 0; i < buckets; i++) {
		const uint8_t *at = payload.ptr + i * COMPARE_SUM_BYTES;
		rejoin->theirs[i] = (struct compare_sum){load_le64(at), load_le32(at + 8)};
	}
	rejoin->has_theirs = true;
	return OK;
}

static enum err take_listed(struct rejoin *rejoin, struct span payload)
{
	struct frame_listed listed;
	uint64_t lsn;
	uint32_t flags;
	enum err err = frame_read_compared(&payload, &lsn, &flags);
	if (err != OK || rejoin->state != REJOIN_LISTING || (flags & ~(uint32_t)FRAME_LAST) != 0)
		return ERR_INVALID;
	rejoin->told_lsn = min_u64(rejoin->told_lsn, lsn);
	while ((err = frame_listed_take(&payload, &listed)) == OK)
		check_listed(rejoin, lsn, &listed);
	if (err != ERR_NOTFOUND)
		return err;
	if ((flags & FRAME_LAST) != 0) {
		rejoin->walk = (struct compare_walk){.engine = rejoin->engine, .bits = rejoin->bits,
		    .wanted = rejoin->wanted, .each = on_own_key, .ctx = rejoin};
		rejoin->state = REJOIN_SEEKING;
	}
	return OK;
}

enum err rejoin_frame(struct engine *engine, enum frame_type type, struct span payload)
{
	struct rejoin *rejoin = engine->rejoin;
	uint64_t number, lsn;
	if (!rejoin->pending)
		return ERR_INVALID;
	if (type == FRAME_SUMS)
		return take_sums(rejoin, payload);
	if (type == FRAME_LISTED)
		return take_listed(rejoin, payload);
	enum err err = frame_read_renewed(payload, &number, &lsn);
	if (err != OK || rejoin->state != REJOIN_RENEWING || number != rejoin->number)
		return ERR_INVALID;
	rejoin->number_got = number;
	rejoin->whole = lsn;
	return OK;
}

/* ---- Steps ---- */

static void sums_compare(struct rejoin *rejoin)
{
	size_t buckets = (size_t)1 << rejoin->bits;
	for (size_t i = 0; i < buckets; i++)
		if (rejoin->own[i].sum != rejoin->theirs[i].sum ||
		    rejoin->own[i].keys != rejoin->theirs[i].keys)
			rejoin->todo[i / 8] |= (uint8_t)(1U << i % 8);
	next_round(rejoin);
}

/* The request at wrong_at, unless the key has changed since. */
static void ask_for_one(struct rejoin *rejoin)
{
	const uint8_t *head = rejoin->wrong.ptr + rejoin->wrong_at;
	struct span key = span_of(head + WRONG_HEAD, load_le32(head + 26));
	uint64_t version = load_le64(head + 2);
	struct compare_version now;
	char db[24], have[24], known[24], lsn[24], body[24];
	rejoin->wrong_at += WRONG_HEAD + key.len;
	if (head[1] != RECORD_ALL_DBS) {
		compare_find(rejoin->engine, head[1], key, &now);
		if (now.hash != version)
			return;
	}
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("RENEW"),
	    frame_word(db, head[1]), frame_word(have, head[0]), frame_word(known, version),
	    frame_word(lsn, load_le64(head + 10)), frame_word(body, load_le64(head + 18)), key};
	ask(rejoin->engine, words, ARRAY_COUNT(words));
}

/* A batch of requests, once the one before was answered; at last an empty one, for its LSN. */
static void ask_for_wrong(struct rejoin *rejoin)
{
	char number[24];
	if (rejoin->number_got != rejoin->number)
		return;
	if (rejoin->wrong_at == rejoin->wrong.len && rejoin->wrong_at > 0) {
		buf_clear(&rejoin->wrong);
		rejoin->wrong_at = 0;
	} else if (rejoin->wrong.len == 0 && rejoin->whole != 0) {
		log_notice(rejoin->engine->log, "replication: %llu keys differed; whole at LSN %llu",
		    (unsigned long long)rejoin->keys_wrong, (unsigned long long)rejoin->whole);
		rejoin->keys_renewed += rejoin->keys_wrong;
		rejoin->state = REJOIN_SETTLING;
		return;
	}
	size_t from = rejoin->wrong_at;
	for (int i = 0; i < BATCH_KEYS && rejoin->wrong_at < rejoin->wrong.len &&
	     rejoin->wrong_at - from < BATCH_BYTES; i++)
		ask_for_one(rejoin);
	rejoin->whole = 0;
	const struct span words[] = {
	    SPAN_LIT("REPLCONF"), SPAN_LIT("RENEWED"), frame_word(number, ++rejoin->number)};
	ask(rejoin->engine, words, ARRAY_COUNT(words));
}

static void settle(struct rejoin *rejoin, uint64_t durable)
{
	struct engine *engine = rejoin->engine;
	struct replication *replication = engine->replication;
	if (durable < max_u64(rejoin->whole, replication->gap_whole) || !list_is_empty(&replication->pending))
		return;
	log_notice(engine->log, "replication: the same as the leader again, at LSN %llu",
	    (unsigned long long)durable);
	replication->partial.whole = replication->whole_least = 0;
	replication->acked_us = 0;
	rejoin_remove(rejoin);
}

bool rejoin_step(struct engine *engine, uint64_t durable)
{
	struct rejoin *rejoin = engine->rejoin;
	struct replication *replication = engine->replication;
	if (!rejoin->pending || engine->loading || engine->partly)
		return false;
	switch ((enum rejoin_state)rejoin->state) {
	case REJOIN_CATCHING_UP:
		if (max_u64(replication->position, replication->received) < replication->agreed_lsn)
			return false;
		begin_sums(rejoin);
		return true;
	case REJOIN_SUMMING:
		if (!rejoin->walked)
			rejoin->walked = compare_step(&rejoin->walk);
		if (rejoin->walked && rejoin->has_theirs)
			sums_compare(rejoin);
		return !rejoin->walked;
	case REJOIN_SEEKING:
		if (!compare_step(&rejoin->walk))
			return true;
		next_round(rejoin);
		return true;
	case REJOIN_RENEWING:
		ask_for_wrong(rejoin);
		return false;
	case REJOIN_SETTLING:
		settle(rejoin, durable);
		return false;
	case REJOIN_LISTING:
	default:
		return false;
	}
}

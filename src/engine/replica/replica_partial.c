/* engine/replica/replica_partial.c: what a walk left out.
 *
 * A leader that reads its log from the disk for a follower leaves out what has died: later records
 * supersede it. Until those have come, the follower's state is not what the leader's was at any time,
 * and of what was acknowledged before something may be missing. So it is partial from the LSN before
 * the first gap (`base`) until it has all up to the leader's last LSN of then (`whole`). As long as it
 * is, it acknowledges and shows `base` only, so that no quorum counts it and no Sentinel prefers it.
 * If the leader changes meanwhile, nobody can tell what is missing: then it begins anew.
 *
 * It is noted in the log, in a SETTING that takes an LSN of the gap: "<base> <whole> <epoch> <lineage>".
 */
#include "engine/replica/replica.h"

#include "base/arith.h"
#include "base/varint.h"
#include "engine/chunk.h"
#include "store/follow.h"

static const struct span partial_dump_name = {(const uint8_t *)"\1partial", 8};

bool replication_is_partial(const struct engine *engine)
{
	return engine->replication->partial.whole != 0;
}

uint64_t replication_offset(const struct engine *engine)
{
	const struct replication *replication = engine->replication;
	if (!replication->is_follower)
		return store_last_lsn(engine->store);
	return replication_is_partial(engine)
	    ? min_u64(replication->partial.base, replication->applied) : replication->applied;
}

void replication_reached(struct engine *engine, uint64_t lsn)
{
	struct replication *replication = engine->replication;
	if (replication->partial.whole == 0 || lsn < replication->partial.whole)
		return;
	replication->partial.whole = replication->whole_least = 0;
	replication->acked_us = 0;
	log_verbose(engine->log, "replication: whole again at LSN %llu", (unsigned long long)lsn);
}

bool replication_partial_is_lost(const struct engine *engine, const struct epoch *epoch)
{
	return replication_is_partial(engine) && !epoch_equal(epoch, &engine->replication->partial.epoch);
}

static bool partial_parse(struct engine *engine, struct span text)
{
	struct replication *replication = engine->replication;
	char copy[160], lineage[41];
	unsigned long long base, whole;
	char word[EPOCH_TEXT];
	struct epoch epoch;
	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	if (sscanf(copy, "%llu %llu %43s %40s", &base, &whole, word, lineage) != 4 || epoch_scan(word, &epoch) == 0)
		return false;
	replication->partial.base = base;
	/* Without end: the file dir/rejoin says so, for as long as it is there. */
	replication->partial.whole = replication->whole_least = whole == UINT64_MAX ? 0 : whole;
	replication->partial.epoch = epoch;
	memcpy(replication->partial.lineage, lineage, sizeof(lineage));
	return true;
}

static void partial_format(const struct replication *replication, struct buf *out)
{
	char word[EPOCH_TEXT];
	(void)epoch_word(word, &replication->partial.epoch);
	buf_printf(out, "%llu %llu %s %s", (unsigned long long)replication->partial.base,
	    (unsigned long long)replication->partial.whole, word,
	    replication->partial.lineage);
}

static void partial_take_place(struct engine *engine, struct place place)
{
	struct replication *replication = engine->replication;
	if (replication->partial.place.segment != 0)
		store_release(engine->store, replication->partial.place);
	replication->partial.place = place;
}

enum err replication_note_gap(struct engine *engine, const struct record *next)
{
	struct replication *replication = engine->replication;
	uint64_t whole = replication->gap_whole;
	if (whole <= next->lsn || whole <= replication->partial.whole)
		return ERR_NOTFOUND;          /* it will be over by then; or is noted already */
	const struct partial before = replication->partial;
	struct buf text;
	if (replication->partial.whole == 0)
		replication->partial.base = store_last_lsn(engine->store);
	replication->partial.whole = whole;
	replication->partial.epoch = replication->leader_epoch;
	memcpy(replication->partial.lineage, replication->leader_lineage, sizeof(before.lineage));
	buf_init(&text, &engine->memory.engine);
	partial_format(replication, &text);
	struct record record = {
	    .type = RECORD_SETTING,
	    .db = RECORD_ALL_DBS,
	    .key = span_text(LOCAL_SETTING),
	    .value = buf_span(&text),
	    .sync = SYNC_ALWAYS,
	};
	enum err err = store_note_gap(engine->store, next, &record);
	buf_fini(&text);
	if (err != OK) {
		replication->partial = before;
		return err;
	}
	replication->whole_least = whole;
	partial_take_place(engine, record.place);
	return OK;
}

bool partial_setting(struct engine *engine, const struct record *record)
{
	if (!span_is(record->key, LOCAL_SETTING))
		return false;
	if (!partial_parse(engine, record->value))
		log_warning(engine->log, "the record of what replication left out cannot be read");
	partial_take_place(engine, record->place);
	return true;
}

void partial_dump(const struct engine *engine, struct buf *out)
{
	const struct replication *replication = engine->replication;
	struct buf text;
	if (replication->partial.place.segment == 0)
		return;
	buf_init(&text, out->memory);
	partial_format(replication, &text);
	put_setting(out, partial_dump_name, replication->partial.place, buf_span(&text));
	buf_fini(&text);
}

bool partial_load(struct engine *engine, struct span name, struct span text, struct place place)
{
	if (!span_equal(name, partial_dump_name))
		return false;
	if (!partial_parse(engine, text))
		log_warning(engine->log, "the checkpoint's note of replication cannot be read");
	engine->replication->partial.place = place;
	return true;
}

/* engine/internal.h: what the files of this folder share and nobody else sees. */
#pragma once
#include "engine/engine.h"
#include "engine/evict.h"
#include "engine/past/past.h"
#include "engine/pubsub.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "store/chunks.h"

#include <stdarg.h>
#include <stdio.h>

enum { ENGINE_MAGIC = 0x454e474e };
#define DOCID_NONE UINT32_MAX                 /* an image without a document, see reindex.c */

/* The key's entry changed: the next checkpoint of either slot writes it. */
static inline void engine_touch(struct engine *engine, uint8_t db, uint64_t hash)
{
	engine->marks[db][hash % CHECKPOINT_MARKS] |= 3;
	if (UNLIKELY(engine->watch_filter != NULL))
		watch_touched(engine, db, hash);
}

/* The same, said to clients that cache it. */
static inline void engine_change(struct engine *engine, uint8_t db, struct span key, uint64_t hash)
{
	engine_touch(engine, db, hash);
	if (UNLIKELY(engine->tracking != NULL))
		tracking_changed(engine, key, engine->by_itself);
}

/* As engine_touch where only the place of a record changed. */
static inline void engine_touch_place(struct engine *engine, uint8_t db, uint64_t hash)
{
	engine->marks[db][hash % CHECKPOINT_MARKS] |= 3;
}

/* chunk.c: store_adopt, and whether the record had moved is counted. */
void engine_adopt(struct engine *engine, struct place *place, uint64_t lsn);

/* session.c */
void sessions_unpress(struct engine *engine);

/* keys.c */
/* engine_delete of what no client deletes: its time was up, or memory was short. */
MUST_CHECK enum err engine_delete_by_itself(
    struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash, uint64_t *lsn);
bool engine_is_expired(struct engine *engine, const struct entry *entry);
/* Deletes with a tombstone. The reply, if any, is gated by the caller through *lsn. */
MUST_CHECK enum err engine_delete(
    struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash, uint64_t *lsn);
/* Forgets an entry: its records go to the past or die, its document leaves the index. */
void engine_forget(struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash,
    const struct ending *ending);
void engine_expire_some(struct engine *engine);
/* About what a value takes in the log. */
uint64_t engine_value_bytes(const struct entry *entry);
/* Allocated for it, in the entry and elsewhere. */
uint64_t engine_entry_bytes(const struct entry *entry);
/* The reply must wait for `lsn` if changes to this type are promised to be durable. */
void call_gate(struct call *call, enum entry_type type, uint64_t lsn);
/* store_append for a record whose `value` may be of any length. ERR_MEMORY besides. */
MUST_CHECK enum err engine_append(struct engine *engine, struct record *record);
/* A value takes the place of an image that becomes history: the image's end is a record of its own
 * (call_end_image; `target` has no entry then), in one group with the value's. A tombstone stays for
 * as long as anything older does; the value's record does not, and without it the image would seem
 * to have lasted longer. */
struct target;
bool call_needs_end(const struct engine *engine, const struct target *target);
MUST_CHECK enum err call_end_image(struct call *call, struct target *target);
enum sync_level engine_sync_level(const struct engine *engine, enum entry_type type);
/* Tells the index where an image's entry lies now. */
void engine_entry_moved(struct engine *engine, uint8_t db, struct entry *entry);

/* recover.c */
void engine_recovered(void *ctx, const struct record *record);
void engine_foreseen(void *ctx, uint8_t db, struct span key);
void engine_progress(void *ctx, uint64_t told, uint64_t left);
bool engine_relocated(void *ctx, const struct record *record, struct place from, struct place to);
void engine_drop_awaited(struct engine *engine);
enum liveness engine_is_live(void *ctx, const struct record *record);
bool engine_whereabouts(void *ctx, const struct record *record, struct place *now);
void engine_record_corrupt(void *ctx, struct place place, const struct record *record);
void engine_say_corrupt(struct engine *engine, struct place place, uint64_t lsn, struct span key);

/* doubts.c */
void doubt_add(struct engine *engine, struct place place, const struct record *record);
/* `record` was recovered. */
void doubts_settle(struct engine *engine, const struct record *record);
/* Nothing comes any more: what is left is missing, and said. */
void doubts_end(struct engine *engine);
void doubts_clear(struct engine *engine);

/* metadata.c */
struct metadata_load {
	struct list       link;
	struct engine    *engine;
	struct store_read read;
	uint64_t          lsn;
	void            (*done)(struct metadata_load *load, enum err err, struct body *body);
	void             *ctx;
	struct session   *session;        /* parked until it ends, or NULL */
};
/* A reference, or NULL. */
struct body *metadata_cached(struct engine *engine, const struct image_ref *ref);
/* Caches it; *out (may be NULL) gets a reference. */
MUST_CHECK enum err metadata_remember(
    struct engine *engine, uint64_t lsn, struct span encoded, struct body **out);
/* Caller fills done, ctx and session; done() gets a reference with OK. */
void metadata_load(
    struct engine *engine, const struct image_ref *ref, struct metadata_load *load);
/* A reference; ERR_AGAIN: the session was parked and the command will run again. */
MUST_CHECK enum err call_metadata(
    struct call *call, const struct image_ref *ref, struct body **out);
void loads_forget(struct engine *engine, struct session *session);
void loads_cancel(struct engine *engine);

/* document.c */
struct image_meta;
MUST_CHECK enum err engine_index_add(
    struct engine *engine, uint8_t db, struct entry *entry, const struct image_meta *meta);

/* pixels.c */
/* Of this database; makes it, with who answers for its images' pixels. */
struct index *engine_index(struct engine *engine, uint8_t db);
/* Takes over both as those of a database that has none. */
void engine_index_adopt(
    struct engine *engine, uint8_t db, struct index *index, struct similar *similar);
/* Frees them. */
void engine_index_drop(struct engine *engine, uint8_t db);

/* engine.c */
/* It was a follower, and is none any more. */
void engine_took_over(struct engine *engine);
bool indexes_sweep(struct engine *engine);

/* dedupe.c */
void dedupe_new(struct engine *engine);
void dedupe_free(struct engine *engine);
/* The body of this entry's image has this digest. */
void dedupe_note(
    struct engine *engine, uint8_t db, struct entry *entry, const struct digest *etag);
void dedupe_forget(struct engine *engine, struct session *session);
void dedupe_count(struct engine *engine, uint64_t body_bytes);
/* Where the body of this LSN lies, whose digest this is. False: it is not known. */
bool dedupe_find(struct engine *engine, const struct digest *digest, uint64_t lsn, struct place *place);
void dedupe_info(const struct engine *engine, struct buf *out);
/* Appends {u32 document, u64 LSN, u64 digest} of the bodies of one shard of the digests (there are
 * TWIN_SHARDS) that belong to documents of this database; such a digest again. */
void dedupe_dump(const struct engine *engine, uint8_t db, uint32_t shard, struct buf *out);
void dedupe_note_digest(struct engine *engine, uint8_t db, struct entry *entry, uint64_t digest);
/* A body that is stored and has the same bytes. ERR_NOTFOUND; ERR_AGAIN: the session was parked
 * and the command will run again. */
MUST_CHECK enum err call_find_twin(struct call *call, struct body *body, struct image_ref *out);

/* verify.c, scrub.c */
bool checks_step(struct engine *engine);
void checks_cancel(struct engine *engine);
void scrub_new(struct engine *engine);
void scrub_free(struct engine *engine);
bool scrub_step(struct engine *engine);
void scrub_info(const struct engine *engine, struct buf *out);
/* Logs a value again as it is, in another place. */
MUST_CHECK enum err engine_rewrite_value(struct engine *engine, uint8_t db, struct entry *entry);

/* proof.c */
bool proofs_step(struct engine *engine);
void proofs_cancel(struct engine *engine);

/* wait.c */
void waits_step(struct engine *engine);
uint64_t waits_count(const struct engine *engine);

/* find.c */
bool searches_step(struct engine *engine);
void searches_cancel_db(struct engine *engine, uint8_t db);

/* tier.c */
MUST_CHECK enum err tiers_new(struct engine *engine);
void tiers_free(struct engine *engine);
void tiers_opened(struct engine *engine);
void tiers_setting(struct engine *engine, const struct record *record);   /* recovery */
/* Recovery from a checkpoint: the policies that it holds, nothing is released. */
void tiers_clear(struct engine *engine);
void tiers_set_default(struct engine *engine);
void tiers_load_policy(struct engine *engine, struct span name, struct span text,
    struct place place);
/* A record that is known already lies at its place now. False: there is no such policy. */
bool tiers_setting_follow(struct engine *engine, const struct record *record);
bool tiers_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to);
bool tiers_setting_is_live(struct engine *engine, const struct record *record);

/* service.c */
MUST_CHECK enum err image_service_new(struct engine *engine);
void image_service_close(struct engine *engine, void (*closed)(void *ctx), void *ctx);
void image_service_free(struct engine *engine);
void image_service_configure(struct engine *engine);
uint64_t image_service_shrink(struct engine *engine, uint64_t bytes);

/* engine/apply.h: the effect of each record type on memory (apply.c). */
#pragma once
#include "engine/internal.h"

/* A key, and what it names now. */
struct target {
	uint8_t       db;
	struct span   key;
	uint64_t      hash;
	struct entry *entry;              /* NULL: nothing */
};

/* RECORD_VALUE of a string or a small collection. `record` has value or body, expire_ms, lsn, place, and
 * metadata that value_type_of (collection_log.h) accepts. */
struct entry *apply_value(
    struct engine *engine, const struct target *target, const struct record *record);
/* RECORD_VALUE of a large one, or the last CHANGE of its dump: takes `collection` over. */
struct collection;
struct entry *apply_collection(struct engine *engine, const struct target *target,
    const struct record *record, struct collection *collection);
/* RECORD_CHANGE of a large one, whose operations the caller does. */
void apply_change(
    struct engine *engine, const struct target *target, const struct record *record);
/* RECORD_IMAGE. ERR_CORRUPT: its metadata cannot be read; ERR_FULL: the index is. */
MUST_CHECK enum err apply_image(
    struct engine *engine, const struct target *target, const struct record *record);
/* RECORD_META. ERR_NOTFOUND: the key names another image by now. */
MUST_CHECK enum err apply_meta(
    struct engine *engine, const struct target *target, const struct record *record);
/* RECORD_LINK: the key names the body at `body`, which is alive and whose LSN is record->refers. */
MUST_CHECK enum err apply_link(struct engine *engine, const struct target *target,
    const struct record *record, struct place body);
/* RECORD_EXPIRE. The entry must be there; it may move. */
struct entry *apply_expire(
    struct engine *engine, const struct target *target, const struct record *record);
/* RECORD_FLUSH. */
void apply_flush(struct engine *engine, const struct record *record);
/* The same, but keys that changed later stay: they came from a checkpoint. */
void apply_flush_before(struct engine *engine, const struct record *record);

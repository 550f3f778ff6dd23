/* engine/collection/collection_log.h: a large collection and its records in the log.
 *
 * It begins with a VALUE record (all of it) and goes on with CHANGE records, each of which names
 * the one before it (`refers`), so that a restart notices when one is missing. Their metadata is
 * one letter and what belongs to it:
 *
 *   VALUE    'H' 'L' 'T' 'Z' | u8 encoding      body: value_dump        (small ones: 'h' 'l' 't' 'z')
 *   CHANGE   'c'                                body: operations (cache/ops.h)
 *            'b' | type letter | u8 encoding | varint head number, folded | varint count
 *            'p'                                body: operations of value_dump_some, or OP_PUT
 *            'e'                                expire_ms: the deadline
 *
 * When the changes outweigh the rest it is written anew: a short one as one VALUE, others in slices of
 * rewrite-slice-bytes: a 'b', then parts while changes go on, and an 'e'. Parts and changes from 'b' on,
 * done in the order of the log on an empty value, give what there is: operations on members may be done
 * twice. Of a list the parts say what stood where when the dump began (places counted from the head of
 * then), and the changes are done behind the last part. A change that moves elements about
 * (ops_have_places) ends the dump without an 'e'; then what came before 'b' still counts. No dump is
 * under way while a checkpoint is written: the log behind it has all of a dump, or nothing.
 *
 * All records of a chain stay alive until a new VALUE, or an 'e', makes those before it dead.
 */
#pragma once
#include "engine/apply.h"
#include "engine/collection/collection.h"

enum { COLLECTION_MAGIC = 0x434f4c4c };

struct collection_record {
	uint32_t     lsn_low;
	uint16_t     lsn_high, spare;
	struct place place;
};
_Static_assert(sizeof(struct collection_record) == 20, "one for each change");

struct collection {
	uint32_t     magic;
	uint32_t     told;            /* loading: so many of its records were applied */
	struct value value;
	struct collection_record *records;
	uint32_t     count, cap;
	uint64_t     full_lsn;        /* of the VALUE or 'e': it says the deadline, too */
	uint64_t     begin_lsn;       /* of the dump under way; 0: none */
	uint64_t     full_bytes;      /* in the log, as are those of changes */
	uint64_t     change_bytes : 48;
	uint64_t     aborts : 8;      /* dumps in a row that came to nothing */
	uint64_t     is_due : 1;      /* waits to be written anew */
};
_Static_assert(sizeof(struct collection) == 112, "a size that the allocator has");

static inline uint64_t collection_record_lsn(const struct collection_record *record)
{
	return (uint64_t)record->lsn_high << 32 | record->lsn_low;
}

static inline struct collection *entry_large(const struct entry *entry)
{
	struct collection *collection = entry_object(entry);
	if (collection != NULL)
		CHECK_OBJ(collection, COLLECTION_MAGIC);
	return collection;
}

struct collections;

void collections_new(struct engine *engine);
void collections_free(struct engine *engine);         /* before the directories */
void collections_configure(struct engine *engine);    /* settings are new */
/* Slices of freeing, and of writing anew. True: there is more to do at once. */
bool collections_step(struct engine *engine);
/* No chunk may hold the beginning of a dump, whose end makes all that the chunk needs dead: false while
 * one is under way. One that cannot go on now is given up, to begin anew. */
bool collections_let_checkpoint(struct engine *engine);
struct value_limits *collections_limits(struct engine *engine);
/* The key at `target` becomes this value, as a VALUE record in a group that the caller began. `value`, which
 * is not empty, is taken over if it is large, and the caller's otherwise. */
MUST_CHECK enum err engine_store_value(
    struct call *call, const struct target *target, struct value *value, int64_t expire_ms);
/* A buffer for operations that was used before, and back. */
void collections_take_ops(const struct engine *engine, struct buf *ops);
void collections_give_ops(const struct engine *engine, struct buf *ops);

/* The letter of a type in a record, small or not; 0: it has none. */
uint8_t value_letter(enum entry_type type, bool is_large);
/* The type that a VALUE record's metadata names. ERR_VERSION. */
MUST_CHECK enum err value_type_of(struct span meta, enum entry_type *type, bool *is_large);

/* Takes over `value`, which is empty afterwards. `record`: its VALUE. */
struct collection *collection_new(struct engine *engine, struct value *value, const struct record *record);
/* At once, and without a word to the store. */
void collection_free(struct engine *engine, struct collection *collection);
/* Its records are released, and it is freed in slices if it is long. */
void collection_retire(struct engine *engine, struct collection *collection);
/* All of them go, those that are nobody's any more too, without a word to the store: what was loaded counts
 * for nothing. */
void collections_clear(struct engine *engine);
uint64_t collection_bytes(const struct collection *collection);

/* A CHANGE record of kind 'c', with meta and refers; the caller adds the operations, and the rest. */
void collection_fill_change(const struct collection *collection, struct record *record);
/* If the last record in the log is a change of this collection, made in this pass, these operations become
 * part of it: *lsn is its LSN. */
bool collection_join_change(
    struct engine *engine, struct collection *collection, struct span ops, uint64_t *lsn);
/* Nothing more may be joined with what was logged so far. */
void collections_end_pass(const struct engine *engine);
/* What follows such a record once it is in the log. */
void collection_changed(struct engine *engine, const struct target *target, const struct record *record,
    struct edit *edit);               /* NULL: it was joined with the record before */
/* Appends a VALUE for all of it. */
MUST_CHECK enum err collection_rewrite(struct engine *engine, const struct target *target);
/* Asks for that, in the background. */
void collection_due(struct engine *engine, const struct target *target);

/* Recovery: ERR_NOTFOUND: nobody needs the record. */
MUST_CHECK enum err collection_recover_value(
    struct engine *engine, const struct target *target, const struct record *record);
MUST_CHECK enum err collection_recover_change(
    struct engine *engine, const struct target *target, const struct record *record);
/* Before that, of a record that is not in the log yet: a long value is made in slices, of which this is one.
 * ERR_AGAIN: there are more. ERR_CORRUPT. */
MUST_CHECK enum err collection_prepare(struct engine *engine, const struct record *record);
void collections_drop_preparing(struct engine *engine);       /* it does not come */
/* One that the chunk of a checkpoint asked for. */
void collection_recover_fetched(
    struct engine *engine, const struct target *target, const struct record *record);
void collections_recovered(struct engine *engine);    /* the log was replayed */
void collections_drop_assembling(struct engine *engine);      /* it begins anew */
/* Bytes of a small value, as they are in an entry: may they be read? */
bool value_is_sound(enum entry_type type, struct span bytes);
/* Where a record of this LSN lies, or NULL: it is none of these. */
struct place *collection_place(struct collection *collection, uint64_t lsn);

/* In the chunk of a checkpoint: numbers, records and, up to BODY_INLINE_MAX bytes, the value. */
bool collection_needs_fetch(const struct collection *collection);
void collection_write(const struct collection *collection, struct buf *out);
/* The other way; adopts its records. NULL: this cannot be. *fetch: they are to be told. */
struct collection *collection_load(struct engine *engine, enum entry_type type, struct span *in, bool *fetch);

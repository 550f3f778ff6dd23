/* engine/collection/collection.h: hashes, lists, sets and sorted sets as keys: reading and changing them.
 *
 * A small one (COLLECTION_SMALL bytes at most) lies in its entry as a string does: a byte of
 * encoding, then packed bytes. Every change logs all of it, as a VALUE record. A larger one is a
 * struct collection, which the entry points to; a change of that is one CHANGE record with the
 * operations (cache/ops.h), and its records are those that a restart needs: what began it, and what
 * changed since. When the changes outweigh the rest it is written anew (collection_log.c).
 *
 * A command reads, writes down what is to be done, and commits:
 *
 *   struct edit edit;
 *   if (!edit_begin(call, &edit, key, ENTRY_SET))
 *           return;                      (another type: an error was replied)
 *   ... edit.value is what is there, empty if there is no such key; ops_member(&edit.ops, ...) ...
 *   if (edit_commit(&edit))
 *           reply_int(call->reply, edit.added);
 *
 * What was read from edit.value is gone after edit_commit: a reply made of it is written before; if
 * the commit fails, the reply is cut to what it was at edit_begin, and an error takes its place.
 */
#pragma once
#include "cache/ops.h"
#include "cache/value.h"
#include "engine/engine.h"

enum { COLLECTION_SMALL = 512 };

struct edit {
	struct call  *call;
	struct span   key;
	uint64_t      hash;
	uint8_t       type;
	struct entry *entry;              /* NULL: there is no such key */
	const struct value *value;
	struct value  small;              /* what `value` points to, unless it is large */
	struct buf    ops;                /* what is to be done */
	uint64_t      added, removed;     /* by edit_commit: as value_apply says */
	bool          is_gone;            /* by edit_commit: nothing was left, and the key is deleted */
	bool          is_idle;            /* by edit_commit: there was nothing to be done */
	size_t        reply_bytes;
	uint32_t      reply_refs;
};

/* Reads: NULL when there is no such key, or when it is something else and the error was replied
 * (call->failed). `small` is room for what it may return; nothing is to be freed. */
const struct value *call_read_value(
    struct call *call, struct span key, enum entry_type type, struct value *small);
/* As that of an entry at hand, whose type is not checked. */
const struct value *entry_collection(const struct entry *entry, struct value *small);

/* Warms the cache for what requests that have a hash will look for in large hashes, sets and sorted sets;
 * their entries should be near. */
void collections_prefetch(const struct directory *directory, const struct request *requests, uint32_t count);

/* False: the key is of another type, or too long, and an error was replied; there is nothing to end. */
MUST_CHECK bool edit_begin(struct call *call, struct edit *edit, struct span key, enum entry_type type);
/* Logs and does edit->ops; nothing to do is fine. The edit is over. False: an error was replied (or
 * the call was parked), and nothing was done. */
MUST_CHECK bool edit_commit(struct edit *edit);
/* Both or neither, in this order, also after a crash. Not of one key twice. */
MUST_CHECK bool edit_commit_both(struct edit *first, struct edit *second);
/* Ends it without doing anything. */
void edit_drop(struct edit *edit);

/* The key becomes `value`, which is taken over and empty afterwards, whatever it was before, with a
 * deadline in Unix ms (0: none); an empty one deletes the key. False: an error was replied, nothing was
 * done, `value` is as it was. */
MUST_CHECK bool call_store_value(
    struct call *call, struct span key, struct value *value, int64_t expire_ms);

/* The memory for values that a command makes for itself. */
struct memory *call_value_memory(struct call *call);
const struct value_limits *call_value_limits(const struct call *call);

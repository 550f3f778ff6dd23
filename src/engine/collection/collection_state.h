/* engine/collection/collection_state.h: what the files of collection_log.h share. Private to them. */
#pragma once
#include "engine/collection/collection_log.h"

/* Waits to be written anew. */
struct due {
	struct list link;
	uint8_t     db;
	uint32_t    key_bytes;
	uint8_t     key[];
};

/* Is no key's any more, and freed in slices. */
struct grave {
	struct list link;
	struct collection *collection;
};

/* Recovery: a dump in slices, of which the end has not come yet. */
struct assembling {
	struct collection *made;          /* NULL: none is under way */
	struct collection *beside;        /* what the key has so far, if it is as new: it owns all of
	                                     made's records as well; or NULL */
	uint8_t            db;
	struct buf         key, queue;    /* of a list: changes to be done at the end */
};

/* A VALUE that is about to come, and is long: it is made in slices before. */
struct preparing {
	struct body *body;                /* of its record; NULL: none is */
	struct value value;
	struct span  rest;                /* of the body */
	enum err     err;                 /* ERR_AGAIN: not ready */
};

struct collections {
	struct engine      *engine;
	struct value_limits limits;
	uint64_t            seed;
	struct buf          spare[2];
	uint32_t            spare_count;
	struct list         due, graves;
	struct buf          out;
	uint64_t            retry_us;
	uint64_t            change_lsn;   /* of the last change, if nobody has seen it yet; or 0 */
	/* the dump under way: of the first that is due */
	uint64_t            begin_lsn;    /* 0: none */
	uint64_t            cursor, count;
	int64_t             head;
	bool                pieces_over;
	struct assembling   assembling;
	struct preparing    preparing;
};

static inline uint64_t collection_last_lsn(const struct collection *collection)
{
	ASSERT(collection->count > 0);
	return collection_record_lsn(&collection->records[collection->count - 1]);
}

void collection_note(struct engine *engine, struct collection *collection, const struct record *record);
/* Releases its records before `lsn`. */
void collection_forget_before(struct engine *engine, struct collection *collection, uint64_t lsn);

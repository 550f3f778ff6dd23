/* engine/past/history.h: which images there were, by key and by when they ended.
 *
 * A version is what an image key was between two changes: from the record that made it
 * (IMAGE, LINK or META) until the one that superseded or deleted it. Its bytes and metadata
 * are named by LSN (held.h knows where they lie). A key's versions are a chain, newest first;
 * all versions stand in one line in the order in which they ended, which is the order in
 * which they are forgotten. An image whose place a string took counts as deleted. LSNs decide
 * about order; times may go backwards with the clock.
 *
 * `floor`: whatever ended at or before this LSN, or before this time, may be missing.
 *
 * No I/O and no store: past.c puts versions in and takes the oldest out.
 */
#pragma once
#include "base/list.h"
#include "base/memory.h"
#include "base/span.h"

enum version_state { VERSION_CURRENT, VERSION_SUPERSEDED, VERSION_DELETED };

/* What ended a version. */
struct ending {
	uint64_t           lsn;
	int64_t            time_ms;
	enum version_state state;
};

struct version {
	struct list     line;             /* of all, by their end */
	struct version *older, *newer;    /* of the same key */
	struct past_key *key;
	uint64_t        lsn : 48;         /* of the record that made it; its metadata is there */
	uint64_t        state : 16;
	uint64_t        body_lsn, end_lsn;
	int64_t         since_ms, until_ms;
};

/* Versions of one key. */
struct past_key {
	struct past_key *next;            /* in its slot */
	struct version  *newest, *oldest;
	uint64_t         hash;
	uint32_t         count;
	uint32_t         key_len;
	uint8_t          db;
	uint8_t          key[];
};

enum { HISTORY_SHARDS = 256 };

struct history {
	struct history_shard {
		struct past_key **slots;
		uint32_t          cap, count;     /* cap: a power of two, or 0 */
	} shards[HISTORY_SHARDS];
	struct list    line;              /* oldest end first */
	struct list    later;             /* what ended behind delayed_lsn, likewise */
	uint64_t       delayed_lsn;       /* 0: nothing is delayed */
	uint64_t       versions, keys;
	uint64_t       seed;
	uint64_t       floor_lsn;
	int64_t        floor_ms;
	struct memory *memory;
	struct memory  bytes;             /* counts what the history takes */
};

/* A moment: everything up to and with this LSN, or this time. */
struct moment {
	bool     by_lsn;
	uint64_t lsn;
	int64_t  ms;
};

void history_init(struct history *history, struct memory *memory, uint64_t seed);
void history_fini(struct history *history);

/* NULL: the key has no past. */
struct past_key *history_find(const struct history *history, uint8_t db, struct span key);
/* Versions that this LSN ended are still to be added (one such LSN at a time), in the order in which keys
 * need them: what ends later waits behind them, until 0 is said. */
void history_delay(struct history *history, uint64_t end_lsn);
/* `what` gives lsn, body_lsn and since_ms. It ended later than all others, or with the delayed ones. */
struct version *history_add(struct history *history, uint8_t db, struct span key,
    const struct version *what, const struct ending *ending);
/* The one that ended first, or NULL. */
struct version *history_oldest(const struct history *history);
/* Takes it out, frees it, and moves the floor behind its end. */
void history_drop_oldest(struct history *history);

/* The version of this key at that moment; NULL: there was none, or it is forgotten. What the
 * key is now is the caller's business and comes first. */
struct version *history_at(const struct past_key *key, const struct moment *moment);
/* Did it begin by then? */
bool moment_reaches(const struct moment *moment, uint64_t lsn, int64_t since_ms);
/* Is nothing missing that was there at that moment? */
bool history_covers(const struct history *history, const struct moment *moment);

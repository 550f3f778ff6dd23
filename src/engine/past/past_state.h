/* engine/past/past_state.h: what past.c, past_window.c and past_load.c share. Private to them. */
#pragma once
#include "engine/internal.h"

/* LSNs, as many as come. */
struct past_lsns {
	uint64_t *at;
	uint32_t  count, cap;
};

struct past {
	struct engine    *engine;
	struct history    history;
	struct held_table held;
	uint64_t          bytes;          /* on disk, for the past alone */
	/* what the log says */
	int64_t           logged_window_s;        /* -1: nothing */
	struct place      logged_place;
	/* recovery */
	struct held_table released;       /* IMAGE records that died; places are not used */
	uint64_t          first_lsn;      /* first that is within the window; 0: none yet */
	int64_t           opened_ms;
	/* a clone of the past */
	bool              has_moment, behind, in_group, rewinds, rejoins;
	struct moment     moment;
	uint64_t          clone_lsn;      /* last that was applied */
	/* a full disk */
	bool              tried;
	uint64_t          give_up_next_us, give_up_said_us, given_up;
	uint64_t          give_up_lsn;    /* must be known to be durable for room to come of it */
	/* checkpoints: past_load.c */
	struct past_dump {
		bool             is_on;
		uint32_t         shard;   /* of the held table, next to be written */
		struct list      *next;  /* of the line; NULL: none was written yet */
		struct past_lsns links;   /* bodies that were shared since it began */
		uint64_t         known_lsn;
	} dump;
	struct past_lsns  pins;           /* held records that the checkpoint's end lists */
	bool              has_unsure;     /* a held record may have two owners: past_load_settle */
	uint64_t          known_lsn;      /* endings up to here are in the checkpoint; 0: none is loaded */
};

static inline int64_t past_window_ms(const struct engine *engine)
{
	return engine->settings->history_window_s * 1000;
}

static inline uint64_t past_bytes_of(const struct held *held)
{
	return held_is_past(held) ? held->place.bytes : 0;
}

/* past.c: the version that ended first, and its records if nobody else needs them. */
void past_forget_oldest(struct past *past);
/* past_window.c: open-at, if it is given. ERR_INVALID. */
MUST_CHECK enum err past_parse_moment(struct past *past);
/* past.c: one owner fewer (`today`: it was an entry). */
void past_unref(struct past *past, uint64_t lsn, bool today);

/* past_load.c */
void past_lsns_push(struct past *past, struct past_lsns *lsns, uint64_t lsn);
void past_lsns_fini(struct past *past, struct past_lsns *lsns);
/* A version is about to be forgotten. */
void past_dump_forget(struct past *past, const struct version *version);

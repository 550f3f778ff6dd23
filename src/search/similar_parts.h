/* search/similar_parts.h: the parts of struct similar. Private to similar*.c and near.c. */
#pragma once
#include "search/index.h"
#include "search/similar.h"

enum {
	COLOURS_MAX = 16, CHUNKS = 16, CHUNK_VALUES = 1 << 16,
	/* In windows: */
	RUN_SMALL = 1 << 6, RUN_LARGE = 1 << 8, RUNS_IN_LARGE = RUN_LARGE / RUN_SMALL,
	ID_BYTES = 3,                     /* of a document within a run */
};

struct similar_window {
	uint8_t  (*hashes)[SIMILAR_HASH_BYTES];      /* WINDOW_DOCS, or NULL */
	uint16_t  *colours;               /* WINDOW_DOCS, or NULL */
	uint32_t   hash_count, colour_count, late_count;
	uint64_t   hashed[WINDOW_WORDS];
	uint64_t   late[WINDOW_WORDS];    /* of these, what no run knows */
};

/* Of the documents of some windows, by each chunk: ends[chunk][value] is the end of the ids
 * with that value, which begin where those of the value before end. Made and freed chunk by
 * chunk: giving back 50 MB at once takes milliseconds. */
struct similar_run {
	uint32_t  first, windows;         /* windows: RUN_SMALL or RUN_LARGE */
	uint32_t  count;                  /* of documents */
	uint32_t *ends[CHUNKS];           /* CHUNK_VALUES */
	uint8_t  *ids[CHUNKS];            /* count * ID_BYTES, and a few more to read */
	struct similar_run *next;         /* of those that wait to be freed */
};

enum build_phase { BUILD_COUNT, BUILD_SUM, BUILD_PLACE };

struct similar_build {
	struct similar_run *run;          /* NULL: nothing is built */
	bool       restart;               /* one of its documents got another hash, or all went */
	uint64_t (*taken)[WINDOW_WORDS];  /* the documents that were there, by window */
	enum build_phase phase;
	uint32_t   chunk, window;
};

struct similar {
	uint32_t                magic;
	struct memory          *memory;
	struct similar_window **windows;
	uint32_t                window_count, window_cap;        /* count: one behind the last */
	struct similar_run    **runs;     /* by slot of RUN_SMALL windows; a large one in its first */
	uint32_t                run_cap;
	uint32_t                version;  /* of the set of runs */
	uint64_t                hashes, coloured, late;
	uint64_t                colour_docs[COLOURS_MAX];
	uint64_t                tried;    /* late when nothing was left to build */
	uint64_t                gone;     /* from runs, since they were all looked at */
	struct similar_build    build;
	struct similar_run     *trash;    /* to be freed, a piece at a time */
	uint32_t                look;     /* slot at which similar_step looks next */
};

static inline struct similar_window *similar_window(const struct similar *similar, uint32_t window)
{
	return window < similar->window_count ? similar->windows[window] : NULL;
}

static inline uint32_t chunk_of(const uint8_t *hash, uint32_t chunk)
{
	return (uint32_t)hash[2 * chunk] | (uint32_t)hash[2 * chunk + 1] << 8;
}

static inline uint32_t run_id(const struct similar_run *run, uint32_t chunk, uint32_t at)
{
	uint32_t id;
	memcpy(&id, &run->ids[chunk][(size_t)at * ID_BYTES], sizeof(id));
	return id & 0xffffff;
}

/* similar_run.c */
/* Soon, a piece at a time. */
void similar_run_drop(struct similar *similar, struct similar_run *run);
/* All that waits for it, at once. */
void similar_trash_free(struct similar *similar);
/* Gives up what is being built. */
void similar_build_drop(struct similar *similar);

/* similar_scan.c: bit i of `found` is set where hashes[i] lies within `distance_max` of `hash`;
 * all WINDOW_DOCS of them. With the best of what the processor can. */
void similar_scan(const uint8_t (*hashes)[SIMILAR_HASH_BYTES], const uint8_t *hash,
    uint32_t distance_max, uint64_t found[WINDOW_WORDS]);
/* The ways it has, for tests: 0 portable, 1 AVX2, 2 AVX-512; false: not on this machine. */
bool similar_scan_as(unsigned way, const uint8_t (*hashes)[SIMILAR_HASH_BYTES],
    const uint8_t *hash, uint32_t distance_max, uint64_t found[WINDOW_WORDS]);

static inline uint32_t hash_distance(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[4], y[4];
	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return (uint32_t)(__builtin_popcountll(x[0] ^ y[0]) + __builtin_popcountll(x[1] ^ y[1]) +
	    __builtin_popcountll(x[2] ^ y[2]) + __builtin_popcountll(x[3] ^ y[3]));
}

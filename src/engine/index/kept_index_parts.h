/* engine/index/kept_index_parts.h: what kept_index*.c share. */
#pragma once
#include "engine/index/kept_index.h"

#include "search/persist.h"

enum {
	KEPT_BEGIN = 'I', KEPT_TWINS = 'W', KEPT_END = 'X',      /* no piece begins so */
	KEPT_TWIN_BYTES = 20,
	KEPT_UNSEEN = 1, KEPT_HASH = 2, KEPT_COLOURS = 4,      /* of a document */
};

/* What is known of a document that was loaded, by its id. */
struct kept_document {
	uint64_t meta_lsn : 63;           /* 0: there is none */
	uint64_t is_unseen : 1;
	uint64_t body_lsn, digest;        /* 0: not known */
};

struct kept_database {
	struct kept_document *documents;
	uint32_t              ids;
	uint32_t             *map;        /* by meta_lsn: id + 1; map_cap is a power of two */
	uint32_t              map_cap, map_used;
	uint32_t              purged;     /* ids below were looked at */
};

struct kept_slot {
	bool     is_written;
	uint64_t changes[DATABASE_COUNT];            /* of the index, by then */
	uint64_t tags[DATABASE_COUNT];
};

struct kept_index {
	struct kept_database *databases[DATABASE_COUNT];      /* to be claimed */
	struct {
		bool               is_on, is_begun;
		bool               is_spoilt;             /* of this database */
		uint8_t            db;
		uint32_t           shard;                 /* of the digests */
		struct index_dump *dump;
		uint64_t           tag;
		struct kept_slot   now;
	} out;
	struct {
		bool                  is_on;
		uint8_t               db;
		struct index_load    *load;               /* NULL: none, or spoilt */
		struct similar       *similar;
		struct kept_database *database;
	} in;
	struct kept_slot slots[2];
	uint64_t         dumps, dump_bytes;
	uint64_t         claimed, dropped;            /* documents, since the start */
};

/* kept_index_load.c: what waits to be claimed is forgotten. */
void kept_index_drop(struct engine *engine, uint8_t db);

/* LSN of the metadata that the image's document is made of. */
static inline uint64_t kept_meta_lsn(struct entry *entry)
{
	return entry_meta(entry) != NULL ? entry_meta(entry)->lsn : entry_image(entry)->body_lsn;
}

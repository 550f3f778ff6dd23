/* engine/index/kept_index.h: the search index in a checkpoint, and back.
 *
 * The chunks of CHUNK_SET_DERIVED hold the dumps of search/persist.h, one database behind the
 * other. Beside a document stand the LSN of the metadata that it was made of, what its pixels
 * say, and whether they are still to be seen; beside a database, the digests by which equal
 * bodies are found:
 *
 *   'I' db                                  a database begins; a hash of its declarations is the tag
 *   pieces                                  of its dump
 *   'W' u32 n, n times {u32 id, u64 lsn, u64 digest}
 *   'X'                                     the end
 *
 * A dump is written behind all entries, and only if enough has changed since the one in that
 * slot of the checkpoint: an older one is still true of what it knows. After a start the walk
 * of reindex.c asks for each image whether a document was made of the very metadata that it
 * has now. If so the image gets it; if not, it is made from the metadata; documents that nobody
 * asked for go. So nothing depends on what happened behind the dump, or on when it was written,
 * and without one, or with a damaged one, all documents are made from the metadata.
 *
 * While chunks are being loaded images that the log tells of get no document either.
 */
#pragma once
#include "engine/internal.h"

void kept_index_new(struct engine *engine);
void kept_index_free(struct engine *engine);
/* The index of this database goes. */
void kept_index_forget(struct engine *engine, uint8_t db);
void kept_index_info(const struct engine *engine, struct buf *out);

/* ---- Writing ---- */

/* Must the index be written to this slot? `is_there`: what was written there before counts. */
bool kept_index_is_due(struct engine *engine, uint32_t slot, bool is_there);
/* So many bytes a chunk, at least. */
size_t kept_index_begin(struct engine *engine);
/* The next piece, with the number of its items added to *count. False: that was all. */
MUST_CHECK bool kept_index_dump(struct engine *engine, struct buf *out, uint32_t *count);
/* The checkpoint is over; `is_good`: it counts. */
void kept_index_end(struct engine *engine, uint32_t slot, bool is_good);

/* ---- Reading ---- */

void kept_index_load_begin(struct engine *engine, uint64_t items);
/* Chunks come in order; count 0: one is damaged. */
void kept_index_load(struct engine *engine, uint32_t count, struct span bytes);
void kept_index_load_reset(struct engine *engine);
/* No more will come. */
void kept_index_loaded(struct engine *engine);
bool kept_index_is_loading(const struct engine *engine);

/* The walk. An image without a document: gets the one that was kept, if there is one. */
MUST_CHECK bool kept_index_claim(struct engine *engine, uint8_t db, struct entry *entry);
/* All images of this database were asked for: the rest goes. False: there is more to do. */
MUST_CHECK bool kept_index_purge(struct engine *engine, uint8_t db);
/* Documents wait to be asked for, or to go: no search may see them. */
bool kept_index_is_settled(const struct engine *engine, uint8_t db);

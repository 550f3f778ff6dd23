/* search/persist.h: an index as bytes, and back. Part of search.h.
 *
 * A dump is made in pieces while the index goes on changing. It holds the documents that were
 * there when it began and still are when their own piece is written, last of all: a document
 * that lived throughout has all of its postings, tags and numbers in the pieces before. What
 * was added meanwhile is not in it; what was removed may have left postings without a
 * document, as a removal always does. Postings are not reclaimed while a dump is under way.
 *
 * A piece is {u8 type, u32 length, bytes}, little-endian; sealed blocks and windows stand in it
 * as they lie in memory, lists of postings in the order of their words:
 *
 *   H  version, first id that is not in it, window to seal next, fields, a tag
 *   F  {kinds, tags there are, name} of each field
 *   T  a word: space, text, id, ordinal, bounds; its first blocks and, at the end, the tail
 *   C  further blocks of the same word
 *   N  a window of numbers or dates    G  a window of tags
 *   D  documents: {length, title as ids of words, what the owner adds}
 *   Z  the end: how many pieces there were; documents that went and left postings behind
 *
 * The owner of an index that was loaded tells which documents are still what they were, with
 * index_set_owner; index_purge removes all others. Ids are those of the index that was dumped.
 */
#pragma once
#include "search/search.h"

struct buf;

/* ---- Out ---- */

struct index_dump;

struct index_dump_owner {
	void *ctx;
	/* Appends what load_owner's read() is to get with this document. */
	void (*write)(void *ctx, uint32_t docid, void *owner, struct buf *out);
};

/* `tag` comes back in index_load_tag. One dump of an index at a time. */
struct index_dump *index_dump_new(
    struct index *index, const struct index_dump_owner *owner, uint64_t tag);
/* Appends one piece, in 100 us or so; at times none. False: that was the last one. */
MUST_CHECK bool index_dump_step(struct index_dump *dump, struct buf *out);
/* At any time, also before the end; the index must still be there. */
void index_dump_free(struct index_dump *dump);

/* ---- In ---- */

struct index_load;

struct index_load_owner {
	void *ctx;
	/* Takes its bytes off the front of `in`. False: that cannot be. */
	bool (*read)(void *ctx, uint32_t docid, struct span *in);
};

struct index_load *index_load_new(struct memory *memory, const struct index_options *options,
    const struct index_load_owner *owner);
/* Takes one piece off the front of `in`. ERR_CORRUPT, ERR_VERSION: the dump is of no use. */
MUST_CHECK enum err index_load_step(struct index_load *load, struct span *in);
/* The index, if the last piece was taken, else NULL; frees the rest. Its documents have no owner. */
struct index *index_load_end(struct index_load *load);
/* After the first piece: ids in the dump are below; the tag. */
uint32_t index_load_ids(const struct index_load *load);
uint64_t index_load_tag(const struct index_load *load);

/* Is the document there, without an owner? */
MUST_CHECK bool index_is_unowned(const struct index *index, uint32_t docid);

/* Removes documents without an owner from *docid on, up to `end`. ERR_AGAIN: the budget ended. */
MUST_CHECK enum err index_purge(
    struct index *index, uint32_t *docid, uint32_t end, const struct search_budget *budget);

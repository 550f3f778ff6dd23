/* search/dict.h: the dictionary of terms: a hash for exact words and a sorted view for
 * prefixes.
 *
 * A key is two bytes of space (big-endian: which field, or words) and the term's bytes.
 * The hash is open addressing over {hash, id} and grows a few slots at a time. The sorted
 * view is a list of leaves of up to 128 ids each. Ids are reused; a term with pins is
 * never dropped, so a search may hold its address across slices.
 */
#pragma once
#include "search/postings.h"
#include "search/tags.h"

enum {
	SPACE_WORDS = 0,                  /* words of title, caption, tags and camera */
	SPACE_TEXT = 0x4000,              /* | field: words of an attribute that was declared a text */
	SPACE_PRESENT = 0x8000,           /* | field: one empty term, the documents that have it */
	DICT_SPACE_BYTES = 2,
	DICT_KEY_MAX = DICT_SPACE_BYTES + SEARCH_TAG_BYTES_MAX,
	DICT_NONE = 0xffffffff,
	DICT_PAGE_TERMS = 256,
	DICT_LEAF_IDS = 128,
};

struct term {
	struct postings list;
	uint8_t        *key;              /* NULL: a free id; `pins` is then the next free one */
	uint32_t        pins;
	uint32_t        id;
	uint32_t        ordinal;          /* of a tag: in its field's tags; else ORDINAL_NONE */
	uint16_t        key_len;
};

struct dict_slot {
	uint32_t hash;
	uint32_t id_next;                 /* id + 1. 0: empty; DICT_GONE: was removed */
};

struct dict_table {
	struct dict_slot *slots;          /* a power of two */
	uint32_t          count;          /* slots, or 0 */
	uint32_t          used;           /* not empty */
};

struct dict_leaf {
	uint32_t count;
	uint32_t ids[DICT_LEAF_IDS];
};

struct dict {
	struct memory     *memory;        /* keys, slots, sorted view */
	struct memory     *list_memory;   /* what the postings of terms were counted for */
	uint64_t           seed;
	struct dict_table  table, old;    /* old: being emptied into table from `moved` on */
	uint32_t           moved;
	struct term      **pages;
	uint32_t           page_count, page_cap;
	uint32_t           term_count;    /* live */
	uint32_t           id_end;        /* ids ever given are below */
	uint32_t           free_id;
	uint64_t           dropped;       /* terms, ever */
	struct dict_leaf **leaves;
	uint32_t           leaf_count, leaf_cap;
};

void dict_init(struct dict *dict, struct memory *memory, struct memory *list_memory, uint64_t seed);
void dict_fini(struct dict *dict);

/* NULL if it is not there. Addresses are stable until the term is dropped. */
struct term *dict_find(struct dict *dict, uint16_t space, struct span text);

/* The same for several at once, so that what each needs from memory comes side by side: the hash
 * of a key, then these three for all of them, in this order, then dict_add_hashed. */
uint32_t dict_hash(const struct dict *dict, uint16_t space, struct span text);
void dict_prefetch_slot(const struct dict *dict, uint32_t hash);
void dict_prefetch_term(const struct dict *dict, uint32_t hash);
void dict_prefetch_key(const struct dict *dict, uint32_t hash);
struct term *dict_add_hashed(struct dict *dict, uint16_t space, struct span text, uint32_t hash);

/* Finds or makes; a new term has an empty list, plain unless it is a word. */
struct term *dict_add(struct dict *dict, uint16_t space, struct span text);

/* Only a term with an empty list and no pins. */
void dict_drop(struct dict *dict, struct term *term);

/* NULL for a free id. id < id_end. */
static inline struct term *dict_term(const struct dict *dict, uint32_t id)
{
	struct term *term = &dict->pages[id / DICT_PAGE_TERMS][id % DICT_PAGE_TERMS];
	return term->key == NULL ? NULL : term;
}

static inline struct span term_text(const struct term *term)
{
	return span_of(term->key + DICT_SPACE_BYTES, term->key_len - DICT_SPACE_BYTES);
}

static inline struct span term_key(const struct term *term)
{
	return span_of(term->key, term->key_len);
}

/* The field of a space that is not SPACE_WORDS. */
static inline uint32_t space_field(uint16_t space)
{
	uint16_t flags = space & (SPACE_PRESENT | SPACE_TEXT);
	return flags != 0 ? (uint32_t)(space ^ flags) : space - 1U;
}

static inline uint16_t term_space(const struct term *term)
{
	return (uint16_t)(term->key[0] << 8 | term->key[1]);
}

/* Walks the sorted view; void when a term was added or dropped since. */
struct dict_cursor {
	uint32_t leaf, at;
};

/* To the first term of `space` >= text; or, with `after`, > text. */
void dict_seek(const struct dict *dict, uint16_t space, struct span text, bool after,
    struct dict_cursor *cursor);

/* The next term that begins with prefix in space, or NULL at the end of them. */
struct term *dict_next(const struct dict *dict, uint16_t space, struct span prefix,
    struct dict_cursor *cursor);

/* To the first term behind this whole key, in any space; the next one of any space. */
void dict_seek_key(const struct dict *dict, struct span key, struct dict_cursor *cursor);
struct term *dict_next_any(const struct dict *dict, struct dict_cursor *cursor);

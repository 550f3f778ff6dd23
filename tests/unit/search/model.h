/* tests/unit/search/model.h: a search engine that cannot be wrong in an interesting way: it
 * keeps the documents and scans them. It shares no code with src/search.
 *
 * Queries are made as trees, so that the model needs no parser; each tree prints itself as
 * a query string for the index under test.
 */
#pragma once
#include "base/buf.h"
#include "base/random.h"
#include "search/search.h"

enum { MODEL_WORDS = 24, MODEL_TAGS = 4, MODEL_NODES = 64, MODEL_ITEMS = 4 };

struct model_doc {
	uint32_t docid;
	bool     live, swept;             /* swept: no longer counted in df */
	uint16_t title[MODEL_WORDS], caption[MODEL_WORDS];     /* word numbers */
	uint32_t title_count, caption_count;
	uint8_t  tags[MODEL_TAGS];        /* tag numbers; a tag has one or two words */
	uint32_t tag_count;
	int      camera;                  /* -1: none */
	int      width;                   /* -1: none */
	int      rating;                  /* attribute; -1: none */
	int64_t  taken_ms;                /* -1: none */
	bool     placed;
	double   lon, lat;
};

struct model {
	struct model_doc *docs;
	uint32_t          count, cap;
	struct random     random;
	uint32_t          vocabulary;
};

enum model_kind { M_TERM, M_PHRASE, M_PREFIX, M_TAG, M_CAMERA, M_WIDTH, M_TAKEN, M_GEO, M_RATING,
	M_MISSING, M_ALL, M_AND, M_OR, M_NOT, M_OPTIONAL };

struct model_node {
	enum model_kind kind;
	unsigned fields;                  /* bits: title 1, caption 2, tags 4, camera 8; 15: any */
	int      items[MODEL_ITEMS];      /* words, tags, or numbers of a range */
	bool     prefix[MODEL_ITEMS];
	int      item_count;
	int      missing;                 /* which field */
	char     text[16];                /* of a pattern */
	int      pattern;                 /* prefix, suffix, infix, fuzzy 1, fuzzy 2, wildcard */
	int      slop;                    /* of a phrase; -1: side by side */
	bool     any_order;
	int      weight;
	double   lon, lat, km;
	int      children[MODEL_ITEMS], child_count;
};

struct model_query {
	struct model_node nodes[MODEL_NODES];
	int count, root;
};

void model_init(struct model *model, uint64_t seed, uint32_t vocabulary);
void model_fini(struct model *model);

/* A random document into both. */
struct model_doc *model_add(struct model *model, struct index *index);
/* A random live one out of both; false if there is none. */
bool model_remove(struct model *model, struct index *index);

void model_query_random(struct model *model, struct model_query *query);
void model_query_print(const struct model_query *query, struct buf *out);

size_t model_tag_text(int tag, char *out);

struct model_hit {
	const struct model_doc *doc;
	double score;
};

/* All matches, newest first. Returns how many. */
uint32_t model_search(struct model *model, const struct model_query *query, struct model_hit *hits);

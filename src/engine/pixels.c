/* engine/pixels.c: the parts of a query that ask for pixels: @phash, @palette, and whether an
 * image has any. They are answered by similar.h; the names of colours are analysis.h's. */
#include "engine/index/fields.h"
#include "engine/index/kept_index.h"

#include "image/analysis.h"
#include "search/outside.h"

struct pixel_leaf {
	struct similar       *similar;
	enum search_leaf_kind kind;
	struct near          *near;
	uint32_t              colours;
};

static bool colours_of(const struct search_leaf *leaf, uint32_t *colours)
{
	*colours = 0;
	for (size_t i = 0; i < leaf->name_count; i++) {
		unsigned k = 0;
		while (colour_name(k) != NULL && !span_is(leaf->names[i], colour_name(k)))
			k++;
		if (colour_name(k) == NULL)
			return false;
		*colours |= 1U << k;
	}
	return true;
}

static enum err pixels_open(
    void *ctx, const struct search_leaf *leaf, void **state, uint64_t *cost)
{
	struct similar *similar = ctx;
	struct similar_stats stats;
	uint32_t colours;
	if (!colours_of(leaf, &colours))
		return ERR_NOTFOUND;
	similar_get_stats(similar, &stats);
	struct pixel_leaf *own = memory_zalloc(similar_memory(similar), sizeof(*own));
	*own = (struct pixel_leaf){.similar = similar, .kind = leaf->kind, .colours = colours};
	*cost = stats.coloured;
	if (leaf->kind == SEARCH_LEAF_NEAR) {
		own->near = near_new(similar, &leaf->hash, 1, leaf->distance);
		*cost = leaf->distance < SEARCH_HASH_BITS / 3 ? stats.hashes / 1000 : stats.hashes;
	}
	*state = own;
	return OK;
}

static enum err pixels_step(void *state, const struct search_budget *budget)
{
	struct pixel_leaf *own = state;
	return own->near == NULL ? OK : near_step(own->near, budget);
}

static void pixels_filter(void *state, uint32_t window, uint64_t mask[WINDOW_WORDS])
{
	struct pixel_leaf *own = state;
	switch (own->kind) {
	case SEARCH_LEAF_NEAR:
		near_filter(own->near, window, mask);
		break;
	case SEARCH_LEAF_PALETTE:
		similar_filter_colours(own->similar, window, own->colours, mask);
		break;
	case SEARCH_LEAF_NEAR_MISSING:
		similar_filter_hashed(own->similar, window, mask);
		break;
	case SEARCH_LEAF_PALETTE_MISSING:
		similar_filter_uncoloured(own->similar, window, mask);
		break;
	}
}

static bool pixels_has(void *state, uint32_t docid)
{
	struct pixel_leaf *own = state;
	switch (own->kind) {
	case SEARCH_LEAF_NEAR:
		return near_has(own->near, docid);
	case SEARCH_LEAF_PALETTE:
		return (similar_colours(own->similar, docid) & own->colours) != 0;
	case SEARCH_LEAF_NEAR_MISSING:
		return similar_hash(own->similar, docid) == NULL;
	case SEARCH_LEAF_PALETTE_MISSING:
		break;
	}
	return similar_colours(own->similar, docid) == 0;
}

static void pixels_close(void *state)
{
	struct pixel_leaf *own = state;
	near_free(own->near);
	memory_free(similar_memory(own->similar), own, sizeof(*own));
}

static void pixels_remove(void *ctx, uint32_t docid)
{
	similar_remove(ctx, docid);
}

void engine_index_adopt(
    struct engine *engine, uint8_t db, struct index *index, struct similar *similar)
{
	ASSERT(engine->indexes[db] == NULL && engine->similars[db] == NULL);
	engine->indexes[db] = index;
	engine->similars[db] = similar;
	const struct search_provider provider = {
	    .ctx = similar,
	    .open = pixels_open,
	    .step = pixels_step,
	    .filter = pixels_filter,
	    .has = pixels_has,
	    .close = pixels_close,
	    .remove = pixels_remove,
	};
	index_set_provider(index, &provider);
	fields_declare(engine, db);
}

struct index *engine_index(struct engine *engine, uint8_t db)
{
	if (engine->indexes[db] != NULL)
		return engine->indexes[db];
	struct index_options options = {.hash_seed = random_next(&engine->random)};
	engine_index_adopt(engine, db, index_new(&engine->memory.search, &options),
	    similar_new(&engine->memory.search));
	return engine->indexes[db];
}

void engine_index_drop(struct engine *engine, uint8_t db)
{
	kept_index_forget(engine, db);
	if (engine->indexes[db] != NULL)
		index_free(engine->indexes[db]);
	similar_free(engine->similars[db]);
	engine->indexes[db] = NULL;
	engine->similars[db] = NULL;
}

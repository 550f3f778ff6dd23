/* search/spots.h: where a word first stands in each of some documents, many of a block at a time. */
#pragma once
#include "search/cursor.h"

enum { SPOTS_MAX = PACK_COUNT };

struct spot {
	uint32_t       position;          /* the first one */
	uint32_t       tf;                /* 0: the document does not have the word */
	const uint8_t *rest;              /* if tf > 1: in the list; valid until it changes */
};

/* Of up to SPOTS_MAX ascending ids. */
void cursor_spots(struct cursor *cursor, const uint32_t *docids, uint32_t count, struct spot *spots);

/* All positions; returns tf. */
uint32_t spot_positions(const struct spot *spot, uint32_t out[POSTING_TF_MAX]);

/* commands/aggregate_texts.h: titles, captions and other texts for the rows of an aggregation that are
 * left at its end: from the metadata of their images, cached or read, many at a time. */
#pragma once
#include "commands/image.h"
#include "search/aggregate.h"

enum { TEXT_READS_MAX = 64 };

struct aggregate_texts {
	struct image_scan *scan;
	struct aggregate  *aggregate;
	size_t             next, loading;
	bool               starting;      /* a read that ends at once need not go on */
	enum err           err;
};

/* OK; ERR_AGAIN: image_scan_finish will be called; ERR_TOOLARGE: too many rows; ERR_OVERLOADED. */
MUST_CHECK enum err aggregate_texts_load(
    struct aggregate_texts *texts, struct image_scan *scan, struct aggregate *aggregate);

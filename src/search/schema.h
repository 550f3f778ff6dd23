/* search/schema.h: the built-in fields. Their ids are their places in the table; the
 * names of attributes follow after SCHEMA_COUNT. */
#pragma once
#include "search/postings.h"

enum {
	KIND_TEXT = 1, KIND_TAG = 2, KIND_NUMERIC = 4, KIND_DATE = 8, KIND_GEO = 16,
	KIND_ATTRIBUTE = KIND_TAG | KIND_NUMERIC | KIND_DATE,

	FIELD_ID_TITLE = 0, SCHEMA_COUNT = 20,
};

struct schema_field {
	const char *name;
	uint8_t     kinds;                /* KIND_* */
	uint8_t     text_mask;            /* FIELD_*, if its words are indexed */
};

/* id < SCHEMA_COUNT */
const struct schema_field *schema_field(uint32_t id);

/* SCHEMA_COUNT if there is none of that name. */
uint32_t schema_find(struct span name);

/* KIND_ATTRIBUTE for what is not built in. */
uint8_t schema_kinds(struct span name);

/* search/schema.c: see schema.h. */
#include "search/declare.h"
#include "search/schema.h"

const struct schema_field *schema_field(uint32_t id)
{
	static const struct schema_field fields[] = {
		{"title", KIND_TEXT, FIELD_TITLE},
		{"caption", KIND_TEXT, FIELD_CAPTION},
		{"tags", KIND_TEXT | KIND_TAG, FIELD_TAGS},
		{"camera", KIND_TEXT | KIND_TAG, FIELD_CAMERA},
		{"format", KIND_TAG, 0},
		{"orientation", KIND_TAG, 0},
		{"lens", KIND_TAG, 0},
		{"tier", 0, 0},                  /* told, not sought: images move without being indexed anew */
		{"width", KIND_NUMERIC, 0},
		{"height", KIND_NUMERIC, 0},
		{"megapixels", KIND_NUMERIC, 0},
		{"bytes", KIND_NUMERIC, 0},
		{"frames", KIND_NUMERIC, 0},
		{"iso", KIND_NUMERIC, 0},
		{"aperture", KIND_NUMERIC, 0},
		{"exposure", KIND_NUMERIC, 0},
		{"focal", KIND_NUMERIC, 0},
		{"created", KIND_DATE, 0},
		{"taken", KIND_DATE, 0},
		{"location", KIND_GEO, 0},
	};
	_Static_assert(ARRAY_COUNT(fields) == SCHEMA_COUNT, "one row a field");
	ASSERT(id < SCHEMA_COUNT);
	return &fields[id];
}

uint32_t schema_find(struct span name)
{
	for (uint32_t id = 0; id < SCHEMA_COUNT; id++)
		if (span_equal(name, span_text(schema_field(id)->name)))
			return id;
	return SCHEMA_COUNT;
}

uint8_t schema_kinds(struct span name)
{
	uint32_t id = schema_find(name);
	return id == SCHEMA_COUNT ? KIND_ATTRIBUTE : schema_field(id)->kinds;
}

bool index_field_is_built_in(struct span name)
{
	return schema_find(name) != SCHEMA_COUNT || span_equal(name, SPAN_LIT("palette")) ||
	    span_equal(name, SPAN_LIT("phash"));
}

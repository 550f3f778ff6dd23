/* tests/unit/cache/naive.h: a value as it would be written in an afternoon: an array. */
#pragma once
#include "cache/ops.h"
#include "cache/value.h"

enum { NAIVE_TEXT = 48 };

struct naive_element {
	char   name[NAIVE_TEXT], data[NAIVE_TEXT];
	double score;
};

struct naive {
	enum entry_type       type;
	uint64_t              count, cap;
	struct naive_element *elements;   /* sorted sets: in their order */
};

void naive_init(struct naive *model, enum entry_type type);
void naive_fini(struct naive *model);
/* Its place, or count. */
uint64_t naive_find(const struct naive *model, const char *name);
/* By name: of hashes, sets, sorted sets. */
void naive_set(struct naive *model, const struct naive_element *element);
void naive_delete(struct naive *model, uint64_t place, uint64_t count);
void naive_insert(struct naive *model, uint64_t place, const struct naive_element *element);
/* Everything that can be read of the value agrees with the model. */
void naive_check(const struct naive *model, const struct value *value);

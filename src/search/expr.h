/* search/expr.h: values, and expressions over them: APPLY and FILTER of IMG.AGGREGATE.
 *
 *   || && !   == != < <= > >=   + - * / % ^   -x   (x)   @name   12.5   "text" 'text'
 *   abs ceil exp floor log log2 round sqrt (x)      min max (x, y, ...)
 *   lower upper strlen (s)  contains startswith (s, part)  substr (s, from, count)
 *   concat (s, ...)  exists (@name)  to_number (s)  to_str (x)
 *   year monthofyear dayofmonth dayofweek dayofyear hourofday (t)       parts of a time
 *   minute hour day month (t)     the beginning of it      timefmt (t, "%Y-%m-%d")
 *   geodistance (lon, lat, lon, lat)      in metres
 *
 * Times are Unix milliseconds, in UTC. What has no value makes what is calculated of it have
 * none either; it is equal to nothing, and not true. Text that reads as a number counts as
 * one where a number is needed; otherwise the result has no value. Numbers and text compare
 * as numbers if both are, else as text. A list counts as its first item, but in contains().
 *
 * An expression is compiled to instructions for a small stack machine: no recursion, and a
 * bound on everything.
 */
#pragma once
#include "base/err.h"
#include "base/memory.h"
#include "base/span.h"

enum {
	EXPR_BYTES_MAX = 4096, EXPR_OPS_MAX = 256, EXPR_STACK_MAX = 32, EXPR_DEPTH_MAX = 32,
	EXPR_WHY_BYTES = 160,
	EXPR_TEXT_MAX = 4096,             /* of one text that is made */
};

enum value_kind { VALUE_NIL, VALUE_NUMBER, VALUE_TEXT, VALUE_LIST };

struct value {
	enum value_kind kind;
	uint32_t        count;            /* of the list */
	double          number;
	struct span     text;
	const struct value *items;        /* numbers and text only */
};

static inline struct value value_number(double number)
{
	return (struct value){.kind = number == number ? VALUE_NUMBER : VALUE_NIL, .number = number};
}

static inline struct value value_text(struct span text)
{
	return (struct value){.kind = VALUE_TEXT, .text = text};
}

/* Memory for values: freed all at once. */
struct arena_block;
struct arena {
	struct memory      *memory;
	struct arena_block *blocks;
	size_t              used, bytes, bytes_max;  /* used: of the newest block */
};
void arena_init(struct arena *arena, struct memory *memory, size_t bytes_max);
void arena_fini(struct arena *arena);
void arena_clear(struct arena *arena);        /* keeps one block */
/* NULL over bytes_max. Aligned to 16. */
MUST_CHECK void *arena_alloc(struct arena *arena, size_t bytes);

MUST_CHECK bool value_to_number(const struct value *value, double *out);
bool value_is_true(const struct value *value);
/* <0, 0, >0: nil last, numbers before text. A total order, for sorting and for distinct values. */
int value_compare(const struct value *a, const struct value *b);
uint64_t value_hash(const struct value *value, uint64_t seed);
/* The first item of a list, or the value itself. */
const struct value *value_first(const struct value *value);
/* As text, for numbers in `scratch` (NUMBER_TEXT_MAX bytes). */
struct span value_as_text(const struct value *value, char *scratch);
/* All of it copied. False: no room. */
MUST_CHECK bool value_keep(struct arena *arena, const struct value *from, struct value *to);

struct expr;

/* Which slot a name has; false: there is no such name, and *why says so. */
typedef bool expr_name(void *ctx, struct span name, uint32_t *slot, char why[EXPR_WHY_BYTES]);
/* ERR_INVALID, ERR_TOOLARGE: `why` says what is wrong. Text is copied. */
MUST_CHECK enum err expr_parse(struct expr **out, struct memory *memory, struct span text,
    expr_name *name, void *ctx, char why[EXPR_WHY_BYTES]);
void expr_free(struct memory *memory, struct expr *expr);

/* `slots`: the values by slot. What it makes lies in `scratch`; without room there the result
 * is nil. */
struct value expr_eval(
    const struct expr *expr, const struct value *slots, struct arena *scratch);

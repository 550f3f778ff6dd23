/* search/expr_ops.h: the instructions of an expression. Private to expr*.c. */
#pragma once
#include "search/expr.h"

enum expr_op {
	OP_PUSH, OP_SLOT,                 /* a constant; a value by its slot */
	OP_OR, OP_AND, OP_NOT,
	OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,
	OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_POW, OP_NEG,
	/* functions: */
	OP_ABS, OP_CEIL, OP_EXP, OP_FLOOR, OP_LOG, OP_LOG2, OP_ROUND, OP_SQRT, OP_MIN, OP_MAX,
	OP_LOWER, OP_UPPER, OP_STRLEN, OP_CONTAINS, OP_STARTSWITH, OP_SUBSTR, OP_CONCAT,
	OP_EXISTS, OP_TO_NUMBER, OP_TO_STR,
	OP_YEAR, OP_MONTHOFYEAR, OP_DAYOFMONTH, OP_DAYOFWEEK, OP_DAYOFYEAR, OP_HOUROFDAY,
	OP_MINUTE, OP_HOUR, OP_DAY, OP_MONTH, OP_TIMEFMT, OP_GEODISTANCE,
	OP_COUNT
};

struct expr_step {
	enum expr_op op;
	uint32_t     args;                /* values taken from the stack */
	uint32_t     slot;
	struct value constant;            /* text: in expr->text */
};

struct expr {
	uint32_t         count, text_bytes;
	uint8_t         *text;            /* EXPR_BYTES_MAX, of constants */
	struct expr_step steps[EXPR_OPS_MAX];
};

/* expr_eval.c: a format that timefmt knows. */
bool expr_time_format_is_known(struct span format);
/* What a function makes of its arguments. */
struct value expr_call(enum expr_op op, const struct value *args, uint32_t count, struct arena *scratch);
struct value expr_call_time(enum expr_op op, double ms, struct span format, struct arena *scratch);

/* search/expr_eval.c: instructions at work; see expr.h. */
#include "search/expr_ops.h"

#include "base/number.h"

#include <math.h>

static const struct value nothing = {.kind = VALUE_NIL};

/* Both as numbers if they are, else as text. Nothing compares with nothing. */
static struct value compare(enum expr_op op, const struct value *a, const struct value *b)
{
	double x, y;
	char text_a[NUMBER_TEXT_MAX], text_b[NUMBER_TEXT_MAX];
	int order;
	if (value_first(a)->kind == VALUE_NIL || value_first(b)->kind == VALUE_NIL)
		return value_number(op == OP_NE);
	if (value_to_number(a, &x) && value_to_number(b, &y))
		order = (x > y) - (x < y);
	else
		order = span_compare(value_as_text(a, text_a), value_as_text(b, text_b));
	switch (op) {
	case OP_EQ:
		return value_number(order == 0);
	case OP_NE:
		return value_number(order != 0);
	case OP_LT:
		return value_number(order < 0);
	case OP_LE:
		return value_number(order <= 0);
	case OP_GT:
		return value_number(order > 0);
	default:
		return value_number(order >= 0);
	}
}

static struct value calculate(enum expr_op op, const struct value *a, const struct value *b)
{
	double x, y;
	if (!value_to_number(a, &x) || !value_to_number(b, &y))
		return nothing;
	switch (op) {
	case OP_ADD:
		return value_number(x + y);
	case OP_SUB:
		return value_number(x - y);
	case OP_MUL:
		return value_number(x * y);
	case OP_DIV:
		return y == 0 ? nothing : value_number(x / y);
	case OP_MOD:
		return y == 0 ? nothing : value_number(fmod(x, y));
	default:
		return value_number(pow(x, y));
	}
}

static struct value of_number(enum expr_op op, const struct value *arg)
{
	double x;
	if (!value_to_number(arg, &x))
		return nothing;
	switch (op) {
	case OP_NEG:
		return value_number(-x);
	case OP_ABS:
		return value_number(fabs(x));
	case OP_CEIL:
		return value_number(ceil(x));
	case OP_EXP:
		return value_number(exp(x));
	case OP_FLOOR:
		return value_number(floor(x));
	case OP_LOG:
		return x > 0 ? value_number(log(x)) : nothing;
	case OP_LOG2:
		return x > 0 ? value_number(log2(x)) : nothing;
	case OP_ROUND:
		return value_number(round(x));
	case OP_SQRT:
		return x >= 0 ? value_number(sqrt(x)) : nothing;
	default:
		return value_number(x);
	}
}

static struct value step_value(
    const struct expr_step *step, const struct value *args, struct arena *scratch)
{
	switch (step->op) {
	case OP_OR:
		return value_number(value_is_true(&args[0]) || value_is_true(&args[1]));
	case OP_AND:
		return value_number(value_is_true(&args[0]) && value_is_true(&args[1]));
	case OP_NOT:
		return value_number(!value_is_true(&args[0]));
	case OP_EQ:
	case OP_NE:
	case OP_LT:
	case OP_LE:
	case OP_GT:
	case OP_GE:
		return compare(step->op, &args[0], &args[1]);
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_MOD:
	case OP_POW:
		return calculate(step->op, &args[0], &args[1]);
	case OP_NEG:
	case OP_ABS:
	case OP_CEIL:
	case OP_EXP:
	case OP_FLOOR:
	case OP_LOG:
	case OP_LOG2:
	case OP_ROUND:
	case OP_SQRT:
	case OP_TO_NUMBER:
		return of_number(step->op, &args[0]);
	default:
		return expr_call(step->op, args, step->args, scratch);
	}
}

struct value expr_eval(const struct expr *expr, const struct value *slots, struct arena *scratch)
{
	struct value stack[EXPR_STACK_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < expr->count; i++) {
		const struct expr_step *step = &expr->steps[i];
		ASSERT(count >= step->args);
		count -= step->args;
		ASSERT(count < EXPR_STACK_MAX);
		if (step->op == OP_PUSH)
			stack[count] = step->constant;
		else if (step->op == OP_SLOT)
			stack[count] = slots[step->slot];
		else
			stack[count] = step_value(step, &stack[count], scratch);
		count++;
	}
	ASSERT(count == 1);
	return stack[0];
}

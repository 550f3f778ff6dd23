/* search/expr_parse.c: the text of an expression to instructions; see expr.h.
 *
 * Operators wait on a stack until one that binds no tighter comes (E. W. Dijkstra's shunting
 * yard, 1961). `want` says whether a value or an operator must come next.
 */
#include "search/expr_ops.h"

#include "base/number.h"

#include <stdio.h>

enum mark_kind { MARK_OPERATOR, MARK_PAREN, MARK_CALL };

/* What waits on the stack. */
struct mark {
	enum mark_kind kind;
	enum expr_op   op;
	unsigned       binds;
	bool           right;             /* ^ and the prefixes: equals wait */
	uint32_t       args;              /* of a call, so far */
};

struct parser {
	struct expr *expr;
	struct span  text;
	size_t       at;
	struct mark  marks[EXPR_DEPTH_MAX];
	uint32_t     mark_count;
	uint32_t     depth;               /* values on the machine's stack by now */
	expr_name   *name;
	void        *ctx;
	char        *why;
};

static const struct function {
	const char  *name;
	enum expr_op op;
	uint32_t     least, most;
} functions[] = {
    {"abs", OP_ABS, 1, 1}, {"ceil", OP_CEIL, 1, 1}, {"exp", OP_EXP, 1, 1},
    {"floor", OP_FLOOR, 1, 1}, {"log", OP_LOG, 1, 1}, {"log2", OP_LOG2, 1, 1},
    {"round", OP_ROUND, 1, 1}, {"sqrt", OP_SQRT, 1, 1}, {"min", OP_MIN, 1, 8},
    {"max", OP_MAX, 1, 8}, {"lower", OP_LOWER, 1, 1}, {"upper", OP_UPPER, 1, 1},
    {"strlen", OP_STRLEN, 1, 1}, {"contains", OP_CONTAINS, 2, 2},
    {"startswith", OP_STARTSWITH, 2, 2}, {"substr", OP_SUBSTR, 3, 3},
    {"concat", OP_CONCAT, 1, 8}, {"exists", OP_EXISTS, 1, 1},
    {"to_number", OP_TO_NUMBER, 1, 1}, {"to_str", OP_TO_STR, 1, 1}, {"year", OP_YEAR, 1, 1},
    {"monthofyear", OP_MONTHOFYEAR, 1, 1}, {"dayofmonth", OP_DAYOFMONTH, 1, 1},
    {"dayofweek", OP_DAYOFWEEK, 1, 1}, {"dayofyear", OP_DAYOFYEAR, 1, 1},
    {"hourofday", OP_HOUROFDAY, 1, 1}, {"minute", OP_MINUTE, 1, 1}, {"hour", OP_HOUR, 1, 1},
    {"day", OP_DAY, 1, 1}, {"month", OP_MONTH, 1, 1}, {"timefmt", OP_TIMEFMT, 1, 2},
    {"geodistance", OP_GEODISTANCE, 4, 4},
};

static const struct operator {
	const char  *text;
	enum expr_op op;
	unsigned     binds;
} operators[] = {
    {"||", OP_OR, 1}, {"&&", OP_AND, 2}, {"==", OP_EQ, 3}, {"!=", OP_NE, 3}, {"<=", OP_LE, 4},
    {">=", OP_GE, 4}, {"<", OP_LT, 4}, {">", OP_GT, 4}, {"+", OP_ADD, 5}, {"-", OP_SUB, 5},
    {"*", OP_MUL, 6}, {"/", OP_DIV, 6}, {"%", OP_MOD, 6}, {"^", OP_POW, 8},
};
enum { BINDS_PREFIX = 7, BINDS_POWER = 8 };

static enum err fail(struct parser *parser, const char *what)
{
	snprintf(parser->why, EXPR_WHY_BYTES, "%s at offset %zu of the expression", what, parser->at);
	return ERR_INVALID;
}

static int peek(const struct parser *parser)
{
	return parser->at < parser->text.len ? parser->text.ptr[parser->at] : -1;
}

static void skip_blanks(struct parser *parser)
{
	while (peek(parser) == ' ' || (peek(parser) >= '\t' && peek(parser) <= '\r'))
		parser->at++;
}

static bool is_name_byte(int byte)
{
	return byte == '_' || byte == '-' || byte == '.' || byte >= 0x80 ||
	    (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static struct span take_name(struct parser *parser, bool dashes)
{
	size_t from = parser->at;
	while (is_name_byte(peek(parser)) && (dashes || (peek(parser) != '-' && peek(parser) != '.')))
		parser->at++;
	return span_slice(parser->text, from, parser->at - from);
}

static struct expr_step *add_step(struct parser *parser, enum expr_op op, uint32_t args)
{
	struct expr *expr = parser->expr;
	ASSERT(parser->depth >= args);
	if (expr->count == EXPR_OPS_MAX || parser->depth - args + 1 > EXPR_STACK_MAX) {
		snprintf(parser->why, EXPR_WHY_BYTES, "the expression is too long");
		return NULL;
	}
	parser->depth = parser->depth - args + 1;
	struct expr_step *step = &expr->steps[expr->count++];
	*step = (struct expr_step){.op = op, .args = args};
	return step;
}

static enum err push_mark(struct parser *parser, struct mark mark)
{
	if (parser->mark_count == EXPR_DEPTH_MAX) {
		snprintf(parser->why, EXPR_WHY_BYTES, "the expression is nested too deep");
		return ERR_TOOLARGE;
	}
	parser->marks[parser->mark_count++] = mark;
	return OK;
}

/* Operators that bind tighter than what comes go out first. */
static enum err pop_operators(struct parser *parser, unsigned binds, bool right)
{
	while (parser->mark_count > 0) {
		const struct mark *top = &parser->marks[parser->mark_count - 1];
		if (top->kind != MARK_OPERATOR || top->binds < binds ||
		    (top->binds == binds && right))
			return OK;
		bool one = top->op == OP_NOT || top->op == OP_NEG;
		parser->mark_count--;
		if (add_step(parser, top->op, one ? 1 : 2) == NULL)
			return ERR_TOOLARGE;
	}
	return OK;
}

/* ---- Values ---- */

static enum err take_text(struct parser *parser)
{
	struct expr *expr = parser->expr;
	int quote = peek(parser);
	uint32_t from = expr->text_bytes;
	for (parser->at++; peek(parser) != quote; parser->at++) {
		if (peek(parser) == '\\')
			parser->at++;
		if (peek(parser) < 0)
			return fail(parser, "Unterminated text");
		expr->text[expr->text_bytes++] = (uint8_t)peek(parser);
	}
	parser->at++;
	struct expr_step *step = add_step(parser, OP_PUSH, 0);
	if (step == NULL)
		return ERR_TOOLARGE;
	step->constant = value_text(span_of(expr->text + from, expr->text_bytes - from));
	return OK;
}

static enum err take_number(struct parser *parser)
{
	size_t from = parser->at;
	double number;
	while ((peek(parser) >= '0' && peek(parser) <= '9') || peek(parser) == '.' ||
	    (peek(parser) | 0x20) == 'e' ||
	    ((peek(parser) == '-' || peek(parser) == '+') &&
	        (parser->text.ptr[parser->at - 1] | 0x20) == 'e'))
		parser->at++;
	if (!number_parse_double(span_slice(parser->text, from, parser->at - from), &number))
		return fail(parser, "Not a number");
	struct expr_step *step = add_step(parser, OP_PUSH, 0);
	if (step == NULL)
		return ERR_TOOLARGE;
	step->constant = value_number(number);
	return OK;
}

static enum err take_slot(struct parser *parser)
{
	uint32_t slot;
	parser->at++;
	struct span name = take_name(parser, true);
	if (name.len == 0)
		return fail(parser, "A name must follow @");
	if (!parser->name(parser->ctx, name, &slot, parser->why))
		return ERR_INVALID;
	struct expr_step *step = add_step(parser, OP_SLOT, 0);
	if (step == NULL)
		return ERR_TOOLARGE;
	step->slot = slot;
	return OK;
}

static enum err take_call(struct parser *parser)
{
	struct span name = take_name(parser, false);
	size_t at = 0;
	skip_blanks(parser);
	while (at < ARRAY_COUNT(functions) && !span_is(name, functions[at].name))
		at++;
	if (at == ARRAY_COUNT(functions) || peek(parser) != '(') {
		snprintf(parser->why, EXPR_WHY_BYTES, "Unknown function '%.*s'",
		    (int)(name.len < 40 ? name.len : 40), (const char *)name.ptr);
		return ERR_INVALID;
	}
	parser->at++;
	return push_mark(parser, (struct mark){.kind = MARK_CALL, .op = functions[at].op});
}

/* True in *more: it was a prefix, and a value is still to come. */
static enum err take_value(struct parser *parser, bool *more)
{
	int byte = peek(parser);
	*more = true;
	if (byte == '(' || byte == '-' || byte == '!') {
		parser->at++;
		return push_mark(parser,
		    (struct mark){.kind = byte == '(' ? MARK_PAREN : MARK_OPERATOR,
		        .op = byte == '-' ? OP_NEG : OP_NOT, .binds = BINDS_PREFIX, .right = true});
	}
	if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
		return take_call(parser);
	*more = false;
	if (byte == '@')
		return take_slot(parser);
	if (byte == '"' || byte == '\'')
		return take_text(parser);
	if ((byte >= '0' && byte <= '9') || byte == '.')
		return take_number(parser);
	return fail(parser, byte < 0 ? "The expression ends too early" : "A value is missing");
}

/* ---- What follows a value ---- */

static enum err close_call(struct parser *parser, const struct mark *mark)
{
	size_t at = 0;
	while (functions[at].op != mark->op)
		at++;
	const struct function *function = &functions[at];
	uint32_t args = mark->args + 1;
	if (args < function->least || args > function->most) {
		snprintf(parser->why, EXPR_WHY_BYTES, "Wrong number of arguments for %s()",
		    function->name);
		return ERR_INVALID;
	}
	const struct expr_step *last = &parser->expr->steps[parser->expr->count - 1];
	if (mark->op == OP_TIMEFMT && args == 2 &&
	    (last->op != OP_PUSH || last->constant.kind != VALUE_TEXT ||
	        !expr_time_format_is_known(last->constant.text))) {
		snprintf(parser->why, EXPR_WHY_BYTES,
		    "timefmt() needs a text of %%Y %%m %%d %%H %%M %%S %%F %%T %%j %%u %%%%");
		return ERR_INVALID;
	}
	return add_step(parser, mark->op, args) == NULL ? ERR_TOOLARGE : OK;
}

/* A bracket or a comma. *want: a value must follow. */
static enum err take_bracket(struct parser *parser, bool *want)
{
	bool comma = peek(parser) == ',';
	enum err err = pop_operators(parser, 0, false);
	if (err != OK)
		return err;
	if (parser->mark_count == 0)
		return fail(parser, "Unmatched bracket or comma");
	struct mark *top = &parser->marks[parser->mark_count - 1];
	if (comma && top->kind != MARK_CALL)
		return fail(parser, "Unexpected comma");
	parser->at++;
	*want = comma;
	if (comma) {
		top->args++;
		return OK;
	}
	struct mark mark = *top;
	parser->mark_count--;
	return mark.kind == MARK_CALL ? close_call(parser, &mark) : OK;
}

static enum err take_operator(struct parser *parser, bool *want)
{
	struct span rest = span_slice(parser->text, parser->at, parser->text.len);
	for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
		struct span text = span_text(operators[i].text);
		if (!span_equal(span_slice(rest, 0, text.len), text))
			continue;
		bool right = operators[i].binds == BINDS_POWER;
		parser->at += text.len;
		*want = true;
		enum err err = pop_operators(parser, operators[i].binds, right);
		if (err != OK)
			return err;
		return push_mark(parser, (struct mark){.kind = MARK_OPERATOR,
		    .op = operators[i].op, .binds = operators[i].binds, .right = right});
	}
	return fail(parser, "An operator is missing");
}

static enum err parse_all(struct parser *parser)
{
	bool want = true;
	for (;;) {
		enum err err;
		skip_blanks(parser);
		if (want)
			err = take_value(parser, &want);
		else if (peek(parser) < 0)
			break;
		else if (peek(parser) == ')' || peek(parser) == ',')
			err = take_bracket(parser, &want);
		else
			err = take_operator(parser, &want);
		if (err != OK)
			return err;
	}
	enum err err = pop_operators(parser, 0, false);
	if (err == OK && parser->mark_count > 0)
		return fail(parser, "Unmatched bracket");
	ASSERT(err != OK || parser->depth == 1);
	return err;
}

enum err expr_parse(struct expr **out, struct memory *memory, struct span text, expr_name *name,
    void *ctx, char why[EXPR_WHY_BYTES])
{
	*out = NULL;
	why[0] = 0;
	if (text.len > EXPR_BYTES_MAX) {
		snprintf(why, EXPR_WHY_BYTES, "the expression has more than %d bytes", EXPR_BYTES_MAX);
		return ERR_TOOLARGE;
	}
	struct expr *expr = memory_zalloc(memory, sizeof(*expr));
	expr->text = memory_alloc(memory, EXPR_BYTES_MAX);
	struct parser parser = {
	    .expr = expr, .text = text, .name = name, .ctx = ctx, .why = why};
	enum err err = parse_all(&parser);
	if (err != OK) {
		expr_free(memory, expr);
		return err;
	}
	*out = expr;
	return OK;
}

void expr_free(struct memory *memory, struct expr *expr)
{
	if (expr == NULL)
		return;
	memory_free(memory, expr->text, EXPR_BYTES_MAX);
	memory_free(memory, expr, sizeof(*expr));
}

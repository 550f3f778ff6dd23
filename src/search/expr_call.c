/* search/expr_call.c: the functions of expressions on text, times and places; see expr.h. */
#include "search/expr_ops.h"

#include "base/date.h"
#include "base/number.h"
#include "search/run.h"

#include <math.h>
#include <stdio.h>

static const struct value nothing = {.kind = VALUE_NIL};
static const double day_ms = 86400000, hour_ms = 3600000, minute_ms = 60000;

/* ---- Text ---- */

static struct value made_text(struct arena *scratch, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = arena_alloc(scratch, len);
	if (copy == NULL)
		return nothing;
	if (len > 0)
		memcpy(copy, bytes, len);
	return value_text(span_of(copy, len));
}

/* ASCII letters only: search folds the rest already. */
static struct value change_case(const struct value *arg, bool up, struct arena *scratch)
{
	char number[NUMBER_TEXT_MAX];
	struct span text = value_as_text(arg, number);
	uint8_t *copy = arena_alloc(scratch, text.len);
	if (value_first(arg)->kind == VALUE_NIL || copy == NULL)
		return nothing;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.ptr[i], low = byte | 0x20;
		bool letter = low >= 'a' && low <= 'z';
		copy[i] = !letter ? byte : up ? (uint8_t)(low - 0x20) : low;
	}
	return value_text(span_of(copy, text.len));
}

static bool has_part(struct span text, struct span part)
{
	if (part.len == 0)
		return true;
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (memcmp(text.ptr + i, part.ptr, part.len) == 0)
			return true;
	return false;
}

static struct value contains(const struct value *args)
{
	char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX];
	struct span part = value_as_text(&args[1], b);
	if (args[0].kind != VALUE_LIST)
		return value_number(value_first(&args[0])->kind != VALUE_NIL &&
		    has_part(value_as_text(&args[0], a), part));
	for (uint32_t i = 0; i < args[0].count; i++)
		if (span_equal(value_as_text(&args[0].items[i], a), part))
			return value_number(1);
	return value_number(0);
}

static struct value starts_with(const struct value *args)
{
	char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX];
	struct span text = value_as_text(&args[0], a), part = value_as_text(&args[1], b);
	return value_number(span_equal(span_slice(text, 0, part.len), part));
}

/* A negative count leaves so many bytes off the end. */
static struct value part_of(const struct value *args, struct arena *scratch)
{
	char number[NUMBER_TEXT_MAX];
	double from, count;
	struct span text = value_as_text(&args[0], number);
	if (value_first(&args[0])->kind == VALUE_NIL || !value_to_number(&args[1], &from) ||
	    !value_to_number(&args[2], &count))
		return nothing;
	from = fmax(0, fmin(from < 0 ? from + (double)text.len : from, (double)text.len));
	double rest = (double)text.len - from;
	count = fmax(0, fmin(count < 0 ? rest + count : count, rest));
	text = span_slice(text, (size_t)from, (size_t)count);
	return made_text(scratch, text.ptr, text.len);
}

static struct value concat(const struct value *args, uint32_t count, struct arena *scratch)
{
	uint8_t text[EXPR_TEXT_MAX];
	char number[NUMBER_TEXT_MAX];
	size_t len = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct span one = value_as_text(&args[i], number);
		if (one.len > sizeof(text) - len)
			return nothing;
		if (one.len > 0)
			memcpy(text + len, one.ptr, one.len);
		len += one.len;
	}
	return made_text(scratch, text, len);
}

static struct value extreme(enum expr_op op, const struct value *args, uint32_t count)
{
	double best = 0, number;
	for (uint32_t i = 0; i < count; i++) {
		if (!value_to_number(&args[i], &number))
			return nothing;
		if (i == 0 || (op == OP_MIN ? number < best : number > best))
			best = number;
	}
	return value_number(best);
}

static struct value distance(const struct value *args)
{
	double at[4];
	for (unsigned i = 0; i < 4; i++)
		if (!value_to_number(&args[i], &at[i]))
			return nothing;
	return value_number(geo_distance(at[0], at[1], at[2], at[3]));
}

/* ---- Times ---- */

bool expr_time_format_is_known(struct span format)
{
	for (size_t i = 0; i < format.len; i++) {
		if (format.ptr[i] != '%')
			continue;
		if (++i == format.len || memchr("YmdHMSFTju%", format.ptr[i], 11) == NULL)
			return false;
	}
	return format.len <= 64;
}

struct clock {
	int64_t year, days;
	int     month, day, hour, minute, second;
};

static struct clock clock_of(double ms)
{
	struct clock clock;
	double days = floor(ms / day_ms), rest = ms - days * day_ms;
	clock.days = (int64_t)days;
	date_civil(clock.days, &clock.year, &clock.month, &clock.day);
	clock.hour = (int)(rest / hour_ms);
	clock.minute = (int)(fmod(rest, hour_ms) / minute_ms);
	clock.second = (int)(fmod(rest, minute_ms) / 1000);
	return clock;
}

static int day_of_year(const struct clock *clock)
{
	return (int)(clock->days - date_days(clock->year, 1, 1));
}

/* 0 is Sunday; 1970 began on a Thursday. */
static int day_of_week(const struct clock *clock)
{
	return (int)(((clock->days + 4) % 7 + 7) % 7);
}

static size_t format_part(const struct clock *clock, uint8_t letter, char *out, size_t bytes)
{
	int len = 0;
	switch (letter) {
	case 'Y':
		len = snprintf(out, bytes, "%04lld", (long long)clock->year);
		break;
	case 'F':
		len = snprintf(out, bytes, "%04lld-%02d-%02d", (long long)clock->year,
		    clock->month, clock->day);
		break;
	case 'T':
		len = snprintf(out, bytes, "%02d:%02d:%02d", clock->hour, clock->minute,
		    clock->second);
		break;
	case 'j':
		len = snprintf(out, bytes, "%03d", day_of_year(clock) + 1);
		break;
	case 'u':
		len = snprintf(
		    out, bytes, "%d", day_of_week(clock) == 0 ? 7 : day_of_week(clock));
		break;
	case '%':
		len = snprintf(out, bytes, "%%");
		break;
	default:
		len = snprintf(out, bytes, "%02d",
		    letter == 'm'       ? clock->month
		        : letter == 'd' ? clock->day
		        : letter == 'H' ? clock->hour
		        : letter == 'M' ? clock->minute
		                        : clock->second);
		break;
	}
	return (size_t)len;
}

static struct value format_time(const struct clock *clock, struct span format, struct arena *scratch)
{
	char text[64 * 16];
	size_t len = 0;
	ASSERT(expr_time_format_is_known(format));
	for (size_t i = 0; i < format.len; i++) {
		if (format.ptr[i] == '%')
			len += format_part(clock, format.ptr[++i], text + len, sizeof(text) - len);
		else
			text[len++] = (char)format.ptr[i];
	}
	return made_text(scratch, (const uint8_t *)text, len);
}

struct value expr_call_time(enum expr_op op, double ms, struct span format, struct arena *scratch)
{
	if (!(fabs(ms) < 8.64e15))
		return nothing;           /* beyond any calendar */
	struct clock clock = clock_of(ms);
	switch (op) {
	case OP_YEAR:
		return value_number((double)clock.year);
	case OP_MONTHOFYEAR:
		return value_number(clock.month - 1);
	case OP_DAYOFMONTH:
		return value_number(clock.day);
	case OP_DAYOFWEEK:
		return value_number(day_of_week(&clock));
	case OP_DAYOFYEAR:
		return value_number(day_of_year(&clock));
	case OP_HOUROFDAY:
		return value_number(clock.hour);
	case OP_MINUTE:
		return value_number(floor(ms / minute_ms) * minute_ms);
	case OP_HOUR:
		return value_number(floor(ms / hour_ms) * hour_ms);
	case OP_DAY:
		return value_number((double)clock.days * day_ms);
	case OP_MONTH:
		return value_number((double)date_days(clock.year, clock.month, 1) * day_ms);
	default:
		return format_time(&clock, format, scratch);
	}
}

struct value expr_call(
    enum expr_op op, const struct value *args, uint32_t count, struct arena *scratch)
{
	char number[NUMBER_TEXT_MAX];
	double ms;
	bool nil = value_first(&args[0])->kind == VALUE_NIL;
	switch (op) {
	case OP_MIN:
	case OP_MAX:
		return extreme(op, args, count);
	case OP_LOWER:
	case OP_UPPER:
		return change_case(&args[0], op == OP_UPPER, scratch);
	case OP_STRLEN:
		return nil ? nothing : value_number((double)value_as_text(&args[0], number).len);
	case OP_CONTAINS:
		return contains(args);
	case OP_STARTSWITH:
		return nil ? value_number(0) : starts_with(args);
	case OP_SUBSTR:
		return part_of(args, scratch);
	case OP_CONCAT:
		return concat(args, count, scratch);
	case OP_EXISTS:
		return value_number(!nil);
	case OP_TO_STR: {
		struct span text = value_as_text(&args[0], number);
		return nil ? nothing : made_text(scratch, text.ptr, text.len);
	}
	case OP_GEODISTANCE:
		return distance(args);
	default:
		break;
	}
	const struct span usual = SPAN_LIT("%FT%TZ");
	if (!value_to_number(&args[0], &ms))
		return nothing;
	return expr_call_time(op, ms, count > 1 ? args[1].text : usual, scratch);
}

/* base/number.c: see number.h. */
#include "base/number.h"

#include "base/arith.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool number_parse_i64(struct span text, int64_t *out)
{
	size_t i = 0;
	if (text.len == 0 || text.len > 20)
		return false;
	bool negative = text.ptr[0] == '-';
	if (negative)
		i++;
	if (i == text.len)
		return false;
	if (text.ptr[i] == '0') {
		*out = 0;
		return text.len == 1;
	}
	uint64_t value = 0;
	for (; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c < '0' || c > '9')
			return false;
		if (!mul_u64(value, 10, &value) || !add_u64(value, (uint64_t)(c - '0'), &value))
			return false;
	}
	uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	if (value > limit)
		return false;
	*out = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

bool number_parse_range(struct span text, int64_t low, int64_t high, int64_t *out)
{
	return number_parse_i64(text, out) && *out >= low && *out <= high;
}

bool number_parse_double(struct span text, double *out)
{
	char copy[65];
	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	if (strlen(copy) != text.len || copy[0] == ' ' || (copy[0] >= '\t' && copy[0] <= '\r'))
		return false;
	if (strchr(copy, 'x') != NULL || strchr(copy, 'X') != NULL)
		return false;
	char *end;
	errno = 0;
	double value = strtod(copy, &end);
	if (*end != 0 || end == copy || isnan(value))
		return false;
	if (errno == ERANGE && (value == HUGE_VAL || value == -HUGE_VAL))
		return false;
	*out = value;
	return true;
}

bool number_parse_bytes(struct span text, uint64_t *out)
{
	static const struct { const char *unit; uint64_t factor; } units[] = {
		{"", 1}, {"b", 1},
		{"k", 1000}, {"kb", 1ULL << 10},
		{"m", 1000000}, {"mb", 1ULL << 20},
		{"g", 1000000000}, {"gb", 1ULL << 30},
		{"t", 1000000000000}, {"tb", 1ULL << 40},
	};
	size_t digits = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	int64_t count;
	if (!number_parse_i64(span_slice(text, 0, digits), &count))
		return false;
	struct span unit = span_slice(text, digits, text.len);
	for (size_t i = 0; i < ARRAY_COUNT(units); i++)
		if (span_is(unit, units[i].unit))
			return mul_u64((uint64_t)count, units[i].factor, out);
	return false;
}

static size_t decimal_digits(uint64_t value)
{
	size_t count = 1;
	for (; value >= 10000; value /= 10000)
		count += 4;
	return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

/* Two digits at a time, from the end. */
size_t number_format_u64(uint64_t value, char *out)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
	                            "25262728293031323334353637383940414243444546474849"
	                            "50515253545556575859606162636465666768697071727374"
	                            "75767778798081828384858687888990919293949596979899";
	size_t count = decimal_digits(value), at = count;
	while (value >= 100) {
		at -= 2;
		memcpy(out + at, pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10)
		memcpy(out, pairs + 2 * value, 2);
	else
		out[0] = (char)('0' + value);
	return count;
}

size_t number_format_i64(int64_t value, char *out)
{
	if (value >= 0)
		return number_format_u64((uint64_t)value, out);
	out[0] = '-';
	return 1 + number_format_u64(0 - (uint64_t)value, out + 1);
}

/* The digits of the shortest decimal that reads back as `value`, which is positive and finite; *exponent: of
 * the first digit. Returns how many. */
static int shortest_digits(double value, char digits[20], int *exponent)
{
	char text[NUMBER_TEXT_MAX];
	for (int precision = value < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (precision == 16 || strtod(text, NULL) == value)
			break;
	}
	char *mark = strchr(text, 'e');
	ASSERT(mark != NULL);
	*exponent = (int)strtol(mark + 1, NULL, 10);
	int count = 0;
	for (const char *at = text; at < mark; at++)
		if (*at != '.')
			digits[count++] = *at;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return count;
}

size_t number_format_double(double value, char *out)
{
	char digits[20];
	int exponent;
	size_t len = 0;
	if (isnan(value))
		return (size_t)snprintf(out, NUMBER_TEXT_MAX, "nan");
	if (isinf(value))
		return (size_t)snprintf(out, NUMBER_TEXT_MAX, value < 0 ? "-inf" : "inf");
	if (value == 0)
		return (size_t)snprintf(out, NUMBER_TEXT_MAX, signbit(value) ? "-0" : "0");
	if (fabs(value) < 0x1p62 && value == (double)(int64_t)value)
		return number_format_i64((int64_t)value, out);
	int count = shortest_digits(fabs(value), digits, &exponent);
	int tail = exponent - (count - 1);            /* the power of ten of the last digit */
	if (value < 0)
		out[len++] = '-';
	if (tail >= 0 && abs(exponent) < count + 7)
		return len + (size_t)snprintf(out + len, NUMBER_TEXT_MAX - len, "%.*s%.*s", count, digits,
		    tail, "0000000");
	if (tail < 0 && (tail > -7 || abs(exponent) < 4)) {
		if (exponent < 0)
			return len + (size_t)snprintf(out + len, NUMBER_TEXT_MAX - len, "0.%.*s%.*s",
			    -exponent - 1, "0000000", count, digits);
		return len + (size_t)snprintf(out + len, NUMBER_TEXT_MAX - len, "%.*s.%.*s", exponent + 1, digits,
		    count - exponent - 1, digits + exponent + 1);
	}
	return len + (size_t)snprintf(out + len, NUMBER_TEXT_MAX - len, "%c%s%.*se%c%d", digits[0],
	    count > 1 ? "." : "", count - 1, digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
}

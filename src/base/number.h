/* base/number.h: numbers as text, with Redis's rules.
 *
 * Integers are canonical decimal: optional '-', no '+', no leading zeros, no spaces.
 */
#pragma once
#include "base/span.h"

enum { NUMBER_TEXT_MAX = 40 };

/* False unless all of `text` is one canonical int64. */
MUST_CHECK bool number_parse_i64(struct span text, int64_t *out);

/* As above, within [low, high]. */
MUST_CHECK bool number_parse_range(struct span text, int64_t low, int64_t high, int64_t *out);

/* Decimal or exponent form, inf and -inf; never nan, no spaces, at most 64 bytes. */
MUST_CHECK bool number_parse_double(struct span text, double *out);

/* "64mb", "1gb", "512": bytes, with Redis's units (k = 1000, kb = 1024, and so on). */
MUST_CHECK bool number_parse_bytes(struct span text, uint64_t *out);

/* Each writes to `out`, which has room for NUMBER_TEXT_MAX bytes, and returns the length; no NUL. */
size_t number_format_i64(int64_t value, char *out);
size_t number_format_u64(uint64_t value, char *out);

/* The shortest text that reads back as the same double, laid out as Redis 7.2 does: 3.14, 0.001, 1.5e-9,
 * 1e+25; integers below 2^62 plain; "inf", "-inf", "nan", "-0". */
size_t number_format_double(double value, char *out);

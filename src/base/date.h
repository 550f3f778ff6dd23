/* base/date.h: the proleptic Gregorian calendar in UTC; times are Unix milliseconds. */
#pragma once
#include "base/span.h"

/* Unix milliseconds as an integer, or ISO 8601: YYYY, YYYY-MM, YYYY-MM-DD,
 * YYYY-MM-DD[T ]hh:mm[:ss[.fff]][Z|+hh:mm|-hh:mm]. Without a zone it is UTC. *first is the
 * first, *last the last millisecond of what was named (a year, a month, a day, ...).
 * A bare integer of four digits is a year. */
MUST_CHECK bool date_parse(struct span text, int64_t *first_ms, int64_t *last_ms);

enum { DATE_TEXT_MAX = 32 };

/* "2024-06-01T12:00:00.000Z"; returns the length, no NUL. */
size_t date_format(int64_t ms, char out[DATE_TEXT_MAX]);

/* Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"). */
int64_t date_days(int64_t year, int month, int day);
void date_civil(int64_t days, int64_t *year, int *month, int *day);

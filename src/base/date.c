/* base/date.c: see date.h. */
#include "base/date.h"

#include "base/number.h"

#include <stdio.h>

enum { DAY_MS = 86400000, HOUR_MS = 3600000, MINUTE_MS = 60000 };

int64_t date_days(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

void date_civil(int64_t days, int64_t *year, int *month, int *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

/* Exactly `count` digits at text[*at]. */
static bool take_digits(struct span text, size_t *at, int count, int *out)
{
	int value = 0;
	for (int i = 0; i < count; i++, (*at)++) {
		if (*at >= text.len || text.ptr[*at] < '0' || text.ptr[*at] > '9')
			return false;
		value = value * 10 + (text.ptr[*at] - '0');
	}
	*out = value;
	return true;
}

static bool take_char(struct span text, size_t *at, uint8_t c)
{
	if (*at >= text.len || text.ptr[*at] != c)
		return false;
	(*at)++;
	return true;
}

/* "Z", "+hh:mm", "-hh:mm" or nothing, then the end. */
static bool take_zone(struct span text, size_t *at, int64_t *offset_ms)
{
	int hours, minutes = 0;
	*offset_ms = 0;
	if (*at == text.len)
		return true;
	if (take_char(text, at, 'Z') || take_char(text, at, 'z'))
		return *at == text.len;
	bool negative = text.ptr[*at] == '-';
	if (!negative && text.ptr[*at] != '+')
		return false;
	(*at)++;
	if (!take_digits(text, at, 2, &hours) || hours > 14)
		return false;
	(void)take_char(text, at, ':');
	if (*at < text.len && (!take_digits(text, at, 2, &minutes) || minutes > 59))
		return false;
	*offset_ms = (int64_t)hours * HOUR_MS + (int64_t)minutes * MINUTE_MS;
	if (negative)
		*offset_ms = -*offset_ms;
	return *at == text.len;
}

/* hh:mm[:ss[.fff]][zone]; *unit_ms becomes the length of the finest part given. */
static bool take_time(struct span text, size_t *at, int64_t *ms, int64_t *unit_ms)
{
	int hour, minute, second = 0, milli = 0;
	int64_t offset_ms;
	if (!take_digits(text, at, 2, &hour) || hour > 23 || !take_char(text, at, ':'))
		return false;
	if (!take_digits(text, at, 2, &minute) || minute > 59)
		return false;
	*unit_ms = MINUTE_MS;
	if (take_char(text, at, ':')) {
		if (!take_digits(text, at, 2, &second) || second > 59)
			return false;
		*unit_ms = 1000;
		if (take_char(text, at, '.')) {
			int scale = 100, digit;
			*unit_ms = 1;
			if (!take_digits(text, at, 1, &digit))
				return false;
			do {
				milli += digit * scale;
				scale /= 10;
			} while (take_digits(text, at, 1, &digit));
		}
	}
	if (!take_zone(text, at, &offset_ms))
		return false;
	*ms = (int64_t)hour * HOUR_MS + (int64_t)minute * MINUTE_MS + second * 1000 + milli - offset_ms;
	return true;
}

static void date_unit(int64_t from_days, int64_t until_days, int64_t *first_ms, int64_t *last_ms)
{
	*first_ms = from_days * DAY_MS;
	*last_ms = until_days * DAY_MS - 1;
}

bool date_parse(struct span text, int64_t *first_ms, int64_t *last_ms)
{
	int year, month, day;
	int64_t ms, unit_ms;
	size_t at = 0;
	if (number_parse_i64(text, &ms) && text.len != 4) {
		*first_ms = *last_ms = ms;
		return true;
	}
	if (!take_digits(text, &at, 4, &year))
		return false;
	if (at == text.len) {
		date_unit(date_days(year, 1, 1), date_days(year + 1, 1, 1), first_ms, last_ms);
		return true;
	}
	if (!take_char(text, &at, '-') || !take_digits(text, &at, 2, &month) || month < 1 ||
	    month > 12)
		return false;
	if (at == text.len) {
		int64_t next =
		    month == 12 ? date_days(year + 1, 1, 1) : date_days(year, month + 1, 1);
		date_unit(date_days(year, month, 1), next, first_ms, last_ms);
		return true;
	}
	if (!take_char(text, &at, '-') || !take_digits(text, &at, 2, &day))
		return false;
	if (day < 1 || day > days_in_month(year, month))
		return false;
	int64_t days = date_days(year, month, day);
	date_unit(days, days + 1, first_ms, last_ms);
	if (at == text.len)
		return true;
	if (!take_char(text, &at, 'T') && !take_char(text, &at, ' '))
		return false;
	if (!take_time(text, &at, &ms, &unit_ms))
		return false;
	*first_ms += ms;
	*last_ms = *first_ms + unit_ms - 1;
	return true;
}

size_t date_format(int64_t ms, char out[DATE_TEXT_MAX])
{
	int64_t days = ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
	int64_t rest = ms - days * DAY_MS;
	int64_t year;
	int month, day;
	date_civil(days, &year, &month, &day);
	int len = snprintf(out, DATE_TEXT_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    (long long)year, month, day, (int)(rest / HOUR_MS), (int)(rest / MINUTE_MS % 60),
	    (int)(rest / 1000 % 60), (int)(rest % 1000));
	return (size_t)len;
}

/* store/clean_policy.c: when to clean, and what. Pure; see clean.h for the rules. */
#include "store/clean.h"

#include <math.h>

static const double share_max = 0.97, idle_gain = 0.30, start_share = 0.12;

double clean_share(const struct clean_view *view)
{
	ASSERT(view->bytes > 0);
	ASSERT(view->used <= view->bytes);
	double need = (double)view->live_bytes + (double)view->mark_bytes;
	if (view->dense && view->record_bytes > 0) {
		need *= (double)view->used / (double)view->record_bytes;
	} else if (view->records > 0) {
		/* Bodies of their own sectors leave half of one empty on average, and as much before. */
		bool bodies = view->record_bytes / view->records > BODY_INLINE_MAX;
		need += (double)view->live_records * (bodies ? SECTOR : RECORD_ALIGN / 2);
	}
	need /= (double)view->bytes;
	return need < 1 ? need : 1;
}

double clean_score(double share, uint64_t age)
{
	ASSERT(share >= 0);
	ASSERT(share <= 1);
	if (share > share_max)
		return 0;
	return (1 - share) * sqrt((double)age + 1) / (1 + share);
}

bool clean_is_idle_gain(const struct clean_view *view)
{
	ASSERT(view->bytes > 0);
	uint64_t needed = view->live_bytes + view->mark_bytes;
	if (needed >= view->record_bytes)
		return false;
	return (double)(view->record_bytes - needed) > idle_gain * (double)view->bytes;
}

double clean_duty(const struct clean_room *room)
{
	double floor = RESERVE_SEGMENTS + 1;
	double share = start_share * (double)room->total;
	double start = floor + (share > 2 ? share : 2);
	double free = (double)room->free;
	ASSERT(start > floor);
	if (free >= start)
		return 0;
	if (free <= floor)
		return 1;
	double duty = (start - free) / (start - floor);
	return duty < 0.05 ? 0.05 : duty;
}

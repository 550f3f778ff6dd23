/* store/clean_policy.c: when to clean, and what. Pure; see clean.h for the rules. */
#include "store/clean.h"

#include <math.h>

static const double share_max = 0.97, idle_gain = 0.30, start_share = 0.04;

/* Room between records: what batches that were synced one by one left empty. A copy closes most
 * of it up, but bodies begin on sectors there too. Little of it is not worth a copy. */
static double clean_waste(const struct clean_view *view)
{
	if (view->dense || view->records == 0)
		return 0;
	bool bodies = view->record_bytes / view->records > BODY_INLINE_MAX;
	uint64_t least = view->record_bytes + view->live_records * (bodies ? SECTOR : RECORD_ALIGN);
	if (view->used <= least || view->used - least < view->used / 4)
		return 0;
	return (double)(view->used - least);
}

double clean_share(const struct clean_view *view)
{
	ASSERT(view->bytes > 0);
	ASSERT(view->used <= view->bytes);
	uint64_t need = view->live_bytes + view->mark_bytes;
	double gain = 0;
	if (need < view->record_bytes)
		gain = (double)(view->record_bytes - need);
	/* What copies lose to padding, they would lose again. */
	if (view->dense && view->record_bytes > 0)
		gain *= (double)view->used / (double)view->record_bytes;
	gain += clean_waste(view);
	/* The next record did not fit: that happens again. Sealed early, by a restart: not so. */
	uint64_t unfilled = view->bytes - view->used;
	if (unfilled > view->bytes / 5 * 3)
		gain += (double)unfilled;
	double share = 1 - gain / (double)view->bytes;
	return share > 0 ? share : 0;
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

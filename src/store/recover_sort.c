/* store/recover_sort.c: which of the records that were found make up the store. */
#include "store/recovery.h"

#include <stdlib.h>

struct scanned *recover_scanned(const struct recovery *recovery, uint32_t id)
{
	uint32_t low = 0, high = recovery->scanned_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (recovery->scanned[middle].segment->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	ASSERT(low <= recovery->scanned_count);
	if (low == recovery->scanned_count || recovery->scanned[low].segment->id != id)
		return NULL;
	return &recovery->scanned[low];
}

/* A segment whose stream nobody names holds nothing durable: not one of its batches is whole,
 * and no commit block elsewhere says where it ended. */
bool position_is_before(const struct recovery *recovery, const struct segment *segment,
    uint64_t offset)
{
	ASSERT(segment->stream <= STREAM_COUNT);
	if (segment->stream == STREAM_COUNT)
		return false;
	const struct position *durable = &recovery->durable[segment->stream];
	if (segment->id != durable->segment)
		return segment->id < durable->segment;
	return offset < (uint64_t)durable->sector * SECTOR;
}

uint32_t position_last(const struct recovery *recovery, uint32_t tier)
{
	uint32_t last = 0;
	ASSERT(tier < TIER_COUNT);
	for (int number = 0; number < STREAM_COUNT; number++) {
		uint32_t segment = recovery->durable[number].segment;
		if ((number == STREAM_WARM) == (tier == TIER_WARM) && segment > last)
			last = segment;
	}
	return last;
}

void recover_judge(struct recovery *recovery)
{
	const struct scanned *scanned = NULL;
	for (size_t i = 0; i < recovery->found_count; i++) {
		struct found *found = &recovery->found[i];
		uint64_t offset = (uint64_t)found->offset * RECORD_ALIGN;
		if (scanned == NULL || scanned->segment->id != found->segment)
			scanned = recover_scanned(recovery, found->segment);
		ASSERT(scanned != NULL);
		bool durable = position_is_before(recovery, scanned->segment, offset);
		uint64_t kept = max_u64(scanned->stop, scanned->follows);
		if (offset >= scanned->end || (offset >= kept && !durable))
			found->drop = true;
	}
}

void recover_cut(struct recovery *recovery, const struct found *bad)
{
	struct scanned *scanned = recover_scanned(recovery, bad->segment);
	ASSERT(scanned != NULL);
	uint64_t from = (uint64_t)bad->batch * SECTOR;
	scanned->stop = min_u64(scanned->stop, from);
	scanned->follows = min_u64(scanned->follows, from);
	scanned->sealed = false;
	ASSERT(scanned->stop >= SECTOR);
	for (size_t i = 0; i < recovery->found_count; i++) {
		struct found *found = &recovery->found[i];
		if (found->segment == bad->segment &&
		    (uint64_t)found->offset * RECORD_ALIGN >= from)
			found->drop = true;
	}
}

int found_compare(const struct found *x, const struct found *y)
{
	if (x->lsn != y->lsn)
		return x->lsn < y->lsn ? -1 : 1;
	/* Of several copies the one that was moved most often comes last; it counts modulo 64,
	 * and far fewer can lie about at the same time. */
	uint32_t ahead = (y->flags - x->flags) >> RECORD_MOVES_SHIFT & RECORD_MOVES;
	if (ahead != 0)
		return ahead < RECORD_MOVES / 2 ? -1 : 1;
	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Of several copies the latest counts, which found_compare put last. */
static void sort_drop_copies(struct recovery *recovery)
{
	struct found *kept = NULL;
	for (size_t i = 0; i < recovery->found_count; i++) {
		struct found *found = &recovery->found[i];
		if (found->drop)
			continue;
		if (kept != NULL && kept->lsn == found->lsn)
			kept->drop = true;
		kept = found;
	}
}

/* First entry with at least this LSN. */
static size_t sort_lower(const struct recovery *recovery, uint64_t lsn)
{
	size_t low = 0, high = recovery->found_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (recovery->found[middle].lsn < lsn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct found *recover_find(const struct recovery *recovery, uint64_t lsn)
{
	for (size_t i = sort_lower(recovery, lsn); i < recovery->found_count; i++) {
		if (recovery->found[i].lsn != lsn)
			break;
		if (!recovery->found[i].drop)
			return &recovery->found[i];
	}
	return NULL;
}

static void sort_apply_voids(struct recovery *recovery)
{
	for (uint32_t v = 0; v < recovery->void_count; v++) {
		const struct void_range *range = &recovery->voids[v];
		if (recover_find(recovery, range->to) == NULL)
			continue;
		size_t i = sort_lower(recovery, range->from);
		for (; i < recovery->found_count && recovery->found[i].lsn < range->to; i++)
			recovery->found[i].drop = true;
	}
}

static int gap_compare(const void *a, const void *b)
{
	const struct void_range *x = a, *y = b;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* Does this END say that all from `expected` on was left out? Gaps are ordered by their end. */
static bool sort_skips(const struct recovery *recovery, const struct found *found, uint64_t expected)
{
	size_t low = 0, high = recovery->gap_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (recovery->gaps[middle].to < found->lsn)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < recovery->gap_count && recovery->gaps[low].to == found->lsn; low++)
		if (recovery->gaps[low].from <= expected)
			return true;
	return false;
}

/* Does a void range, or a gap, whose record is `found` reach down to `expected`? */
static bool sort_bridges(const struct recovery *recovery, const struct found *found,
    uint64_t expected)
{
	if (found->type == RECORD_END)
		return sort_skips(recovery, found, expected);
	if (found->type != RECORD_VOID)
		return false;
	for (uint32_t v = 0; v < recovery->void_count; v++) {
		if (recovery->voids[v].to == found->lsn && recovery->voids[v].from <= expected)
			return true;
	}
	return false;
}

/* The first LSN that is cut: behind a gap that nothing explains, or of a group whose end is
 * missing. */
static uint64_t sort_find_cut(const struct recovery *recovery)
{
	uint64_t expected = recovery->durable_lsn + 1;
	uint64_t group = 0;               /* first LSN of the group that is not complete */
	uint64_t last = 0;
	for (size_t i = 0; i < recovery->found_count; i++) {
		const struct found *found = &recovery->found[i];
		if (found->drop)
			continue;
		bool follows = last + 1 == found->lsn;
		if (found->lsn >= expected) {
			bool bridges =
			    found->lsn != expected && sort_bridges(recovery, found, expected);
			if (found->lsn != expected && !bridges)
				break;
			follows = follows || (bridges && last + 1 == expected);
			expected = found->lsn + 1;
		}
		if (group != 0 && !follows)
			group = 0;
		if ((found->flags & RECORD_CONTINUES) == 0)
			group = 0;
		else if (group == 0)
			group = found->lsn;
		last = found->lsn;
	}
	ASSERT(expected > 0);
	return group != 0 && last + 1 == expected ? group : expected;
}

void recover_sort(struct recovery *recovery)
{
	struct store *store = recovery->store;
	sort_drop_copies(recovery);
	sort_apply_voids(recovery);
	/* What a checkpoint proves to be durable no commit block needs to say; but only what one
	 * says counts when segments are to go. */
	uint64_t recorded = recovery->durable_lsn;
	if (recovery->has_manifest)
		recovery->durable_lsn = max_u64(recorded, recovery->manifest.header.last_lsn);
	if (recovery->gap_count > 0)
		qsort(recovery->gaps, recovery->gap_count, sizeof(*recovery->gaps), gap_compare);
	uint64_t cut = sort_find_cut(recovery);
	uint64_t torn = 0;
	for (size_t i = sort_lower(recovery, cut); i < recovery->found_count; i++) {
		recovery->found[i].drop = true;
		torn += recovery->found[i].bytes;
	}
	store->stats.torn_bytes = torn;
	if (recovery->lsn_seen >= cut) {
		store->void_from = store->cut_from = cut;
		log_notice(store->log, "Cut a torn tail of %llu bytes from LSN %llu on",
		    (unsigned long long)torn, (unsigned long long)cut);
	}
	recovery->lsn_seen = max_u64(recovery->lsn_seen, recovery->durable_lsn);
	store->life = 1;
	for (uint32_t i = 0; i < store->segment_count; i++)
		if (store->segments[i]->life >= store->life)
			store->life = store->segments[i]->life + 1;
	store->next_lsn = recovery->lsn_seen + 1;
	store->recorded_lsn = min_u64(recorded, cut - 1);
	store->recorded_in = recovery->durable_lsn_in;
	store->written_lsn = store->told_written = recovery->lsn_seen;
	/* Until the VOID record is safe, commit blocks must not vouch for what it voids. */
	store->durable_lsn = store->told_durable = cut - 1;
}

enum err store_recovered_place(const struct store *store, uint64_t lsn, struct place *place)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(store->recovery != NULL);
	const struct found *found = recover_find(store->recovery, lsn);
	if (found == NULL && recover_find_link(store->recovery, lsn, place))
		return OK;
	if (found == NULL || found->drop || found->type != RECORD_IMAGE)
		return ERR_NOTFOUND;
	*place = (struct place){found->segment, found->offset, found->bytes};
	return OK;
}

/* store/recover_scan.c: walks through the headers of every segment. */
#include "store/recovery.h"

static void found_push(struct recovery *recovery, const struct found *found)
{
	if (recovery->found_count == recovery->found_cap) {
		size_t cap = recovery->found_cap == 0 ? 1024 : recovery->found_cap * 3 / 2;
		recovery->found = memory_resize(recovery->store->memory, recovery->found,
		    recovery->found_cap * sizeof(*found), cap * sizeof(*found));
		recovery->found_cap = cap;
	}
	recovery->found[recovery->found_count++] = *found;
	if (found->lsn > recovery->lsn_seen)
		recovery->lsn_seen = found->lsn;
}

static void void_push(struct recovery *recovery, uint64_t from, uint64_t to)
{
	if (recovery->void_count == recovery->void_cap) {
		uint32_t cap = recovery->void_cap == 0 ? 16 : recovery->void_cap * 2;
		recovery->voids = memory_resize(recovery->store->memory, recovery->voids,
		    recovery->void_cap * sizeof(*recovery->voids), cap * sizeof(*recovery->voids));
		recovery->void_cap = cap;
	}
	recovery->voids[recovery->void_count++] = (struct void_range){from, to};
}

static void gap_push(struct recovery *recovery, uint64_t from, uint64_t to)
{
	if (recovery->gap_count == recovery->gap_cap) {
		size_t cap = recovery->gap_cap == 0 ? 64 : recovery->gap_cap * 2;
		recovery->gaps = memory_resize(recovery->store->memory, recovery->gaps,
		    recovery->gap_cap * sizeof(*recovery->gaps), cap * sizeof(*recovery->gaps));
		recovery->gap_cap = cap;
	}
	recovery->gaps[recovery->gap_count++] = (struct void_range){from, to};
}

void recover_note_found(struct recovery *recovery, const struct found *found, uint64_t refers)
{
	const struct scanned *scanned = &recovery->scanned[recovery->at];
	struct found one = *found;
	ASSERT(scanned->segment->id == found->segment);
	one.known = (uint64_t)found->offset * RECORD_ALIGN < scanned->covered;
	found_push(recovery, &one);
	if (found->type == RECORD_VOID)
		void_push(recovery, refers, found->lsn);
	if (found->type == RECORD_END && refers != 0 && found->lsn > recovery->durable_lsn)
		gap_push(recovery, refers, found->lsn);
	if (found->type == RECORD_LINK && recovery->has_manifest)
		recover_note_link(recovery, refers);
}

static void scan_found(struct recovery *recovery)
{
	const struct scan *scan = &recovery->scan;
	const struct record_header *header = &scan->view.header;
	const struct found found = {
		.lsn = header->lsn,
		.segment = scan->stamp.segment,
		.offset = (scan->record_at / RECORD_ALIGN) & 0xffffff,
		.batch = (scan->batch_at / SECTOR) & 0x3ffff,
		.bytes = scan->view.layout.bytes,
		.type = header->type,
		.flags = header->flags,
		.mark = record_is_mark(header->type, header->body_bytes),
	};
	ASSERT(found.offset > 0);
	if (header->lsn == 0)
		return;
	recover_note_found(recovery, &found, header->refers);
}

/* The batch was not completed: what was found of it does not count. A void range without its
 * record does not either. */
static void scan_drop_batch(struct recovery *recovery)
{
	ASSERT(recovery->batch_from <= recovery->found_count);
	recovery->found_count = recovery->batch_from;
}

/* The commit block names a segment of its own stream. */
static void scan_name_stream(struct recovery *recovery, const struct commit_block *commit,
    uint32_t segment)
{
	struct scanned *named = recover_scanned(recovery, segment);
	ASSERT(commit->stream < STREAM_COUNT);
	if (named != NULL && named->segment->stream == STREAM_COUNT)
		named->segment->stream = (uint8_t)commit->stream;
}

/* The segment was written to in this life: what others of an earlier one say of it is no news. */
static void scan_note_life(struct scanned *scanned, uint32_t life)
{
	if (life <= scanned->segment->life)
		return;
	scanned->segment->life = life;
	if (scanned->end_life < life)
		scanned->end = UINT64_MAX;
}

void recover_learn(struct recovery *recovery, struct scanned *scanned,
    const struct commit_block *commit)
{
	ASSERT(commit->stream < STREAM_COUNT);
	if (commit->life < scanned->segment->life) {
		scan_drop_batch(recovery);    /* a leftover in what had become a spare */
		return;
	}
	scan_note_life(scanned, commit->life);
	if (commit->epoch > recovery->store->epoch_seen)
		recovery->store->epoch_seen = commit->epoch;
	struct position *durable = &recovery->durable[commit->stream];
	scanned->segment->stream = (uint8_t)commit->stream;
	if (commit->durable_lsn >= recovery->durable_lsn) {
		recovery->durable_lsn = commit->durable_lsn;
		recovery->durable_lsn_in = scanned->segment->id;
	}
	if (commit->durable_segment > durable->segment ||
	    (commit->durable_segment == durable->segment &&
	        commit->durable_sector > durable->sector))
		*durable = (struct position){commit->durable_segment, commit->durable_sector};
	scan_name_stream(recovery, commit, commit->durable_segment);
	for (uint32_t i = 0; i < COMMIT_ENDED; i++) {
		scan_name_stream(recovery, commit, commit->ended[i].segment);
		struct scanned *before = recover_scanned(recovery, commit->ended[i].segment);
		if (before == NULL || before->segment->life > commit->life ||
		    before->end_life > commit->life)
			continue;
		if (before->end_life == commit->life && before->end_told_by > scanned->segment->id)
			continue;
		before->end = (uint64_t)commit->ended[i].sector * SECTOR;
		before->end_told_by = scanned->segment->id;
		before->end_life = commit->life;
	}
	recovery->batch_from = recovery->found_count;
}

/* Of a segment that is looked through behind a bad place. */
static void run_note(struct recovery *recovery, uint32_t segment)
{
	const struct scan *scan = &recovery->scan;
	uint64_t from = (uint64_t)scan->commit.batch_sector * SECTOR;
	if (!scan->whole)
		return;
	if (recovery->run_count > 0) {
		struct batch_run *last = &recovery->runs[recovery->run_count - 1];
		if (last->segment == segment && last->to == from) {
			last->to = scan->batch_at;
			return;
		}
	}
	if (recovery->run_count == recovery->run_cap) {
		size_t cap = recovery->run_cap == 0 ? 16 : recovery->run_cap * 2;
		recovery->runs = memory_resize(recovery->store->memory, recovery->runs,
		    recovery->run_cap * sizeof(*recovery->runs), cap * sizeof(*recovery->runs));
		recovery->run_cap = cap;
	}
	recovery->runs[recovery->run_count++] = (struct batch_run){segment, from, scan->batch_at};
}

static void scan_committed(struct recovery *recovery, struct scanned *scanned)
{
	uint32_t life = recovery->scan.commit.life;
	scanned->batches++;
	recover_learn(recovery, scanned, &recovery->scan.commit);
	if (scanned->stop != 0 && life >= scanned->segment->life)
		run_note(recovery, scanned->segment->id);
}

/* Steps until bytes are needed (SCAN_MORE), something is bad, or the segment ends. */
static enum scan_step scan_run(struct recovery *recovery, struct scanned *scanned)
{
	struct scan *scan = &recovery->scan;
	uint64_t want = COMMIT_BYTES;
	for (;;) {
		uint64_t room = scan->end - min_u64(scan->at, scan->end);
		struct span bytes = {0};
		if (!scan->sealed && room > 0) {
			bytes =
			    window_get(recovery, scanned->segment, scan->at, min_u64(want, room));
			if (bytes.len == 0)
				return SCAN_MORE;
		}
		enum scan_step step = scan_next(scan, bytes);
		want = step == SCAN_MORE ? scan->want : COMMIT_BYTES;
		if (step == SCAN_RECORD || step == SCAN_COMMIT)
			scanned->used = true;
		if (step == SCAN_RECORD)
			scan_found(recovery);
		else if (step == SCAN_COMMIT)
			scan_committed(recovery, scanned);
		else if (step != SCAN_MORE)
			return step;
	}
}

static void scan_begin(struct recovery *recovery, const struct scanned *scanned, uint64_t from)
{
	const struct segment *segment = scanned->segment;
	scan_init(&recovery->scan, segment->id, segment->nonce, segment->bytes);
	recovery->scan.at = recovery->scan.batch_at = from;
	recovery->batch_from = recovery->found_count;
	recovery->scanning = true;
}

static void scan_list(struct recovery *recovery)
{
	struct store *store = recovery->store;
	recovery->at = 0;
	recovery->scanned_count = store->segment_count;
	recovery->scanned =
	    memory_zalloc(store->memory, store->segment_count * sizeof(*recovery->scanned));
	for (uint32_t i = 0; i < store->segment_count; i++) {
		recovery->scanned[i].segment = store->segments[i];
		store->segments[i]->life = 0;         /* its seal may be younger than the rest */
		recovery->scanned[i].end = UINT64_MAX;
	}
	recover_classify(recovery);
}

bool recover_scan(struct recovery *recovery)
{
	/* Twice if the checkpoint turns out to be of no use. */
	for (int tries = 0; recovery->scanned == NULL && tries < 2; tries++)
		if (recovery->store->segment_count > 0)
			scan_list(recovery);
	for (; recovery->at < recovery->scanned_count; recovery->at++) {
		struct scanned *scanned = &recovery->scanned[recovery->at];
		if (scanned->skip)
			continue;
		if (!scanned->footer_tried) {
			enum err err = recover_footer(recovery, scanned);
			if (err == ERR_AGAIN)
				return false;
			scanned->footer_tried = true;
		}
		if (scanned->from_footer)
			continue;
		if (!recovery->scanning)
			scan_begin(recovery, scanned, recover_scan_from(recovery, scanned));
		enum scan_step step = scan_run(recovery, scanned);
		if (step == SCAN_MORE)
			return false;
		scan_drop_batch(recovery);
		scanned->stop = recovery->scan.batch_at;
		scanned->sealed = recovery->scan.sealed;
		recovery->scanning = false;
	}
	recovery->at = 0;
	return true;
}

/* ---- Looking behind a bad place ---- */

/* The segment of this tier with the largest id in which any batch was found, or 0. */
static uint32_t scan_last_used(const struct recovery *recovery, uint32_t tier)
{
	uint32_t last = 0;
	for (uint32_t i = 0; i < recovery->scanned_count; i++) {
		const struct scanned *scanned = &recovery->scanned[i];
		if (scanned->segment->tier == tier && scanned->batches > 0)
			last = scanned->segment->id;
	}
	return last;
}

/* A segment that stopped without a seal may hide valid batches behind a bad place. Spares, from
 * the second on behind the last one in use, cannot: they are taken in order. */
static bool salvage_is_due(const struct recovery *recovery, uint32_t at)
{
	const struct scanned *scanned = &recovery->scanned[at];
	uint32_t tier = scanned->segment->tier;
	if (scanned->sealed || scanned->salvaged || scanned->stop >= scanned->end)
		return false;
	if (scanned->batches > 0)
		return true;
	uint32_t last = scan_last_used(recovery, tier);
	if (scanned->segment->id < last || scanned->segment->id <= position_last(recovery, tier))
		return true;
	for (uint32_t i = 0; i < at; i++) {
		const struct scanned *before = &recovery->scanned[i];
		if (before->segment->tier == tier && before->segment->id > last)
			return false;
	}
	return true;
}

/* If batches lie beyond what the header says, it is not to be trusted. */
static uint64_t salvage_bound(const struct scanned *scanned)
{
	uint64_t reach = reach_end(scanned->segment);
	return scanned->stop <= reach ? max_u64(reach, scanned->stop) : UINT64_MAX;
}

static void salvage_end(struct recovery *recovery, struct scanned *scanned)
{
	scanned->salvaged = true;
	recovery->scanning = false;
	recovery->batch_from = recovery->found_count;
	recovery->at = 0;              /* what was learnt may make another one due */
}

bool recover_salvage(struct recovery *recovery)
{
	while (recovery->at < recovery->scanned_count) {
		struct scanned *scanned = &recovery->scanned[recovery->at];
		if (!recovery->scanning && !salvage_is_due(recovery, recovery->at)) {
			recovery->at++;
			continue;
		}
		if (!recovery->scanning) {
			scan_begin(recovery, scanned, scanned->stop);
			recovery->scan.broken = true;
			recovery->scan.end = min_u64(recovery->scan.end, salvage_bound(scanned));
		}
		enum scan_step step = scan_run(recovery, scanned);
		if (step == SCAN_MORE)
			return false;
		if (step == SCAN_END || recovery->scan.at >= recovery->scan.end) {
			salvage_end(recovery, scanned);
			continue;
		}
		struct span bytes =
		    window_get(recovery, scanned->segment, recovery->scan.at, RECORD_ALIGN);
		if (bytes.len == 0)
			return false;
		scan_skip(&recovery->scan, bytes);
	}
	recovery->at = 0;
	return true;
}

/* A commit block says only what was durable before it. Whole batches right behind that count like those
 * at the end of a log without a bad place: they may have been acknowledged, and nothing before them is
 * missing that was not. */
void recover_follow_on(struct recovery *recovery)
{
	for (size_t i = 0; i < recovery->run_count; i++) {
		const struct batch_run *run = &recovery->runs[i];
		struct scanned *scanned = recover_scanned(recovery, run->segment);
		uint32_t stream = scanned->segment->stream;
		if (stream == STREAM_COUNT || recovery->durable[stream].segment != run->segment)
			continue;
		uint64_t durable = (uint64_t)recovery->durable[stream].sector * SECTOR;
		if (run->from <= durable && durable <= run->to)
			scanned->follows = run->to;
	}
}

/* ---- Bodies that nothing vouches for ---- */

static void verify_done(struct store_read *read, enum err err)
{
	struct recovery *recovery = read->ctx;
	const struct found *found = &recovery->found[recovery->next];
	ASSERT(recovery->reading);
	recovery->reading = false;
	store_read_fini(read);
	if (err == ERR_MEMORY) {
		recovery_fail(recovery, err);
		return;
	}
	if (err != OK)
		recover_cut(recovery, found);
	recovery->next++;
	recovery_run(recovery);
}

/* With its body, if it lies right behind the head; ERR_NOTFOUND: that has to be read by itself. */
static enum err verify_in_window(struct recovery *recovery, const struct found *found)
{
	struct record_view view;
	struct span bytes;
	if ((found->flags & RECORD_CHAINED) != 0 || found->bytes > BODY_INLINE_MAX)
		return ERR_NOTFOUND;
	enum err err = window_get_record(recovery, found, &view, &bytes);
	if (err != OK)
		return err;
	struct span body = span_slice(bytes, view.layout.body_at, view.header.body_bytes);
	return record_check_chunks(view.crcs, 0, body) ? OK : ERR_CORRUPT;
}

bool recover_verify(struct recovery *recovery)
{
	struct store *store = recovery->store;
	if (recovery->reading)
		return false;
	for (; recovery->next < recovery->found_count; recovery->next++) {
		const struct found *found = &recovery->found[recovery->next];
		const struct segment *segment = segment_find(store, found->segment);
		uint64_t offset = (uint64_t)found->offset * RECORD_ALIGN;
		if (found->drop || found->mark ||
		    position_is_before(recovery, segment, offset))
			continue;
		enum err err = verify_in_window(recovery, found);
		if (err == ERR_AGAIN)
			return false;
		if (err == ERR_CORRUPT)
			recover_cut(recovery, found);
		if (err != ERR_NOTFOUND)
			continue;
		recovery->reading = true;
		recovery->read = (struct store_read){
			.done = verify_done,
			.ctx = recovery,
			.place = {found->segment, found->offset, found->bytes},
			.lsn = found->lsn,
			.meta_only = (found->flags & RECORD_CHAINED) != 0,
		};
		read_start_heap(store, &recovery->read);
		return false;
	}
	recovery->next = 0;
	return true;
}

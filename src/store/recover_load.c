/* store/recover_load.c: recovery from a checkpoint.
 *
 * The manifest is read before the segments are looked at, so that only what lies behind it is
 * walked through. Once that is in order, chunks are loaded, each of its records following
 * the copies that were made since, and the rest of the log is told on top. Whatever is wrong
 * with a checkpoint makes recovery begin again without it; the log has all.
 */
#include "store/recovery.h"

#include "store/chunks.h"

#include <stdlib.h>

enum load_step {
	LOAD_BEGIN,
	LOAD_OPEN,
	LOAD_PAST,
	LOAD_READ,
	LOAD_CLOSE,
	LOAD_VOID_FIRST,
	LOAD_VOID_SECOND,
	LOAD_VOID_SYNC,
	LOAD_FETCH,
};

static void load_done(struct io_op *op, int32_t result);

void recover_manifests(struct recovery *recovery)
{
	struct store *store = recovery->store;
	/* Who only reads may be asked for the past, and must not remove what another could use. */
	if (store->options.read_only)
		return;
	for (uint32_t slot = 0; slot < CHECKPOINT_SLOTS; slot++) {
		struct buf file;
		struct manifest manifest;
		buf_init(&file, store->memory);
		enum err err = io_load_file(store->io, store->checkpoint.manifest_path[slot],
		    MANIFEST_BYTES_MAX, &file);
		if (err != ERR_NOTFOUND)
			recovery->void_slots |= 1U << slot;
		if (err == OK && store->options.from_log)
			err = ERR_CANCELLED;
		if (err == OK)
			err = manifest_parse(buf_span(&file), &store->id, slot, &manifest);
		if (err != OK && err != ERR_NOTFOUND)
			log_warning(store->log, "%s is not used: %s",
			    store->checkpoint.manifest_path[slot], err_name(err));
		bool better = err == OK && (!recovery->has_manifest ||
		    manifest.header.number > recovery->manifest.header.number);
		if (better) {
			buf_fini(&recovery->manifest_file);
			recovery->manifest_file = file;
			recovery->manifest = manifest;
			recovery->has_manifest = true;
		} else {
			buf_fini(&file);
		}
	}
	if (recovery->has_manifest)
		recovery->void_slots &= ~(1U << recovery->manifest.header.slot);
}

static void load_drop_manifest(struct recovery *recovery)
{
	if (!recovery->has_manifest)
		return;
	recovery->void_slots |= 1U << recovery->manifest.header.slot;
	recovery->has_manifest = false;
	buf_fini(&recovery->manifest_file);
	recovery->manifest = (struct manifest){0};
}

void recover_load_free(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	buf_fini(&recovery->manifest_file);
	recover_chunks_free(recovery);
	if (recovery->load_fd >= 0)
		io_close_now(recovery->store->io, recovery->load_fd);
	recovery->load_fd = -1;
	memory_free(memory, recovery->fetches,
	    recovery->fetch_cap * sizeof(*recovery->fetches));
	memory_free(memory, recovery->links, recovery->link_cap * sizeof(*recovery->links));
	recovery->links = NULL;
	recovery->link_count = recovery->link_cap = 0;
	recovery->fetches = NULL;
	recovery->fetch_count = recovery->fetch_cap = 0;
}

/* ---- What need not be walked through ---- */

static void adopt_counts(struct scanned *scanned, const struct manifest_segment *note)
{
	struct segment *segment = scanned->segment;
	scanned->used = true;
	scanned->batches = 1;
	segment->records = note->records;
	segment->record_bytes = note->record_bytes;
	segment->marks = note->marks;
	segment->mark_bytes = note->mark_bytes;
	segment->expires = note->expires;
	segment->expire_bytes = note->expire_bytes;
	segment->birth_lsn = note->birth_lsn;
	segment->death_lsn = note->death_lsn;
	segment->expire_last_ms = note->expire_last_ms;
	segment->stream = (uint8_t)note->stream;
	segment->life = note->life;
	segment->lsn_min = note->lsn_min;
	segment->lsn_max = note->lsn_max;
	segment->mark_lsn_max = note->mark_lsn_max;
}

static void classify_covered(struct scanned *scanned, const struct manifest_segment *note)
{
	adopt_counts(scanned, note);
	scanned->skip = scanned->sealed = true;
	scanned->stop = note->covered;
}

uint64_t recover_scan_from(struct recovery *recovery, struct scanned *scanned)
{
	struct manifest_segment note;
	if (!recovery->has_manifest || scanned->covered == 0 ||
	    !manifest_find_segment(&recovery->manifest, scanned->segment->id, &note) ||
	    (note.flags & MANIFEST_COUNTED) == 0)
		return SECTOR;
	ASSERT(note.covered == scanned->covered);
	ASSERT(!scanned->from_footer && !scanned->used);
	adopt_counts(scanned, &note);
	return note.covered;
}

/* False: the segments are not those that the manifest knows. */
static bool classify(struct recovery *recovery, struct scanned *scanned)
{
	const struct manifest *manifest = &recovery->manifest;
	const struct segment *segment = scanned->segment;
	struct manifest_segment note;
	if (manifest_find_segment(manifest, segment->id, &note)) {
		if (note.nonce != segment->nonce || note.covered > segment->bytes ||
		    note.tier != segment->tier)
			return false;
		if ((note.flags & MANIFEST_COMPLETE) != 0)
			classify_covered(scanned, &note);
		else
			scanned->covered = note.covered;
		if ((note.flags & MANIFEST_COUNTED) != 0)
			scanned->segment->life = note.life;
	} else if (segment->id < manifest->header.next_segment) {
		/* It was dead before the checkpoint; a power cut brought it back. */
		static const struct manifest_segment dead = {
			.covered = SECTOR, .lsn_min = UINT64_MAX,
			.death_lsn = UINT64_MAX, .stream = STREAM_COUNT};
		classify_covered(scanned, &dead);
	}
	return true;
}

void recover_classify(struct recovery *recovery)
{
	struct store *store = recovery->store;
	const struct manifest_header *header = &recovery->manifest.header;
	for (uint32_t i = 0; recovery->has_manifest && i < recovery->scanned_count; i++) {
		if (classify(recovery, &recovery->scanned[i]))
			continue;
		log_warning(store->log, "%s is not the segment that the checkpoint knows",
		    recovery->scanned[i].segment->path);
		recover_restart(recovery);
		return;
	}
	if (!recovery->has_manifest)
		return;
	for (uint32_t number = 0; number < STREAM_COUNT; number++)
		recovery->durable[number] = header->durable[number];
	recovery->lsn_seen = header->last_lsn;
	store->epoch_seen = (uint32_t)max_u64(store->epoch_seen, header->epoch);
	recovery->replay_lsn = header->replay_lsn;
	store->next_segment =
	    (uint32_t)max_u64(store->next_segment, recovery->manifest.header.next_segment);
}

static void restart_segments(struct store *store)
{
	for (uint32_t i = store->segment_count; i > 0; i--) {
		struct segment *segment = store->segments[i - 1];
		segment->live_records = segment->live_bytes = 0;
		segment->records = segment->record_bytes = segment->marks = segment->mark_bytes = 0;
		segment->expires = segment->expire_bytes = 0;
		segment->lsn_min = segment->death_lsn = UINT64_MAX;
		segment->lsn_max = segment->mark_lsn_max = 0;
		segment->free_lsn = segment->birth_lsn = 0;
		segment->stream = STREAM_COUNT;
		segment->expire_last_ms = INT64_MIN;
		if (segment->state == SEGMENT_LOST)
			segment_free(store, segment);
	}
}

void recover_restart(struct recovery *recovery)
{
	struct store *store = recovery->store;
	ASSERT(recover_chunks_are_idle(store));
	if (recovery->load_begun)
		store->events.load_reset(store->ctx);
	recovery->load_begun = recovery->is_lazy = recovery->gives_up = false;
	recover_chunks_free(recovery);
	if (recovery->load_fd >= 0)
		io_close_now(store->io, recovery->load_fd);
	recovery->load_fd = -1;
	if (recovery->has_manifest) {
		store->checkpoint.slots[recovery->manifest.header.slot].valid = false;
		checkpoint_slot_clear(store, recovery->manifest.header.slot);
	}
	load_drop_manifest(recovery);
	chain_clear(store);
	restart_segments(store);
	recover_footer_free(recovery);
	memory_free(store->memory, recovery->scanned,
	    recovery->scanned_count * sizeof(*recovery->scanned));
	recovery->scanned = NULL;
	recovery->scanned_count = recovery->at = 0;
	recovery->found_count = recovery->next = 0;
	store->void_count = recovery->fetch_count = recovery->fetch_at = 0;
	recovery->durable_lsn_in = 0;
	recovery->noted = recovery->scanning = false;
	recovery->link_count = 0;
	memset(recovery->durable, 0, sizeof(recovery->durable));
	recovery->durable_lsn = recovery->lsn_seen = recovery->replay_lsn = 0;
	recovery->load_step = LOAD_BEGIN;
	store->void_from = store->cut_from = 0;
	store->stats.lost_records = 0;
	recovery->phase = RECOVERY_SCAN;
}

/* ---- Chunks ---- */

static void load_go(struct recovery *recovery, enum load_step step)
{
	struct store *store = recovery->store;
	struct checkpoint *checkpoint = &store->checkpoint;
	const struct manifest_header *header = &recovery->manifest.header;
	uint32_t direct = store->direct ? (uint32_t)IO_DIRECT : 0;
	recovery->load_step = (uint8_t)step;
	io_op_init(&recovery->op, load_done, recovery);
	if (step == LOAD_OPEN) {
		io_open(store->io, &recovery->op, checkpoint->path[header->slot],
		    IO_READ | IO_WRITE | direct);
	} else if (step == LOAD_CLOSE) {
		io_close(store->io, &recovery->op, recovery->load_fd);
		recovery->load_fd = -1;
	} else if (step == LOAD_VOID_FIRST || step == LOAD_VOID_SECOND) {
		io_unlink(store->io, &recovery->op,
		    checkpoint->manifest_path[step == LOAD_VOID_SECOND]);
	} else {
		ASSERT(step == LOAD_VOID_SYNC);
		io_sync_directory(store->io, &recovery->op, store->dir[TIER_HOT]);
	}
}

/* The slot goes on from where it is. */
static void load_keep_slot(struct recovery *recovery)
{
	struct store *store = recovery->store;
	const struct manifest_header *header = &recovery->manifest.header;
	struct checkpoint_slot *slot = &store->checkpoint.slots[header->slot];
	slot->valid = true;
	slot->number = header->number;
	slot->replay_lsn = header->replay_lsn;
	slot->file_bytes = header->file_bytes;
	store->stats.checkpoint_lsn = header->replay_lsn;
	for (uint32_t i = 0; i < header->chunk_count; i++) {
		struct manifest_chunk chunk = manifest_chunk_at(&recovery->manifest, i);
		if (slot->chunks[chunk.db] == NULL) {
			slot->bits[chunk.db] = header->bits[chunk.db];
			slot->chunks[chunk.db] = memory_zalloc(store->memory,
			    sizeof(chunk) << header->bits[chunk.db]);
		}
		slot->chunks[chunk.db][chunk.index] = chunk;
		slot->live_bytes += round_up(chunk.bytes, SECTOR);
	}
}

static void load_closed(struct recovery *recovery)
{
	struct store *store = recovery->store;
	if (recovery->load_bad) {
		log_warning(store->log, "The checkpoint is damaged: recovering from the log alone");
		recover_restart(recovery);
		recovery->load_bad = false;
		recovery_run(recovery);
		return;
	}
	load_keep_slot(recovery);
	recovery->load_step = LOAD_VOID_FIRST;
	recovery_run(recovery);
}

/* The past is there, or all that is needed before the log is replayed. */
void recover_chunks_over(struct recovery *recovery, bool bad)
{
	struct store *store = recovery->store;
	bool past = recovery->load_step == LOAD_PAST;
	ASSERT(past || recovery->load_step == LOAD_READ);
	if (past && !bad)
		bad = store->events.load_settings(store->ctx, recovery->manifest.blob) != OK;
	recovery->load_bad = bad;
	if (past && !bad) {
		recovery->load_step = LOAD_READ;
		recover_chunks(recovery, LOAD_PART_FIRST);
		return;
	}
	if (!bad && recover_chunks_are_left(recovery)) {
		load_closed(recovery);        /* or rather left open */
		return;
	}
	recover_chunks_free(recovery);
	load_go(recovery, LOAD_CLOSE);
}

/* A manifest that cannot be removed may be found again: whatever it may need must stay. */
static void load_voided(struct recovery *recovery, uint32_t slot, int32_t result)
{
	if (result >= 0 || io_err(result) == ERR_NOTFOUND)
		return;
	struct checkpoint_slot *kept = &recovery->store->checkpoint.slots[slot];
	log_warning(recovery->store->log, "Cannot unlink %s: %s",
	    recovery->store->checkpoint.manifest_path[slot], err_name(io_err(result)));
	kept->valid = true;
	kept->replay_lsn = 0;
}

static void load_done(struct io_op *op, int32_t result)
{
	struct recovery *recovery = op->ctx;
	enum load_step step = recovery->load_step;
	switch (step) {
	case LOAD_OPEN:
		recovery->load_fd = result;
		recovery->load_bad = result < 0;
		recovery->load_step = LOAD_PAST;
		if (result < 0)
			load_closed(recovery);
		else
			recover_chunks(recovery, LOAD_PART_PAST);
		break;
	case LOAD_CLOSE:
		load_closed(recovery);
		break;
	case LOAD_VOID_FIRST:
	case LOAD_VOID_SECOND:
	case LOAD_VOID_SYNC:
		if (step != LOAD_VOID_SYNC)
			load_voided(recovery, step == LOAD_VOID_SECOND, result);
		recovery->load_step = (uint8_t)(step + 1);
		recovery_run(recovery);
		break;
	case LOAD_BEGIN:
	case LOAD_PAST:
	case LOAD_READ:
	case LOAD_FETCH:
		break;
	}
}

/* ---- Images that LINK records name ---- */

void recover_note_link(struct recovery *recovery, uint64_t lsn)
{
	if (recovery->link_count == recovery->link_cap) {
		uint32_t cap = recovery->link_cap == 0 ? 16 : 2 * recovery->link_cap;
		recovery->links = memory_resize(recovery->store->memory, recovery->links,
		    recovery->link_cap * sizeof(*recovery->links), cap * sizeof(*recovery->links));
		recovery->link_cap = cap;
	}
	recovery->links[recovery->link_count++] = (struct link_body){.lsn = lsn};
}

static int link_compare(const void *a, const void *b)
{
	const struct link_body *x = a, *y = b;
	return x->lsn < y->lsn ? -1 : x->lsn > y->lsn;
}

static struct link_body *link_find(const struct recovery *recovery, uint64_t lsn)
{
	uint32_t low = 0, high = recovery->link_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (recovery->links[middle].lsn < lsn)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == recovery->link_count || recovery->links[low].lsn != lsn)
		return NULL;
	return &recovery->links[low];         /* of several equal ones the first counts */
}

bool recover_find_link(const struct recovery *recovery, uint64_t lsn, struct place *place)
{
	const struct link_body *link = link_find(recovery, lsn);
	if (link == NULL || link->place.segment == 0)
		return false;
	*place = link->place;
	return true;
}

/* ---- Records of the chunks ---- */

/* The segment, or what stands for one that is gone. */
static struct segment *load_segment(struct store *store, uint32_t id)
{
	struct segment *segment = segment_find(store, id);
	if (segment != NULL)
		return segment;
	segment = segment_new(store, TIER_HOT, id, "lost");
	segment_set_state(segment, SEGMENT_LOST);
	segment_set_bytes(segment, 0);
	return segment;
}

static void fetch_push(struct recovery *recovery, struct place place)
{
	if (recovery->fetch_count == recovery->fetch_cap) {
		uint32_t cap = recovery->fetch_cap == 0 ? 16 : 2 * recovery->fetch_cap;
		recovery->fetches = memory_resize(recovery->store->memory, recovery->fetches,
		    recovery->fetch_cap * sizeof(*recovery->fetches),
		    cap * sizeof(*recovery->fetches));
		recovery->fetch_cap = cap;
	}
	recovery->fetches[recovery->fetch_count++] = place;
}

bool store_adopt(struct store *store, struct place *place, uint64_t lsn)
{
	struct recovery *recovery = store->recovery;
	ASSERT(recovery != NULL && recovery->has_manifest);
	if (place->segment == 0 || place->bytes == 0)
		return false;
	struct segment *segment = segment_find(store, place->segment);
	const struct found *found = lsn == 0 ? NULL : recover_find(recovery, lsn);
	bool chained = found != NULL && (found->flags & RECORD_CHAINED) != 0;
	if (found != NULL) {
		const struct place to = {found->segment, found->offset, found->bytes};
		/* A head was copied without its parts: they are where they were. */
		if (chain_find(store, *place) != NULL && chain_find(store, to) == NULL)
			chain_rehead(store, *place, to);
		*place = to;
		segment = segment_find(store, to.segment);
	}
	if (segment == NULL)
		segment = load_segment(store, place->segment);
	segment_retain(segment, place->bytes);
	struct link_body *link = lsn == 0 ? NULL : link_find(recovery, lsn);
	if (link != NULL)
		link->place = *place;
	struct chain *chain = chain_find(store, *place);
	if (chain != NULL) {
		chain->refs++;
		chain->lsn = lsn;
	} else if (chained && segment->state != SEGMENT_LOST) {
		ASSERT(recovery->phase == RECOVERY_LOAD);
		fetch_push(recovery, *place);
	}
	return segment->state != SEGMENT_LOST;
}

bool store_can_adopt(const struct store *store, struct place place, uint64_t lsn)
{
	ASSERT(store->recovery != NULL && store->recovery->phase == RECOVERY_LOAD);
	if (recover_find(store->recovery, lsn) != NULL)
		return true;
	const struct segment *segment = segment_find(store, place.segment);
	return segment != NULL && segment->state != SEGMENT_LOST;
}

bool store_is_linked(const struct store *store, uint64_t lsn)
{
	ASSERT(store->recovery != NULL && store->recovery->phase == RECOVERY_LOAD);
	return link_find(store->recovery, lsn) != NULL;
}

bool store_fetch(struct store *store, struct place place)
{
	ASSERT(store->recovery != NULL);
	if (store->recovery->phase != RECOVERY_LOAD)
		return false;
	const struct segment *segment = segment_find(store, place.segment);
	if (segment != NULL && segment->state != SEGMENT_LOST)
		fetch_push(store->recovery, place);
	return true;
}

/* The head of the record at recovery->fetches[fetch_at], then the record. True: done with it. */
static bool load_fetch_one(struct recovery *recovery)
{
	struct store *store = recovery->store;
	struct place place = recovery->fetches[recovery->fetch_at];
	struct segment *segment = segment_find(store, place.segment);
	uint64_t offset = (uint64_t)place.offset * RECORD_ALIGN;
	struct stamp stamp = segment_stamp(segment, offset);
	struct record_view view;
	uint64_t want = RECORD_HEADER;
	enum err err = ERR_AGAIN;
	while (err == ERR_AGAIN) {
		if (offset + want > segment->bytes)
			break;
		struct span bytes = window_get(recovery, segment, offset, want);
		if (bytes.len == 0)
			return false;
		err = record_parse(bytes, &stamp, &view);
		want = view.layout.head_bytes;
	}
	if (err != OK) {
		log_warning(store->log, "Segment %u: the record at %llu is corrupt", place.segment,
		    (unsigned long long)offset);
		recover_give_up_load(recovery);
		return false;
	}
	recovery->fetched = (struct found){
		.lsn = view.header.lsn,
		.segment = place.segment,
		.offset = place.offset & 0xffffff,
		.bytes = place.bytes,
		.type = view.header.type,
		.flags = view.header.flags,
	};
	return recover_deliver_fetched(recovery);
}

/* Parts of chains lie where the manifest says, or where a later copy is. */
static void load_settle_chains(struct recovery *recovery)
{
	struct store *store = recovery->store;
	struct chain *chain = NULL, *next = chain_next(store, NULL);
	while ((chain = next) != NULL) {
		next = chain_next(store, chain);
		if (chain->settled)
			continue;
		if (chain->refs == 0) {
			chain_forget(store, chain);
			continue;
		}
		for (uint32_t i = 0; i < chain->count; i++) {
			struct place *part = &chain->parts[i];
			const struct found *found = chain->lsn <= chain->count
			    ? NULL : recover_find(recovery, chain->lsn - chain->count + i);
			if (found != NULL && found->type == RECORD_PART)
				*part = (struct place){found->segment, found->offset, found->bytes};
			segment_retain(load_segment(store, part->segment), part->bytes);
		}
		chain->settled = true;
	}
}

static void load_add_chains(struct recovery *recovery)
{
	struct span chains = recovery->manifest.chains;
	while (chains.len > 0) {
		struct place head;
		uint32_t count;
		memcpy(&head, chains.ptr, sizeof(head));
		memcpy(&count, chains.ptr + sizeof(head), sizeof(count));
		size_t bytes = count * sizeof(struct place);
		chains = span_slice(chains, sizeof(head) + sizeof(count), chains.len);
		if (count <= CHAIN_PARTS_MAX && chain_find(recovery->store, head) == NULL) {
			struct chain *chain = chain_add(recovery->store, head, count);
			memcpy(chain->parts, chains.ptr, bytes);
			chain->refs = 0;
			chain->settled = false;
		}
		chains = span_slice(chains, bytes, chains.len);
	}
}

void recover_count_lost(struct store *store)
{
	for (uint32_t i = store->segment_count; i > 0; i--) {
		struct segment *segment = store->segments[i - 1];
		/* It may have died while the checkpoint was being written: nobody told. */
		if (segment->live_records + segment->marks < segment->records)
			segment_note_death(segment, 0);
		if (segment->state != SEGMENT_LOST)
			continue;
		if (segment->live_records == 0) {
			segment_free(store, segment);     /* the log told where they are */
			continue;
		}
		log_warning(store->log, "Segment %u is missing: %llu records that were in it are lost",
		    segment->id, (unsigned long long)segment->live_records);
		store->stats.lost_records += segment->live_records;
	}
}

void recover_give_up_load(struct recovery *recovery)
{
	log_warning(recovery->store->log, "The checkpoint does not fit: recovering from the log alone");
	recover_restart(recovery);
	io_timer_set(recovery->store->io, &recovery->timer, 0);
}

static void load_tell_begin(struct recovery *recovery)
{
	const struct manifest *manifest = &recovery->manifest;
	struct store_load load = {
		.seed = manifest->header.seed, .replay_lsn = manifest->header.replay_lsn};
	for (uint32_t i = 0; i < manifest->header.chunk_count; i++) {
		struct manifest_chunk chunk = manifest_chunk_at(manifest, i);
		load.counts[chunk.db] += chunk.count;
	}
	recovery->store->events.load_begin(recovery->store->ctx, &load);
}

/* May entries be loaded when the store is open? Not if the log says of them what can only be
 * replayed with all of them there, and not if there are bodies in several records. */
static bool load_may_wait(const struct recovery *recovery)
{
	const struct manifest *manifest = &recovery->manifest;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < manifest->header.chunk_count; i++)
		bytes += manifest_chunk_at(manifest, i).bytes;
	uint64_t most = recovery->store->options.load_bytes_first;
	if (most == 0 || bytes <= most || manifest->chains.len > 0)
		return false;
	/* Records that are told cost a read each: when they are many, all of it at once is quicker. */
	size_t told = 0, most_told = 16 + manifest->header.chunk_count / 2;
	for (size_t i = 0; i < recovery->found_count; i++) {
		const struct found *found = &recovery->found[i];
		told += recover_is_told(recovery, found);
		if (told > most_told || (found->flags & RECORD_CHAINED) != 0 || found->type == RECORD_PART ||
		    (found->type == RECORD_FLUSH && found->lsn >= recovery->replay_lsn))
			return false;
	}
	for (uint32_t i = 0; i < recovery->link_count; i++) {
		const struct found *found = recover_find(recovery, recovery->links[i].lsn);
		if (found == NULL || found->drop || found->type != RECORD_IMAGE)
			return false;
	}
	return true;
}

/* ---- Behind the open store ---- */

void recover_rest_over(struct recovery *recovery)
{
	struct store *store = recovery->store;
	recover_count_lost(store);
	store->whole = store->reclaim_due = true;
	log_notice(store->log, "All of the checkpoint is loaded, %.3f s after the start",
	    (double)(io_clock_us(store->io) - recovery->started_us) / 1e6);
	recovery_free(store);
}

static void spoilt_done(struct io_op *op, int32_t result)
{
	struct recovery *recovery = op->ctx;
	if (result < 0)
		log_warning(recovery->store->log, "Cannot unlink the damaged checkpoint's manifest: %s",
		    err_name(io_err(result)));
}

/* Its manifest goes, so that the next start does without it. */
void recover_spoilt(struct recovery *recovery)
{
	struct store *store = recovery->store;
	log_warning(store->log, "The checkpoint is damaged, and the server serves already: keys that "
	    "cannot be known are answered with -CORRUPT, and nothing is cleaned, until it is "
	    "started again, from the log alone");
	ASSERT(io_op_is_idle(&recovery->op));
	io_op_init(&recovery->op, spoilt_done, recovery);
	io_unlink(store->io, &recovery->op,
	    store->checkpoint.manifest_path[recovery->manifest.header.slot]);
}

bool recover_load(struct recovery *recovery)
{
	if (!io_op_is_idle(&recovery->op) || recovery->load_step == LOAD_PAST ||
	    recovery->load_step == LOAD_READ)
		return false;
	if (recovery->load_step == LOAD_BEGIN && recovery->has_manifest) {
		recovery->load_begun = true;
		recovery->is_lazy = load_may_wait(recovery);
		load_tell_begin(recovery);
		load_add_chains(recovery);
		if (recovery->link_count > 1)
			qsort(recovery->links, recovery->link_count, sizeof(*recovery->links),
			    link_compare);
		load_go(recovery, LOAD_OPEN);
		return false;
	}
	if (recovery->load_step == LOAD_BEGIN)
		recovery->load_step = LOAD_VOID_FIRST;
	for (; recovery->load_step < LOAD_FETCH; recovery->load_step++) {
		uint32_t bit = recovery->load_step == LOAD_VOID_FIRST ? 1
		    : recovery->load_step == LOAD_VOID_SECOND ? 2 : 3;
		if ((recovery->void_slots & bit) == 0)
			continue;
		load_go(recovery, recovery->load_step);
		return false;
	}
	for (; recovery->fetch_at < recovery->fetch_count; recovery->fetch_at++)
		if (!load_fetch_one(recovery))
			return false;
	load_settle_chains(recovery);
	return true;
}

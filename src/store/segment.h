/* store/segment.h: the table of segments, how they are made, and how far they are filled. state.h includes
 * it.
 */
#pragma once
#include "store/state.h"

/* ---- segment.c: the table of segments and their accounts ---- */
struct segment *segment_new(struct store *store, enum tier tier, uint32_t id, const char *name);
void segment_free(struct store *store, struct segment *segment);   /* its file is closed */
struct segment *segment_find(const struct store *store, uint32_t id);
void segment_set_id(struct store *store, struct segment *segment, uint32_t id);
void segment_set_state(struct segment *segment, enum segment_state state);     /* and counts */
void segment_set_bytes(struct segment *segment, uint64_t bytes);
char *segment_path_new(struct store *store, enum tier tier, const char *name, size_t *bytes);
void segment_name(char out[32], enum tier tier, uint32_t id);
/* It holds nothing any more, for good. */
void segment_clear(struct segment *segment);
/* A record, alive or not, that lies in the segment. `type` matters for marks. */
void segment_note(struct segment *segment, uint64_t lsn, uint32_t bytes, bool is_mark, uint8_t type);
/* Something in it died when the log stood at this LSN. */
static inline void segment_note_death(struct segment *segment, uint64_t lsn)
{
	segment->death_lsn = segment->death_lsn < lsn ? segment->death_lsn : lsn;
}
void segment_retain(struct segment *segment, uint32_t bytes);
void segment_release(struct store *store, struct segment *segment, uint32_t bytes);
struct segment *segment_spare(const struct store *store, enum tier tier, uint32_t *count);
uint64_t segment_bytes_of(const struct store *store, enum tier tier);
static inline struct stamp segment_stamp(const struct segment *segment, uint64_t offset)
{
	return (struct stamp){segment->id, segment->nonce, offset};
}

/* ---- maker.c ---- */
void maker_init(struct store *store);
void maker_fini(struct store *store);
void maker_pump(struct store *store);
/* Within disk_bytes_max there can be so many spare hot segments, once all that is dead is freed. */
bool maker_can_offer(const struct store *store, uint32_t count);
/* Nothing it does is under way. */
bool maker_is_idle(const struct store *store);
void maker_abandon(struct store *store);
void maker_recycle(struct store *store, struct segment *segment);
bool zeroer_overlaps(const struct segment *segment, uint64_t from, uint64_t to);
void zeroer_pump(struct store *store);

/* ---- reach.c ---- */
void reach_init(struct stream *stream);
void reach_fini(struct stream *stream);
/* No batch lies at or beyond this, and none is sent there. */
uint64_t reach_end(const struct segment *segment);
/* Sees to it that a batch which ends there, and the next ones, may be sent. */
void reach_extend(struct stream *stream, struct segment *segment, uint64_t end);
void segment_fill_header(const struct segment *segment, struct segment_header *out);

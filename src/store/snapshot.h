/* store/snapshot.h: what quick restarts add to state.h: footers being made, checkpoints being
 * written. Private to src/store; state.h includes it at its end. */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct store;
struct segment;
struct batch;

/* ---- footer_make.c ---- */
/* The batch is durable: its records enter the footer, which is written with the seal. */
void footer_note_durable(struct batch *batch);
void footer_write(struct segment *segment, const struct commit_block *seal);
void footer_drop(struct segment *segment);
/* Block `index` of the footer that the segment gathers, *at bytes into it; the last one is not
 * closed yet. `raw` has room for 2 * FOOTER_BLOCK_RAW + FOOTER_BLOCK_HEADER bytes. ERR_NOTFOUND: none. */
MUST_CHECK enum err footer_peek_gathered(const struct segment *segment, uint32_t index, uint64_t *at,
    uint8_t *raw, struct span *out);
/* A record was added to a batch of this segment: room is kept for its item. */
void footer_count(struct segment *segment, const struct record *record);
/* Where the room for batches ends if `record` (or NULL) came too. */
uint64_t footer_end_for(const struct segment *segment, const struct record *record);

/* ---- recover_chunks.c: while a checkpoint is loaded behind the open store ---- */
void recover_chunks_stop(struct store *store);          /* nothing more is read */
bool recover_chunks_are_idle(const struct store *store);

/* ---- checkpoint.c ---- */
MUST_CHECK enum err checkpoint_init(struct store *store);
void checkpoint_fini(struct store *store);
bool checkpoint_is_idle(const struct store *store);
void checkpoint_pump(struct store *store);              /* more of the log is durable */
void checkpoint_slot_clear(struct store *store, uint32_t at);
/* Marks with this LSN or a larger one may be needed when a checkpoint is loaded. */
uint64_t checkpoint_keep_lsn(const struct store *store);

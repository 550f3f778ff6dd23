/* engine/past/past_load.h: the past in a checkpoint, and back.
 *
 * Entries are written first (and loaded last), each as it is at some time after the checkpoint
 * began. Then
 * follow shared bodies with their places, the versions in the order of their ends, and, in one
 * go with the last of these, the bodies that were shared meanwhile. So one LSN says it all: what
 * ended up to `known` is among the versions (or was forgotten), what ended later is not.
 * When the log is replayed on top, an ending up to `known` only takes from the entry
 * what is its own; a later one makes a version as always. A record may thus be named by a
 * version before the entry that it once made is ended anew: past_take() keeps one owner.
 *
 * A place may have been left since it was written; the store knows where its record went. A
 * version whose records are gone was forgotten, and all that ended before it.
 *
 *   u8 'H' | lsn | place                            of a body that entries share
 *   u8 'V' | db | key | state | lsn | body_lsn | end_lsn | since_ms | until_ms | place of the
 *            body | [place of the metadata, if it has a record of its own]
 *
 * Beside them, in the settings: window_s + 1 and place of the history's own SETTING, the floor's
 * LSN and time, `known`. Numbers as in chunk.h.
 */
#pragma once
#include "engine/past/past.h"

/* ---- Writing ---- */

/* From here on bodies that are shared are remembered. */
void past_dump_begin(struct engine *engine);
/* The next piece, with the number of its items added to *count. False: that was all, and what
 * ended up to now is in it. */
MUST_CHECK bool past_dump(struct engine *engine, struct buf *out, uint32_t *count);
void past_dump_settings(struct engine *engine, struct buf *out);
/* The checkpoint is over, or came to nothing. */
void past_dump_end(struct engine *engine);

/* ---- Reading ---- */

/* Memory is to be emptied. */
void past_load_reset(struct engine *engine);
/* ERR_CORRUPT. Chunks come in the order in which they were written. */
MUST_CHECK enum err past_load_chunk(struct engine *engine, uint32_t count, struct span bytes);
/* An entry, loaded later, shares this body, which lay at `place` once. */
void past_load_shared(struct engine *engine, uint64_t lsn, struct place place);
/* Takes its part from the front of *in. ERR_CORRUPT. */
MUST_CHECK enum err past_load_settings(struct engine *engine, struct span *in);
/* All of the past was read, and no entry yet: each of its records is the past's alone. */
void past_load_decide(struct engine *engine);
/* An entry came that owns this record, which lies, and is alive, at `place`. */
void past_take(struct engine *engine, uint64_t lsn, struct place place);
/* The log was replayed. An entry that should have gone by then is still there (its end could not
 * be read): nothing may have two owners from now on. */
void past_load_settle(struct engine *engine);
/* All entries are here, too. */
void past_load_over(struct engine *engine);

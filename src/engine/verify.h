/* engine/verify.h: is what lies on the disk what was put? IMG.VERIFY, and the scrub.
 *
 * One check reads one record from the disk, past every cache. The store proves place, key, LSN
 * and every checksum; of an image's bytes the digest is computed again, a slice a pass, and must
 * be its ETag.
 *
 * The scrub checks every record that anybody needs, at `scrub-bytes-per-second`, in rounds that
 * begin `scrub-interval` seconds apart: bodies, metadata, strings, and what is kept for the past.
 * A corrupt image is logged and counted, and answers -CORRUPT to whoever reads it; a string,
 * whose value is in memory, is written again.
 */
#pragma once
#include "engine/internal.h"

#include "store/body.h"

struct record_check {
	struct list       link;
	struct engine    *engine;
	struct store_read read;
	XXH3_state_t     *hash;           /* while bytes are being hashed */
	size_t            hashed;
	struct digest     etag;
	/* ERR_CORRUPT; ERR_NOTFOUND: it died meanwhile; ERR_OVERLOADED, ...: not known. */
	void            (*done)(struct record_check *check, enum err err);
	void             *ctx;
};

/* The caller has set done and ctx. done() always runs, never from within. */
void record_check_start(
    struct engine *engine, struct record_check *check, struct place place, uint64_t lsn);
/* Begins a round of the scrub now. False: one is under way. */
bool scrub_begin(struct engine *engine);

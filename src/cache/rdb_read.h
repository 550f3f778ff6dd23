/* cache/rdb_read.h: the parts of Redis's dumps that rdb.c is made of. Not for other folders.
 *
 * Each takes what it reads off the front of `in`. False: it is not there, or makes no sense.
 */
#pragma once
#include "base/buf.h"

/* A length, or which special encoding of a string follows. */
MUST_CHECK bool rdb_take_length(struct span *in, uint64_t *length, bool *is_special);
/* A string: its bytes, borrowed from `in`, or from `scratch` if it was a number or compressed. */
MUST_CHECK bool rdb_take_string(struct span *in, struct buf *scratch, struct span *out);
/* A score as text (type 3) and as eight bytes (type 5). */
MUST_CHECK bool rdb_take_score_text(struct span *in, double *out);
MUST_CHECK bool rdb_take_score(struct span *in, double *out);

/* A listpack: whole, then element by element. */
MUST_CHECK bool listpack_open(struct span bytes, struct span *elements);
/* `number` has room for the text of one (24 bytes). False at the end, with *elements empty, or if it is
 * broken. */
MUST_CHECK bool listpack_take(struct span *elements, char *number, struct span *out);

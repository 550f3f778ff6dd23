/* store/extend.h: the last record of the log grows.
 *
 * What several changes of one key in one pass say can be one record: the first is appended, the others
 * become part of its body. Its LSN stays, so nobody may have looked at the record, or at the LSN of its
 * key, in between: the owner extends within a pass only, and not behind the back of a checkpoint.
 */
#pragma once
#include "store/store.h"

/* The body of the last record appended, which has this LSN and lies in the open batch, gets longer by `more`;
 * *place is where it lies, with its new length. False, and nothing happened: there is no room, or it is part
 * of a group. */
MUST_CHECK bool store_extend(
    struct store *store, uint64_t lsn, struct span more, struct place *place);

struct stream;
/* The same of one stream; a place of no bytes: it cannot. Private to the store. */
struct place stream_extend(struct stream *stream, uint64_t lsn, struct span more);

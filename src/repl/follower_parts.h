/* repl/follower_parts.h: what the follower's files share. Private to src/repl. */
#pragma once
#include "repl/follower.h"

/* ---- follower.c ---- */
void follower_fail(struct follower *follower, const char *why);

/* ---- follower_take.c ---- */
/* Takes frames until no whole one is left, or a record has to wait (follower->stalled). False: the link
 * was closed. */
MUST_CHECK bool follower_take(struct follower *follower);
/* `in` may move: what is left of the records of a frame gets a place of its own. */
void follower_keep_records(struct follower *follower);
void follower_drop_body(struct follower *follower);

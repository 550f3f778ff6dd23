/* engine/partly.h: while the checkpoint is still being loaded, and commands are served already.
 *
 * A command that names keys waits until their chunks are there, which are loaded next; one that
 * needs all of them (DBSIZE, SCAN, IMG.SEARCH, ...) until everything is. Everything that works
 * through the directories by itself waits, too: tiers, history, the scrub, checkpoints, the
 * index, and the store's cleaner. Nothing is said of a key whose chunk is damaged but -CORRUPT.
 */
#pragma once
#include "engine/engine.h"

/* While engine->partly: true if the key is not there yet; its chunk comes next. False: it is; or it
 * cannot be known, and the call has failed. */
bool call_needs_key(struct call *call, struct span key);
/* Parks the session until something more, or `all`, is loaded. */
void call_wait_for_load(struct call *call, bool all);

/* tests/sim/keeper.h: the owner's checkpoints: its slots in chunks, written one at a time between
 * other work, and loaded again, before the store is open or behind it.
 */
#pragma once
#include "tests/sim/owner.h"

/* Begins a checkpoint if none is being written, else hands over the next chunk if it may. */
void keeper_step(struct owner *owner);
/* A key, or where its records lie, is no longer what a chunk says. */
void keeper_touch(struct owner *owner, uint8_t key);
/* Is all known of this key? False: not yet, or its chunk is damaged. */
bool keeper_knows(struct owner *owner, uint8_t key);
bool keeper_knows_all(const struct owner *owner);

/* See store_events. */
void keeper_load_begin(void *ctx, const struct store_load *load);
enum err keeper_load_chunk(void *ctx, uint8_t db, uint32_t count, struct span bytes);
enum err keeper_load_settings(void *ctx, struct span bytes);
void keeper_load_reset(void *ctx);
uint64_t keeper_key_hash(void *ctx, uint8_t db, struct span key);
void keeper_loaded(void *ctx, bool all);

/* store/read.h: reads and moves of records, as the other files of the store see them. Private to
 * src/store. */
#pragma once
#include "store/batch.h"

struct segment;

/* ---- read.c ---- */
struct store_read_state;
void read_pump_waiting(struct store *store);            /* something was written */
/* As store_read_start, but into the heap; for recovery. */
void read_start_heap(struct store *store, struct store_read *read);
/* The record on a finished read is the head of a chain, with this table. */
bool read_is_chained(const struct store_read *read, struct span *table);
void read_run_deferred(struct store *store);
void read_relocated(struct store *store, struct place from, struct place to);
void read_fail_waiting(struct store *store);
void read_abandon(struct store *store);

/* ---- move.c ---- */
void move_batch_durable(struct batch *batch);
void move_batch_failed(struct batch *batch, enum err err);
void move_batch_rehomed(struct batch *batch, struct segment *from);     /* a failed write */
void move_pump(struct store *store);
void move_run_deferred(struct store *store);
void move_abandon(struct store *store);
/* A copied part went to another place with its batch. */
bool move_has_parts(const struct store *store);         /* a copy of a chain is half done */
bool move_part_moved(struct store *store, struct place from, struct place to);

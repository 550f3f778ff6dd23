/* engine/index/refill.h: makes the documents of a database again, from the oldest on: fields.h. */
#pragma once
#include "engine/internal.h"

void refill_new(struct engine *engine);
void refill_free(struct engine *engine);
/* From the beginning, if it is under way already. */
void refill_start(struct engine *engine, uint8_t db);
/* A slice. True: there is more to do at once. */
bool refill_step(struct engine *engine);
/* About how many documents of this database are to come. */
uint64_t refill_left(const struct engine *engine, uint8_t db);

/* tests/sim/pictures.h: commands that make, change, share and delete images, for replica_sim.c: small
 * ones mostly, some that a frame cannot hold, and a few longer than a segment of 1 MiB. */
#pragma once
#include "base/buf.h"
#include "base/random.h"

enum { PICTURES = 6 };

/* Appends one command; `number` is the image's content, or its new title. */
void picture_command(struct buf *out, struct random *random, uint64_t number);

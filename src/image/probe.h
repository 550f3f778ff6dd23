/* image/probe.h: what an image is, from its header, without decoding anything.
 *
 * Bounded: reads at most PROBE_BYTES_MAX of the file in all, never loops on what it read,
 * and never trusts a length. Refuses what would make a decoder ask for absurd memory.
 */
#pragma once
#include "image/meta.h"

struct probe_limits {
	uint64_t bytes_max;
	uint64_t pixels_max;              /* of all frames */
	uint64_t side_max;
	uint64_t frames_max;
	uint64_t pixels_per_byte_max;
};

enum { PROBE_WHY_BYTES = 128 };

/* Fills the "from the bytes" part of `meta` (not etag) from all bytes of a file. Text spans
 * point into `scratch`, PROBE_SCRATCH_BYTES long.
 * ERR_INVALID: `why` says what is wrong with it (for -BADIMAGE).
 * ERR_TOOLARGE: `why` names the limit (for -TOOLARGE). */
enum { PROBE_SCRATCH_BYTES = 4096 };
MUST_CHECK enum err image_probe(struct span file, const struct probe_limits *limits,
    uint8_t *scratch, struct image_meta *meta, char why[PROBE_WHY_BYTES]);

/* image/probe.h: what an image is, from its header, without decoding anything.
 *
 * Bounded: looks at no more than PROBE_BYTES_MAX bytes of the file (each place that it jumps
 * to counts as 64 at least), never recurses, and never trusts a length. Refuses what would
 * make a decoder ask for absurd memory. What a decoder may not like but a store can keep is
 * accepted: CMYK, 12-bit and arithmetic JPEG, SVG (never rendered), JXL (not decoded).
 *
 *   JPEG  SOF, EXIF                            AVIF, HEIF  the primary item, as a viewer sees
 *   PNG   IHDR, acTL, tRNS, eXIf                           it (irot and clap applied); EXIF
 *   GIF   canvas, frames as far as seen        TIFF  the first page; pages counted
 *   WebP  VP8, VP8L, VP8X, ANMF, EXIF          BMP, JXL (codestream or container), SVG
 *
 * EXIF that makes no sense is ignored: it is not what makes an image good. Its times have
 * no zone as a rule and are then taken as UTC.
 */
#pragma once
#include "image/meta.h"

struct probe_limits {
	uint64_t bytes_max;
	uint64_t pixels_max;              /* of all frames */
	uint64_t side_max;
	uint64_t frames_max;
	uint64_t pixels_per_byte_max;     /* asked of images over PROBE_RATIO_PIXELS_MIN */
};

enum {
	PROBE_WHY_BYTES = 128,
	PROBE_SCRATCH_BYTES = 4096,
	PROBE_BYTES_MAX = 1 << 20,
	PROBE_RATIO_PIXELS_MIN = 1 << 20,     /* a smaller image is no bomb, however flat */
};

/* Fills the "from the bytes" part of `meta` (not etag) from all bytes of a file. Text spans
 * point into `scratch`, PROBE_SCRATCH_BYTES long. The other fields of meta stay as they are.
 * ERR_INVALID: `why` says what is wrong with it (for -BADIMAGE).
 * ERR_TOOLARGE: `why` names the limit (for -TOOLARGE), as "image-max-side 32768". */
MUST_CHECK enum err image_probe(struct span file, const struct probe_limits *limits,
    uint8_t *scratch, struct image_meta *meta, char why[PROBE_WHY_BYTES]);

/* The format by the first bytes alone; IMAGE_UNKNOWN if it is none that is known. */
enum image_format image_sniff(struct span file);

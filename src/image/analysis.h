/* image/analysis.h: what the pixels of an image say of it: a perceptual hash, its dominant
 * colours, and a placeholder. All of it comes from one picture of 64 x 64 pixels, so that a
 * worker decodes an image once. Pure functions; the worker computes, the server checks what
 * it is told, keeps it with the image's metadata, and compares.
 *
 * Perceptual hash, 256 bits
 *   The signs of the 16 x 16 lowest frequencies of the grey picture, without those that are
 *   constant in a row or a column, after PDQ (Meta, "The TMK+PDQF video-hashing algorithm and
 *   the PDQ image-hashing algorithm", 2019). PDQ compares with the median where this compares
 *   with zero: the two agree but for a few bits, and with zero the hash of the turned or
 *   mirrored picture follows from the hash alone (phash_turn). Bit 16 * row + column, the
 *   lowest bit of a byte first; row is the vertical frequency less one. Two pictures of one
 *   photograph differ in few bits, two that have nothing in common in 128 of 256. A picture
 *   of which less than PHASH_QUALITY_MIN percent of the frequencies rise above what rounding
 *   leaves has no meaningful hash.
 *
 * Palette
 *   Up to five colours, found by k-means in OKLab (B. Ottosson, 2020), the most frequent
 *   first, with their share in percent. Each has one of twelve names; the names of those with
 *   a share of COLOUR_PERCENT_MIN are what @palette finds.
 *
 * Placeholder
 *   A ThumbHash (E. Wallace, 2023), at most 25 bytes: a blurred picture with its proportions
 *   and its transparency.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
	ANALYSIS_VERSION = 1,             /* of the algorithms: older results are made again */
	ANALYSIS_SIDE = 64,
	PHASH_BYTES = 32, PHASH_BITS = 256,
	PHASH_QUALITY_MIN = 50,           /* of 100 */
	PHASH_TURNS = 8,
	PALETTE_MAX = 5,
	COLOUR_PERCENT_MIN = 5,
	PLACEHOLDER_MAX = 25,
	ANALYSIS_ENCODED_MAX = 96,
};

enum analysis_state {
	ANALYSIS_NONE,                    /* not made yet */
	ANALYSIS_DONE,
	ANALYSIS_FAILED,                  /* the image cannot be decoded: not tried again */
};

struct image_colour {
	uint8_t red, green, blue, percent;
};

/* Bytes only: this is also what the worker answers. */
struct image_analysis {
	uint8_t version, state, quality, palette_count, placeholder_bytes;
	uint8_t spare[3];                 /* 0 */
	uint8_t phash[PHASH_BYTES];
	struct image_colour palette[PALETTE_MAX];
	uint8_t placeholder[PLACEHOLDER_MAX];
	uint8_t spare_end[3];             /* 0 */
};
_Static_assert(sizeof(struct image_analysis) == 88, "a worker's answer");

/* From 64 x 64 pixels of red, green, blue, alpha, turned as a viewer sees them; `width` and
 * `height` are those of the image, for its proportions. */
void analysis_make(const uint8_t *pixels, uint32_t width, uint32_t height, struct image_analysis *out);

/* Is this what analysis_make can have made? For answers of strangers. */
MUST_CHECK bool analysis_is_sound(const struct image_analysis *analysis);

/* As kept in metadata. ERR_CORRUPT: not what encode writes; a newer version is ANALYSIS_NONE. */
void analysis_encode(const struct image_analysis *analysis, struct buf *out);
MUST_CHECK enum err analysis_decode(struct span bytes, struct image_analysis *out);

/* It is there, and says something. */
static inline bool analysis_has_phash(const struct image_analysis *analysis)
{
	return analysis->state == ANALYSIS_DONE && analysis->quality >= PHASH_QUALITY_MIN;
}

/* ---- Hashes (phash.c) ---- */

/* Of 64 x 64 grey values, 0..255, row by row. *quality: percent of frequencies that say something. */
void phash_make(const float *grey, uint8_t out[PHASH_BYTES], uint8_t *quality);
/* The hash of the same picture turned; turns: 0 as it is, 1 mirrored left to right, 2 upside
 * down mirrored, 3 both (half a turn), 4..7 the same of the picture with rows and columns
 * exchanged. */
void phash_turn(const uint8_t hash[PHASH_BYTES], unsigned turn, uint8_t out[PHASH_BYTES]);
unsigned phash_distance(const uint8_t a[PHASH_BYTES], const uint8_t b[PHASH_BYTES]);
/* 64 hexadecimal digits. */
void phash_format(const uint8_t hash[PHASH_BYTES], char out[2 * PHASH_BYTES]);
MUST_CHECK bool phash_parse(struct span text, uint8_t out[PHASH_BYTES]);

/* ---- Colours (palette.c) ---- */

enum { COLOUR_NAMES = 12 };
/* "black", "white", ...; NULL behind the last. */
const char *colour_name(unsigned index);
/* Which of them this colour is called. */
unsigned colour_of(uint8_t red, uint8_t green, uint8_t blue);
/* One bit (1 << index) for each name that is in the palette. */
uint32_t palette_mask(const struct image_analysis *analysis);
/* Pixels as for analysis_make; transparent ones do not count. Fills palette and palette_count. */
void palette_make(const uint8_t *pixels, struct image_analysis *out);

/* ---- Placeholders (placeholder.c) ---- */

/* Returns its length. */
size_t placeholder_make(const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t out[PLACEHOLDER_MAX]);

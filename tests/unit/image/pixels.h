/* tests/unit/image/pixels.h: the pixels of a PNG of 8 bits, decoded by ISA-L and a few lines
 * here, so that tests see what libvips made with other eyes. */
#pragma once
#include "base/buf.h"

struct pixels {
	uint32_t width, height, bands;    /* grey 1, grey and alpha 2, RGB 3, RGBA 4 */
	struct buf bytes;                 /* rows without padding */
};
/* The test fails if it cannot be decoded. */
void pixels_decode(struct pixels *pixels, struct span png);
void pixels_fini(struct pixels *pixels);

/* 0xaarrggbb at a place given as a fraction of each side; grey counts as equal colours. */
uint32_t pixels_at(const struct pixels *pixels, double x, double y);
/* Each of red, green, blue (and alpha) differs by at most `most`. */
bool colours_near(uint32_t a, uint32_t b, unsigned most);

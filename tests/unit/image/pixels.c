/* tests/unit/image/pixels.c: see pixels.h. */
#include "pixels.h"

#include "base/endian.h"

#include <criterion/criterion.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

static void inflate_all(struct span deflated, struct buf *out)
{
	struct inflate_state state;
	isal_inflate_init(&state);
	state.crc_flag = IGZIP_ZLIB;
	state.next_in = (uint8_t *)(uintptr_t)deflated.ptr;
	state.avail_in = (uint32_t)deflated.len;
	state.next_out = out->ptr;
	state.avail_out = (uint32_t)out->cap;
	cr_assert_eq(isal_inflate(&state), ISAL_DECOMP_OK);
	out->len = state.total_out;
}

static int paeth(int a, int b, int c)
{
	int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
	return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* Undoes a row's filter; `above` is the row before, or NULL. */
static void unfilter(
    uint8_t filter, uint8_t *row, const uint8_t *above, uint32_t len, uint32_t bands)
{
	for (uint32_t i = 0; i < len; i++) {
		int a = i >= bands ? row[i - bands] : 0;
		int b = above != NULL ? above[i] : 0;
		int c = above != NULL && i >= bands ? above[i - bands] : 0;
		int add[] = {0, a, b, (a + b) / 2, paeth(a, b, c)};
		cr_assert_lt(filter, 5);
		row[i] = (uint8_t)(row[i] + add[filter]);
	}
}

void pixels_decode(struct pixels *pixels, struct span png)
{
	static struct memory memory;
	static const uint8_t bands[7] = {1, 0, 3, 0, 2, 0, 4};
	struct buf data, raw;
	buf_init(&data, &memory);
	buf_init(&raw, &memory);
	buf_init(&pixels->bytes, &memory);
	cr_assert_gt(png.len, 40);
	pixels->width = load_be32(png.ptr + 16);
	pixels->height = load_be32(png.ptr + 20);
	cr_assert_eq(png.ptr[24], 8, "8 bits");
	cr_assert_lt(png.ptr[25], 7);
	pixels->bands = bands[png.ptr[25]];
	cr_assert_neq(pixels->bands, 0);
	cr_assert_eq(png.ptr[28], 0, "not interlaced");
	for (size_t at = 8; at + 12 <= png.len; at += 12 + (size_t)load_be32(png.ptr + at))
		if (memcmp(png.ptr + at + 4, "IDAT", 4) == 0)
			buf_append(&data, span_of(png.ptr + at + 8, load_be32(png.ptr + at)));
	uint32_t len = pixels->width * pixels->bands;
	buf_reserve(&raw, (size_t)(len + 1) * pixels->height + 64);
	inflate_all(buf_span(&data), &raw);
	cr_assert_eq(raw.len, (size_t)(len + 1) * pixels->height);
	for (uint32_t y = 0; y < pixels->height; y++) {
		uint8_t *row = raw.ptr + (size_t)(len + 1) * y;
		unfilter(row[0], row + 1, y > 0 ? row - len : NULL, len, pixels->bands);
		buf_append(&pixels->bytes, span_of(row + 1, len));
	}
	buf_fini(&raw);
	buf_fini(&data);
}

void pixels_fini(struct pixels *pixels)
{
	buf_fini(&pixels->bytes);
}

uint32_t pixels_at(const struct pixels *pixels, double x, double y)
{
	uint32_t column = (uint32_t)(x * pixels->width), row = (uint32_t)(y * pixels->height);
	cr_assert(column < pixels->width && row < pixels->height);
	const uint8_t *at =
	    pixels->bytes.ptr + ((size_t)row * pixels->width + column) * pixels->bands;
	bool grey = pixels->bands < 3;
	uint32_t alpha = pixels->bands % 2 == 0 ? at[pixels->bands - 1] : 255;
	return alpha << 24 | (uint32_t)at[0] << 16 | (uint32_t)at[grey ? 0 : 1] << 8 |
	    at[grey ? 0 : 2];
}

bool colours_near(uint32_t a, uint32_t b, unsigned most)
{
	for (unsigned shift = 0; shift < 32; shift += 8)
		if (abs((int)(a >> shift & 255) - (int)(b >> shift & 255)) > (int)most)
			return false;
	return true;
}

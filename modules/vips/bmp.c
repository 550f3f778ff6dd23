/* modules/vips/bmp.c: uncompressed Windows and OS/2 bitmaps of 1, 4, 8, 16, 24 and 32 bits.
 *
 * Rows are padded to 4 bytes and stand bottom up, unless the height is below 0. 16 and 32
 * bits may have masks; 32 bits without an alpha mask have none.
 */
#include "modules/vips/work.h"

#include "base/endian.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, V3_HEADER = 56 };
enum { PLAIN = 0, BITFIELDS = 3, ALPHA_BITFIELDS = 6 };

struct bitmap {
	struct span source;
	uint32_t width, height, bits, bands;
	bool top_down, core;
	uint32_t masks[4]; /* red, green, blue, alpha */
	struct span palette;
	uint32_t entry_bytes;
	size_t offset, stride;
};

static bool fail(const char *why)
{
	vips_error("bmpload", "%s", why);
	return false;
}

static bool parse_masks(struct bitmap *bitmap, uint32_t header, uint32_t compression)
{
	const uint8_t *at = bitmap->source.ptr + FILE_HEADER + INFO_HEADER;
	static const uint32_t plain16[4] = {0x7c00, 0x3e0, 0x1f, 0},
	                      plain32[4] = {0xff0000, 0xff00, 0xff, 0};
	memcpy(bitmap->masks, bitmap->bits == 16 ? plain16 : plain32, sizeof(plain16));
	if (compression == PLAIN)
		return true;
	if ((bitmap->bits != 16 && bitmap->bits != 32) ||
	    bitmap->source.len < FILE_HEADER + INFO_HEADER + 16)
		return fail("masks without pixels of 16 or 32 bits");
	for (unsigned i = 0; i < 3; i++)
		bitmap->masks[i] = load_le32(at + 4 * (size_t)i);
	if (header >= V3_HEADER || compression == ALPHA_BITFIELDS)
		bitmap->masks[3] = load_le32(at + 12);
	return bitmap->masks[0] != 0 && bitmap->masks[1] != 0 && bitmap->masks[2] != 0
	    ? true
	    : fail("an empty mask");
}

static bool parse_palette(struct bitmap *bitmap, uint32_t header)
{
	bitmap->entry_bytes = bitmap->core ? 3 : 4;
	size_t from = FILE_HEADER + (size_t)header,
	       len = (size_t)bitmap->entry_bytes << bitmap->bits;
	if (bitmap->bits > 8)
		return true;
	/* It may be shorter than full: what lies behind it is not read as colours. */
	size_t room = bitmap->offset > from ? bitmap->offset - from : 0;
	bitmap->palette = span_slice(bitmap->source, from, len < room ? len : room);
	return bitmap->palette.len >= bitmap->entry_bytes ? true : fail("no palette");
}

static bool parse_header(struct bitmap *bitmap)
{
	const uint8_t *at = bitmap->source.ptr;
	uint32_t compression = PLAIN;
	if (bitmap->source.len < FILE_HEADER + CORE_HEADER)
		return fail("truncated");
	uint32_t header = load_le32(at + FILE_HEADER);
	bitmap->offset = load_le32(at + 10);
	bitmap->core = header == CORE_HEADER;
	if (bitmap->core) {
		bitmap->width = load_le16(at + 18);
		bitmap->height = load_le16(at + 20);
		bitmap->bits = load_le16(at + 24);
	} else {
		if (header < INFO_HEADER || header > 256 ||
		    bitmap->source.len < FILE_HEADER + (size_t)header)
			return fail("truncated");
		int64_t height = (int32_t)load_le32(at + 22);
		bitmap->width = load_le32(at + 18);
		bitmap->top_down = height < 0;
		bitmap->height = (uint32_t)(height < 0 ? -height : height);
		bitmap->bits = load_le16(at + 28);
		compression = load_le32(at + 30);
	}
	if (compression != PLAIN && compression != BITFIELDS && compression != ALPHA_BITFIELDS)
		return fail("compressed bitmaps are not supported");
	bool known = bitmap->bits == 1 || bitmap->bits == 4 || bitmap->bits == 8 ||
	    bitmap->bits == 16 || bitmap->bits == 24 || bitmap->bits == 32;
	if (!known || bitmap->width == 0 || bitmap->height == 0 || bitmap->width > 1 << 20 ||
	    bitmap->height > 1 << 20)
		return fail("an impossible size or depth");
	bitmap->stride = ((size_t)bitmap->width * bitmap->bits + 31) / 32 * 4;
	size_t len = bitmap->source.len;
	if (bitmap->offset > len || bitmap->stride * bitmap->height > len - bitmap->offset)
		return fail("truncated");
	return parse_masks(bitmap, header, compression) && parse_palette(bitmap, header);
}

/* The part of `pixel` under a mask, stretched to 0..255. */
static uint8_t masked(uint32_t pixel, uint32_t mask)
{
	unsigned shift = (unsigned)__builtin_ctz(mask);
	uint64_t most = mask >> shift;
	return (uint8_t)(((pixel & mask) >> shift) * (uint64_t)255 / most);
}

static void put_indexed(const struct bitmap *bitmap, const uint8_t *row, uint32_t x, uint8_t *out)
{
	uint32_t per_byte = 8 / bitmap->bits, place = x % per_byte;
	uint32_t index = (uint32_t)row[x / per_byte] >> (8 - bitmap->bits * (place + 1));
	index &= (1U << bitmap->bits) - 1;
	size_t at = (size_t)index * bitmap->entry_bytes;
	bool there = at + bitmap->entry_bytes <= bitmap->palette.len;
	for (unsigned i = 0; i < 3; i++)
		out[i] = there ? bitmap->palette.ptr[at + 2 - i] : 0;
}

static void put_pixel(const struct bitmap *bitmap, const uint8_t *row, uint32_t x, uint8_t *out)
{
	if (bitmap->bits <= 8) {
		put_indexed(bitmap, row, x, out);
	} else if (bitmap->bits == 24) {
		for (unsigned i = 0; i < 3; i++)
			out[i] = row[3 * (size_t)x + 2 - i];
	} else {
		uint32_t pixel = bitmap->bits == 16 ? load_le16(row + 2 * (size_t)x)
		                                    : load_le32(row + 4 * (size_t)x);
		for (unsigned i = 0; i < bitmap->bands; i++)
			out[i] = masked(pixel, bitmap->masks[i]);
	}
}

bool load_bitmap(struct span source, VipsImage **out)
{
	struct bitmap bitmap = {.source = source};
	if (!parse_header(&bitmap))
		return false;
	bitmap.bands = bitmap.bits > 8 && bitmap.bits != 24 && bitmap.masks[3] != 0 ? 4 : 3;
	*out = vips_image_new_memory();
	vips_image_init_fields(*out, (int)bitmap.width, (int)bitmap.height, (int)bitmap.bands,
	    VIPS_FORMAT_UCHAR, VIPS_CODING_NONE, VIPS_INTERPRETATION_sRGB, 1, 1);
	if (vips_image_write_prepare(*out) != 0)
		return false;
	for (uint32_t y = 0; y < bitmap.height; y++) {
		uint32_t from = bitmap.top_down ? y : bitmap.height - 1 - y;
		const uint8_t *row = source.ptr + bitmap.offset + from * bitmap.stride;
		uint8_t *to = VIPS_IMAGE_ADDR(*out, 0, (int)y);
		for (uint32_t x = 0; x < bitmap.width; x++)
			put_pixel(&bitmap, row, x, to + (size_t)x * bitmap.bands);
	}
	return true;
}

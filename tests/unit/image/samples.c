/* tests/unit/image/samples.c: see samples.h. */
#include "samples.h"

#include "base/endian.h"

static void put_be16(struct buf *out, uint16_t value)
{
	uint8_t bytes[2];
	store_be16(bytes, value);
	buf_append(out, span_of(bytes, 2));
}

static void put_be32(struct buf *out, uint32_t value)
{
	uint8_t bytes[4];
	store_be32(bytes, value);
	buf_append(out, span_of(bytes, 4));
}

static void put_le16(struct buf *out, uint16_t value)
{
	uint8_t bytes[2];
	store_le16(bytes, value);
	buf_append(out, span_of(bytes, 2));
}

static void put_le32(struct buf *out, uint32_t value)
{
	uint8_t bytes[4];
	store_le32(bytes, value);
	buf_append(out, span_of(bytes, 4));
}

static void put_le24(struct buf *out, uint32_t value)
{
	put_le16(out, (uint16_t)value);
	buf_append_u8(out, (uint8_t)(value >> 16));
}

static void put_zeros(struct buf *out, size_t count)
{
	while (count-- > 0)
		buf_append_u8(out, 0);
}

/* ---- TIFF ---- */

struct tiff_writer {
	struct buf *out;
	size_t base; /* of the structure in out */
	bool big_endian;
	size_t entries; /* where the next entry goes */
};

static void writer_u16(struct tiff_writer *writer, uint16_t value)
{
	if (writer->big_endian)
		put_be16(writer->out, value);
	else
		put_le16(writer->out, value);
}

static void writer_u32(struct tiff_writer *writer, uint32_t value)
{
	if (writer->big_endian)
		put_be32(writer->out, value);
	else
		put_le32(writer->out, value);
}

static void patch_u16(struct tiff_writer *writer, size_t at, uint16_t value)
{
	if (writer->big_endian)
		store_be16(writer->out->ptr + at, value);
	else
		store_le16(writer->out->ptr + at, value);
}

static void patch_u32(struct tiff_writer *writer, size_t at, uint32_t value)
{
	if (writer->big_endian)
		store_be32(writer->out->ptr + at, value);
	else
		store_le32(writer->out->ptr + at, value);
}

/* Room for a directory of up to 16 entries; its values follow behind. */
static uint32_t begin_directory(struct tiff_writer *writer)
{
	uint32_t offset = (uint32_t)(writer->out->len - writer->base);
	writer->entries = writer->out->len + 2;
	put_zeros(writer->out, 2 + 12 * 16 + 4);
	return offset;
}

static void end_directory(struct tiff_writer *writer, uint32_t offset)
{
	size_t at = writer->base + offset;
	patch_u16(writer, at, (uint16_t)((writer->entries - at - 2) / 12));
}

static void put_entry(
    struct tiff_writer *writer, uint16_t tag, uint16_t type, uint32_t count, uint32_t value)
{
	size_t at = writer->entries;
	patch_u16(writer, at, tag);
	patch_u16(writer, at + 2, type);
	patch_u32(writer, at + 4, count);
	if (type == 3)
		patch_u16(writer, at + 8, (uint16_t)value);
	else
		patch_u32(writer, at + 8, value);
	writer->entries += 12;
}

static void put_text_entry(struct tiff_writer *writer, uint16_t tag, const char *text)
{
	if (text == NULL)
		return;
	size_t len = strlen(text) + 1;
	uint32_t where = (uint32_t)(writer->out->len - writer->base);
	if (len > 4) {
		put_entry(writer, tag, 2, (uint32_t)len, where);
		buf_append(writer->out, span_of(text, len));
		return;
	}
	put_entry(writer, tag, 2, (uint32_t)len, 0);
	memcpy(writer->out->ptr + writer->entries - 4, text, len);
}

static void put_rationals(
    struct tiff_writer *writer, uint16_t tag, const uint32_t *pairs, uint32_t count)
{
	if (pairs[1] == 0)
		return;
	put_entry(writer, tag, 5, count, (uint32_t)(writer->out->len - writer->base));
	for (uint32_t i = 0; i < 2 * count; i++)
		writer_u32(writer, pairs[i]);
}

static void put_photo_directory(struct tiff_writer *writer, const struct exif_sample *exif)
{
	put_text_entry(writer, 0x9003, exif->taken);
	put_text_entry(writer, 0x9011, exif->zone);
	put_text_entry(writer, 0xa434, exif->lens);
	put_rationals(writer, 0x829a, exif->exposure, 1);
	put_rationals(writer, 0x829d, exif->aperture, 1);
	put_rationals(writer, 0x920a, exif->focal, 1);
	if (exif->iso != 0)
		put_entry(writer, 0x8827, 3, 1, exif->iso);
}

static void put_pixels(struct tiff_writer *writer, uint32_t width, uint32_t height)
{
	uint32_t bytes = width * height;
	put_entry(writer, 0x100, 4, 1, width);
	put_entry(writer, 0x101, 4, 1, height);
	put_entry(writer, 0x102, 3, 1, 8);
	put_entry(writer, 0x103, 3, 1, 1);
	put_entry(writer, 0x106, 3, 1, 1);
	put_entry(writer, 0x111, 4, 1, (uint32_t)(writer->out->len - writer->base));
	for (uint32_t i = 0; i < bytes; i++)
		buf_append_u8(writer->out, (uint8_t)(i % width * 255 / width));
	put_entry(writer, 0x115, 3, 1, 1);
	put_entry(writer, 0x116, 4, 1, height);
	put_entry(writer, 0x117, 4, 1, bytes);
}

static void begin_tiff(struct tiff_writer *writer, uint32_t first)
{
	buf_append_text(writer->out, writer->big_endian ? "MM" : "II");
	writer_u16(writer, 42);
	writer_u32(writer, first);
}

void sample_exif(struct buf *out, const struct exif_sample *exif, uint32_t width, uint32_t height)
{
	struct tiff_writer writer = {.out = out, .base = out->len, .big_endian = exif->big_endian};
	begin_tiff(&writer, 8);
	/* The directories that the first one points to come first to be known, later in the file:
	 * room for all three is made at once. */
	uint32_t first = begin_directory(&writer), photo = begin_directory(&writer);
	writer.entries = out->len + 2;
	uint32_t gps = begin_directory(&writer);
	writer.entries = writer.base + photo + 2;
	put_photo_directory(&writer, exif);
	end_directory(&writer, photo);
	writer.entries = writer.base + gps + 2;
	put_text_entry(&writer, 1, exif->lat_ref);
	put_rationals(&writer, 2, exif->lat, 3);
	put_text_entry(&writer, 3, exif->lon_ref);
	put_rationals(&writer, 4, exif->lon, 3);
	end_directory(&writer, gps);
	writer.entries = writer.base + first + 2;
	if (width > 0)
		put_pixels(&writer, width, height);
	put_text_entry(&writer, 0x10f, exif->make);
	put_text_entry(&writer, 0x110, exif->model);
	if (exif->orientation != 0)
		put_entry(&writer, 0x112, 3, 1, exif->orientation);
	put_text_entry(&writer, 0x8298, exif->copyright);
	put_entry(&writer, 0x8769, 4, 1, photo);
	put_entry(&writer, 0x8825, 4, 1, gps);
	end_directory(&writer, first);
}

void sample_tiff_pages(struct buf *out, uint32_t pages, bool ring)
{
	enum { PAGE_BYTES = 2 + 2 * 12 + 4 };
	put_le32(out, 0x002a4949);
	put_le32(out, 8);
	for (uint32_t i = 0; i < pages; i++) {
		put_le16(out, 2);
		put_le16(out, 0x100);
		put_le16(out, 3);
		put_le32(out, 1);
		put_le32(out, 10);
		put_le16(out, 0x101);
		put_le16(out, 3);
		put_le32(out, 1);
		put_le32(out, 20);
		bool last = i + 1 == pages;
		put_le32(out, !last ? 8 + PAGE_BYTES * (i + 1) : ring ? 8 : 0);
	}
}

/* ---- JPEG ---- */

static void put_exif_segment(struct buf *out, const struct exif_sample *exif)
{
	size_t at = out->len;
	put_be32(out, 0xffe10000);
	buf_append(out, span_of("Exif\0\0", 6));
	sample_exif(out, exif, 0, 0);
	store_be16(out->ptr + at + 2, (uint16_t)(out->len - at - 2));
}

void sample_jpeg(
    struct buf *out, uint8_t frame, uint16_t width, uint16_t height, const struct exif_sample *exif)
{
	put_be16(out, 0xffd8);
	if (exif != NULL)
		put_exif_segment(out, exif);
	put_be32(out, 0xfffffffe); /* fill bytes before a comment */
	put_be16(out, 4);
	buf_append_text(out, "hi");
	buf_append_u8(out, 0xff);
	buf_append_u8(out, frame);
	put_be16(out, 11);
	buf_append_u8(out, 8);
	put_be16(out, height);
	put_be16(out, width);
	put_be32(out, 0x01011100);
	put_be16(out, 0xffda);
	put_be16(out, 8);
	put_be32(out, 0x01010000);
	put_be32(out, 0x3f000055);
	put_be16(out, 0xffd9);
}

static void insert_exif(struct buf *out, struct span jpeg, const struct exif_sample *exif)
{
	buf_append(out, span_slice(jpeg, 0, 2));
	put_exif_segment(out, exif);
	buf_append(out, span_slice(jpeg, 2, jpeg.len));
}

void sample_orient_jpeg(struct buf *out, struct span jpeg, uint16_t orientation)
{
	insert_exif(out, jpeg, &(struct exif_sample){.orientation = orientation});
}

void sample_camera_jpeg(struct buf *out, struct span jpeg, const char *make, const char *copyright)
{
	insert_exif(out, jpeg, &(struct exif_sample){.make = make, .copyright = copyright});
}

/* ---- PNG ---- */

static size_t begin_chunk(struct buf *out, const char *type)
{
	put_be32(out, 0);
	buf_append_text(out, type);
	return out->len;
}

/* No probe checks the CRC, so there is none. */
static void end_chunk(struct buf *out, size_t from)
{
	store_be32(out->ptr + from - 8, (uint32_t)(out->len - from));
	put_be32(out, 0);
}

void sample_png(struct buf *out, const struct png_sample *png)
{
	buf_append(out, span_of("\x89PNG\r\n\x1a\n", 8));
	size_t at = begin_chunk(out, "IHDR");
	put_be32(out, png->width);
	put_be32(out, png->height);
	buf_append_u8(out, 8);
	buf_append_u8(out, png->colour);
	put_zeros(out, 3);
	end_chunk(out, at);
	if (png->frames > 0) {
		at = begin_chunk(out, "acTL");
		put_be32(out, png->frames);
		put_be32(out, 0);
		end_chunk(out, at);
	}
	if (png->transparent) {
		at = begin_chunk(out, "tRNS");
		put_zeros(out, 2);
		end_chunk(out, at);
	}
	if (png->exif != NULL) {
		at = begin_chunk(out, "eXIf");
		sample_exif(out, png->exif, 0, 0);
		end_chunk(out, at);
	}
	at = begin_chunk(out, "IDAT");
	put_zeros(out, 16);
	end_chunk(out, at);
	at = begin_chunk(out, "IEND");
	end_chunk(out, at);
}

/* ---- GIF, WebP ---- */

void sample_gif(struct buf *out, uint16_t width, uint16_t height, uint32_t frames, bool transparent)
{
	buf_append_text(out, "GIF89a");
	put_le16(out, width);
	put_le16(out, height);
	buf_append_u8(out, 0x80);
	put_zeros(out, 2);
	put_le24(out, 0xff);
	put_le24(out, 0xff00);
	for (uint32_t i = 0; i < frames; i++) {
		put_le24(out, 0x04f921);
		buf_append_u8(out, transparent);
		put_zeros(out, 4);
		buf_append_u8(out, 0x2c);
		put_zeros(out, 4);
		put_le16(out, width);
		put_le16(out, height);
		buf_append_u8(out, 0);
		/* One pixel; the rest stays as the background is. */
		buf_append(out, span_of("\x02\x02\x44\x01\x00", 5));
	}
	buf_append_u8(out, 0x3b);
}

static size_t begin_riff(struct buf *out)
{
	buf_append_text(out, "RIFF");
	put_le32(out, 0);
	buf_append_text(out, "WEBP");
	return out->len - 4;
}

static void end_riff(struct buf *out, size_t from)
{
	if ((out->len - from) % 2 != 0)
		buf_append_u8(out, 0);
	store_le32(out->ptr + from - 4, (uint32_t)(out->len - from));
}

static size_t begin_webp_chunk(struct buf *out, const char *type)
{
	buf_append_text(out, type);
	put_le32(out, 0);
	return out->len;
}

static void end_webp_chunk(struct buf *out, size_t from)
{
	store_le32(out->ptr + from - 4, (uint32_t)(out->len - from));
	if ((out->len - from) % 2 != 0)
		buf_append_u8(out, 0);
}

static void put_lossy(struct buf *out, uint16_t width, uint16_t height)
{
	size_t at = begin_webp_chunk(out, "VP8 ");
	put_le24(out, 0x10);
	buf_append(out, span_of("\x9d\x01\x2a", 3));
	put_le16(out, width);
	put_le16(out, height);
	put_zeros(out, 4);
	end_webp_chunk(out, at);
}

void sample_webp_lossy(struct buf *out, uint16_t width, uint16_t height)
{
	size_t at = begin_riff(out);
	put_lossy(out, width, height);
	end_riff(out, at);
}

void sample_webp_lossless(struct buf *out, uint16_t width, uint16_t height, bool alpha)
{
	size_t at = begin_riff(out), chunk = begin_webp_chunk(out, "VP8L");
	buf_append_u8(out, 0x2f);
	put_le32(out, (uint32_t)(width - 1) | (uint32_t)(height - 1) << 14 | (uint32_t)alpha << 28);
	put_zeros(out, 4);
	end_webp_chunk(out, chunk);
	end_riff(out, at);
}

void sample_webp_extended(struct buf *out, uint32_t width, uint32_t height, uint32_t frames,
    const struct exif_sample *exif)
{
	size_t at = begin_riff(out), chunk = begin_webp_chunk(out, "VP8X");
	put_le32(out, 0x10U | (frames > 0 ? 2U : 0U) | (exif != NULL ? 8U : 0U));
	put_le24(out, width - 1);
	put_le24(out, height - 1);
	end_webp_chunk(out, chunk);
	if (frames == 0)
		put_lossy(out, (uint16_t)width, (uint16_t)height);
	for (uint32_t i = 0; i < frames; i++) {
		chunk = begin_webp_chunk(out, "ANMF");
		put_zeros(out, 17);
		end_webp_chunk(out, chunk);
	}
	if (exif != NULL) {
		chunk = begin_webp_chunk(out, "EXIF");
		sample_exif(out, exif, 0, 0);
		end_webp_chunk(out, chunk);
	}
	end_riff(out, at);
}

/* ---- HEIF and AVIF ---- */

static size_t begin_box(struct buf *out, const char *type)
{
	put_be32(out, 0);
	buf_append_text(out, type);
	return out->len - 8;
}

static void end_box(struct buf *out, size_t from)
{
	store_be32(out->ptr + from, (uint32_t)(out->len - from));
}

static void put_properties(struct buf *out, const struct heif_sample *heif)
{
	size_t iprp = begin_box(out, "iprp"), ipco = begin_box(out, "ipco");
	size_t box = begin_box(out, "ispe");
	put_be32(out, 0);
	put_be32(out, heif->width);
	put_be32(out, heif->height);
	end_box(out, box);
	box = begin_box(out, "irot");
	buf_append_u8(out, heif->quarters);
	end_box(out, box);
	if (heif->alpha) {
		box = begin_box(out, "auxC");
		put_be32(out, 0);
		buf_append(out, SPAN_LIT("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"));
		end_box(out, box);
	}
	end_box(out, ipco);
	size_t ipma = begin_box(out, "ipma");
	put_be32(out, 0);
	put_be32(out, 2);
	put_be16(out, 7); /* another item first, with other properties */
	buf_append(out, span_of("\x01\x02", 2));
	put_be16(out, 1);
	buf_append(out, span_of("\x02\x81\x82", 3));
	end_box(out, ipma);
	end_box(out, iprp);
}

/* Returns where the Exif item's offset and length are to be written. */
static size_t put_items(struct buf *out)
{
	size_t iinf = begin_box(out, "iinf");
	put_be32(out, 0);
	put_be16(out, 1);
	size_t infe = begin_box(out, "infe");
	put_be32(out, 0x02000000);
	put_be32(out, 0x00020000);
	buf_append(out, span_of("Exif\0", 5));
	end_box(out, infe);
	end_box(out, iinf);
	size_t iloc = begin_box(out, "iloc");
	put_be32(out, 0);
	put_be16(out, 0x4400);
	put_be16(out, 1);
	put_be16(out, 2);
	put_be16(out, 0);
	put_be16(out, 1);
	size_t where = out->len;
	put_zeros(out, 8);
	end_box(out, iloc);
	return where;
}

void sample_heif(struct buf *out, const struct heif_sample *heif)
{
	size_t base = out->len, where = 0;
	size_t box = begin_box(out, "ftyp");
	buf_append_text(out, heif->brand);
	put_be32(out, 0);
	buf_append_text(out, "mif1");
	buf_append_text(out, heif->brand);
	end_box(out, box);
	size_t meta = begin_box(out, "meta");
	put_be32(out, 0);
	box = begin_box(out, "pitm");
	put_be32(out, 0);
	put_be16(out, 1);
	end_box(out, box);
	if (heif->exif != NULL)
		where = put_items(out);
	put_properties(out, heif);
	end_box(out, meta);
	box = begin_box(out, "mdat");
	if (heif->exif != NULL) {
		store_be32(out->ptr + where, (uint32_t)(out->len - base));
		put_be32(out, 0);
		size_t from = out->len - 4;
		sample_exif(out, heif->exif, 0, 0);
		store_be32(out->ptr + where + 4, (uint32_t)(out->len - from));
	}
	put_zeros(out, 8);
	end_box(out, box);
}

/* ---- BMP, JXL ---- */

void sample_bmp(struct buf *out, int32_t width, int32_t height, uint16_t bits)
{
	buf_append_text(out, "BM");
	put_zeros(out, 8);
	put_le32(out, 54);
	put_le32(out, 40);
	put_le32(out, (uint32_t)width);
	put_le32(out, (uint32_t)height);
	put_le16(out, 1);
	put_le16(out, bits);
	put_zeros(out, 24);
	put_zeros(out, 16);
}

void sample_bitmap(struct buf *out, uint32_t width, uint32_t height, bool alpha,
    uint32_t (*pixel)(uint32_t x, uint32_t y, uint32_t width, uint32_t height))
{
	const uint32_t header = alpha ? 56 : 40, bytes = alpha ? 4 : 3;
	buf_append_text(out, "BM");
	put_zeros(out, 8);
	put_le32(out, 14 + header);
	put_le32(out, header);
	put_le32(out, width);
	put_le32(out, height);
	put_le16(out, 1);
	put_le16(out, (uint16_t)(8 * bytes));
	put_le32(out, alpha ? 3 : 0);
	put_zeros(out, 20);
	if (alpha) {
		put_le32(out, 0xff0000);
		put_le32(out, 0xff00);
		put_le32(out, 0xff);
		put_le32(out, 0xff000000);
	}
	for (uint32_t y = height; y-- > 0;) {
		for (uint32_t x = 0; x < width; x++) {
			uint32_t value = pixel(x, y, width, height);
			put_le24(out, value);
			if (alpha)
				buf_append_u8(out, (uint8_t)(value >> 24));
		}
		put_zeros(out, (4 - width * bytes % 4) % 4);
	}
}

/* Bits from the lowest. */
static void put_bits(uint8_t *bytes, size_t *at, uint32_t value, unsigned count)
{
	for (unsigned i = 0; i < count; i++, (*at)++)
		bytes[*at / 8] |= (uint8_t)((value >> i & 1) << *at % 8);
}

void sample_jxl(struct buf *out, uint32_t width, uint32_t height, bool container)
{
	uint8_t bytes[16] = {0xff, 0x0a};
	size_t at = 16;
	put_bits(bytes, &at, 0, 1); /* not small */
	put_bits(bytes, &at, 3, 2);
	put_bits(bytes, &at, height - 1, 30);
	put_bits(bytes, &at, 0, 3); /* no ratio */
	put_bits(bytes, &at, 3, 2);
	put_bits(bytes, &at, width - 1, 30);
	put_bits(bytes, &at, 1, 1); /* all the rest is default */
	if (!container) {
		buf_append(out, span_of(bytes, sizeof(bytes)));
		return;
	}
	buf_append(out, span_of("\0\0\0\x0cJXL \r\n\x87\n", 12));
	size_t box = begin_box(out, "ftyp");
	buf_append(out, span_of("jxl \0\0\0\0jxl ", 12));
	end_box(out, box);
	box = begin_box(out, "jxlc");
	buf_append(out, span_of(bytes, sizeof(bytes)));
	end_box(out, box);
}

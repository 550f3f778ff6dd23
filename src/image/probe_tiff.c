/* image/probe_tiff.c: TIFF 6.0 directories, and TIFF files: the size of the first page, the
 * number of pages, and whatever EXIF lies in it. */
#include "image/probing.h"

#include "base/arith.h"

enum {
	TYPE_BYTE = 1,
	TYPE_ASCII = 2,
	TYPE_SHORT = 3,
	TYPE_LONG = 4,
	TYPE_RATIONAL = 5,
	TYPE_UNDEFINED = 7,
	TYPE_SRATIONAL = 10,
	TYPE_IFD = 13,
	ENTRY_BYTES = 12,
	TAG_WIDTH = 0x100,
	TAG_HEIGHT = 0x101,
	TAG_EXTRA_SAMPLES = 0x152,
};

/* Bytes of one value of each type; 0: no such type. */
static uint32_t type_bytes(uint16_t type)
{
	static const uint8_t bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
	return type < sizeof(bytes) ? bytes[type] : 0;
}

uint16_t tiff_u16(const struct tiff *tiff, const uint8_t *at)
{
	return tiff->big_endian ? load_be16(at) : load_le16(at);
}

uint32_t tiff_u32(const struct tiff *tiff, const uint8_t *at)
{
	return tiff->big_endian ? load_be32(at) : load_le32(at);
}

/* [offset, offset + len) of the structure, charged like any other look. */
static bool tiff_at(struct tiff *tiff, uint64_t offset, uint64_t len, struct span *out)
{
	if (offset > tiff->bytes.len || len > tiff->bytes.len - offset)
		return false;
	uint64_t base = (uint64_t)(tiff->bytes.ptr - tiff->probe->file.ptr);
	return probe_at(tiff->probe, base + offset, (size_t)len, out);
}

bool tiff_open(struct tiff *tiff, struct probe *probe, struct span bytes)
{
	*tiff = (struct tiff){.probe = probe, .bytes = bytes};
	if (bytes.len < 8 || bytes.ptr[0] != bytes.ptr[1] ||
	    (bytes.ptr[0] != 'I' && bytes.ptr[0] != 'M'))
		return false;
	tiff->big_endian = bytes.ptr[0] == 'M';
	return tiff_u16(tiff, bytes.ptr + 2) == 42;
}

uint32_t tiff_directory(struct tiff *tiff, uint32_t offset, uint32_t *next)
{
	struct span bytes;
	*next = 0;
	if (offset < 8 || !tiff_at(tiff, offset, 2, &bytes))
		return 0;
	uint32_t count = tiff_u16(tiff, bytes.ptr);
	uint64_t end = (uint64_t)offset + 2 + (uint64_t)count * ENTRY_BYTES;
	if (end > tiff->bytes.len)
		return 0;
	if (tiff_at(tiff, end, 4, &bytes))
		*next = tiff_u32(tiff, bytes.ptr);
	return count;
}

bool tiff_entry(struct tiff *tiff, uint32_t offset, uint32_t at, struct tiff_entry *out)
{
	struct span bytes;
	if (!tiff_at(tiff, (uint64_t)offset + 2 + (uint64_t)at * ENTRY_BYTES, ENTRY_BYTES, &bytes))
		return false;
	out->tag = tiff_u16(tiff, bytes.ptr);
	out->type = tiff_u16(tiff, bytes.ptr + 2);
	out->count = tiff_u32(tiff, bytes.ptr + 4);
	uint64_t len = (uint64_t)out->count * type_bytes(out->type);
	out->value = span_slice(bytes, 8, (size_t)min_u64(len, 4));
	if (len <= 4)
		return len > 0;
	/* Long values are looked at only where they are wanted: they are short then. */
	uint32_t where = tiff_u32(tiff, bytes.ptr + 8);
	if (where > tiff->bytes.len || len > tiff->bytes.len - where)
		return false;
	out->value = span_slice(tiff->bytes, where, (size_t)len);
	return true;
}

bool tiff_integer(const struct tiff *tiff, const struct tiff_entry *entry, uint32_t *out)
{
	if (entry->count == 0)
		return false;
	if (entry->type == TYPE_BYTE)
		*out = entry->value.ptr[0];
	else if (entry->type == TYPE_SHORT)
		*out = tiff_u16(tiff, entry->value.ptr);
	else if (entry->type == TYPE_LONG || entry->type == TYPE_IFD)
		*out = tiff_u32(tiff, entry->value.ptr);
	else
		return false;
	return true;
}

bool tiff_rational(
    const struct tiff *tiff, const struct tiff_entry *entry, uint32_t at, double *out)
{
	if ((entry->type != TYPE_RATIONAL && entry->type != TYPE_SRATIONAL) || at >= entry->count)
		return false;
	const uint8_t *value = entry->value.ptr + 8 * (size_t)at;
	uint32_t above = tiff_u32(tiff, value), below = tiff_u32(tiff, value + 4);
	if (below == 0)
		return false;
	*out = entry->type == TYPE_RATIONAL ? (double)above / below
	                                    : (double)(int32_t)above / (int32_t)below;
	return true;
}

/* ---- TIFF files ---- */

struct page {
	uint32_t width, height;
	bool alpha;
};

static void parse_page(struct tiff *tiff, uint32_t offset, uint32_t count, struct page *page)
{
	struct tiff_entry entry;
	uint32_t value;
	*page = (struct page){0};
	for (uint32_t i = 0; i < count; i++) {
		if (!tiff_entry(tiff, offset, i, &entry))
			continue;
		if (entry.tag == TAG_WIDTH && tiff_integer(tiff, &entry, &value))
			page->width = value;
		else if (entry.tag == TAG_HEIGHT && tiff_integer(tiff, &entry, &value))
			page->height = value;
		else if (entry.tag == TAG_EXTRA_SAMPLES && tiff_integer(tiff, &entry, &value))
			page->alpha = value != 0;
	}
}

enum err probe_tiff(struct probe *probe)
{
	struct tiff tiff;
	struct page page;
	struct image_meta *meta = probe->meta;
	uint32_t pages = 0;
	if (!tiff_open(&tiff, probe, probe->file))
		return probe_ended(probe);
	uint32_t offset = tiff_u32(&tiff, probe->file.ptr + 4);
	/* A ring of pages ends at the limit too. */
	for (uint32_t next; offset != 0 && pages <= probe->limits->frames_max;
	     offset = next, pages++) {
		uint32_t count = tiff_directory(&tiff, offset, &next);
		if (count == 0 && pages > 0)
			break;
		if (count == 0)
			return probe_ended(probe);
		parse_page(&tiff, offset, count, &page);
		probe->pixels += (uint64_t)page.width * page.height / 2 + 1;
		if (pages > 0)
			continue;
		meta->width = page.width;
		meta->height = page.height;
		meta->alpha = page.alpha;
	}
	/* Halved while they were added, so that no number of pages overflows. */
	probe->pixels = probe->pixels > UINT64_MAX / 2 ? UINT64_MAX : probe->pixels * 2;
	if (pages == 0)
		return probe_invalid(probe, "the TIFF has no page");
	meta->frames = pages;
	probe_exif(probe, probe->file);
	return OK;
}

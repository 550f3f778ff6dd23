/* image/probe_bmp.c: Windows and OS/2 bitmaps. */
#include "image/probing.h"

enum { CORE_HEADER = 12, INFO_HEADER = 40 };

static enum err parse_size(struct probe *probe, struct span head)
{
	struct image_meta *meta = probe->meta;
	uint32_t header = load_le32(head.ptr + 14);
	uint16_t planes, bits;
	if (header == CORE_HEADER) {
		meta->width = load_le16(head.ptr + 18);
		meta->height = load_le16(head.ptr + 20);
		planes = load_le16(head.ptr + 22);
		bits = load_le16(head.ptr + 24);
	} else {
		int64_t w = (int32_t)load_le32(head.ptr + 18),
		        h = (int32_t)load_le32(head.ptr + 22);
		planes = load_le16(head.ptr + 26);
		bits = load_le16(head.ptr + 28);
		if (w <= 0 || h == 0)
			return probe_invalid(probe, "the BMP has an impossible size");
		meta->width = (uint32_t)w;
		meta->height = (uint32_t)(h < 0 ? -h : h); /* below 0: the top row comes first */
	}
	bool bits_known = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 ||
	    bits == 24 || bits == 32;
	if (planes != 1 || !bits_known)
		return probe_invalid(probe, "the BMP has an impossible depth");
	return OK;
}

enum err probe_bmp(struct probe *probe)
{
	struct span head, info;
	if (!probe_at(probe, 0, 26, &head))
		return probe_ended(probe);
	uint32_t offset = load_le32(head.ptr + 10), header = load_le32(head.ptr + 14);
	if (header != CORE_HEADER && (header < INFO_HEADER || header > 256))
		return probe_invalid(probe, "not an image in a format that is known");
	if (!probe_at(probe, 0, 14 + (size_t)header, &info))
		return probe_ended(probe);
	enum err err = parse_size(probe, info);
	if (err != OK)
		return err;
	if (offset < 14 + header)
		return probe_invalid(probe, "the BMP's pixels overlap its header");
	return offset >= probe->file.len ? probe_ended(probe) : OK;
}

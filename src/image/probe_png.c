/* image/probe_png.c: PNG and APNG (W3C PNG, third edition): every chunk's header. */
#include "image/probing.h"

enum { SIGNATURE_BYTES = 8, CHUNK_OVERHEAD = 12, HEADER_BYTES = 13 };

static enum err parse_header(struct probe *probe)
{
	struct span bytes;
	struct image_meta *meta = probe->meta;
	if (!probe_at(probe, SIGNATURE_BYTES, 8 + HEADER_BYTES, &bytes))
		return probe_ended(probe);
	if (load_be32(bytes.ptr) != HEADER_BYTES ||
	    !span_equal(span_slice(bytes, 4, 4), SPAN_LIT("IHDR")))
		return probe_invalid(probe, "the PNG does not begin with IHDR");
	meta->width = load_be32(bytes.ptr + 8);
	meta->height = load_be32(bytes.ptr + 12);
	uint8_t depth = bytes.ptr[16], colour = bytes.ptr[17];
	if (meta->width == 0 || meta->height == 0 || meta->width > INT32_MAX ||
	    meta->height > INT32_MAX)
		return probe_invalid(probe, "the PNG has an impossible size");
	bool depth_known = depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
	if (!depth_known || colour > 6 || colour == 1 || colour == 5)
		return probe_invalid(probe, "the PNG has an impossible colour type or bit depth");
	meta->alpha = colour == 4 || colour == 6;
	return OK;
}

static void parse_chunk(struct probe *probe, struct span type, uint64_t at, size_t len)
{
	struct span body;
	if (span_equal(type, SPAN_LIT("tRNS"))) {
		probe->meta->alpha = true;
	} else if (span_equal(type, SPAN_LIT("acTL"))) {
		if (len >= 8 && probe_at(probe, at, 8, &body) && load_be32(body.ptr) > 0)
			probe->meta->frames = load_be32(body.ptr);
	} else if (span_equal(type, SPAN_LIT("eXIf"))) {
		if (probe_at(probe, at, len, &body))
			probe_exif_block(probe, body);
	}
}

enum err probe_png(struct probe *probe)
{
	struct span head;
	bool data = false;
	enum err err = parse_header(probe);
	if (err != OK)
		return err;
	uint64_t at = SIGNATURE_BYTES;
	for (;;) {
		if (!probe_at(probe, at, 8, &head)) {
			if (data && probe_is_tired(probe))
				return OK; /* enough was seen */
			return probe_ended(probe);
		}
		uint64_t len = load_be32(head.ptr);
		struct span type = span_slice(head, 4, 4);
		if (len > probe->file.len || at + CHUNK_OVERHEAD + len > probe->file.len)
			return probe_invalid(probe, "the file is truncated");
		if (span_equal(type, SPAN_LIT("IEND")))
			break;
		data |= span_equal(type, SPAN_LIT("IDAT"));
		parse_chunk(probe, type, at + 8, (size_t)len);
		at += CHUNK_OVERHEAD + len;
	}
	return data ? OK : probe_invalid(probe, "the PNG has no image data");
}

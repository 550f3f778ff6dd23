/* image/probe_jxl.c: JPEG XL (ISO/IEC 18181): the size header of the codestream, bare or in
 * its container. How many frames an animation has is not in the header: 1 is said. */
#include "image/probing.h"

struct bits {
	struct span bytes;
	size_t at; /* in bits, the lowest of a byte first */
	bool ended;
};

static uint32_t take_bits(struct bits *bits, unsigned count)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < count; i++, bits->at++) {
		if (bits->at / 8 >= bits->bytes.len) {
			bits->ended = true;
			return 0;
		}
		value |= (uint32_t)(bits->bytes.ptr[bits->at / 8] >> bits->at % 8 & 1) << i;
	}
	return value;
}

static uint32_t take_side(struct bits *bits, bool small)
{
	static const uint8_t widths[4] = {9, 13, 18, 30};
	if (small)
		return (take_bits(bits, 5) + 1) * 8;
	return take_bits(bits, widths[take_bits(bits, 2)]) + 1;
}

static void take_size(struct bits *bits, uint32_t *width, uint32_t *height)
{
	static const uint8_t ratios[8][2] = {
	    {1, 1}, {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}};
	bool small = take_bits(bits, 1) != 0;
	*height = take_side(bits, small);
	uint32_t ratio = take_bits(bits, 3);
	if (ratio == 0)
		*width = take_side(bits, small);
	else
		*width = (uint32_t)((uint64_t)*height * ratios[ratio][0] / ratios[ratio][1]);
}

static enum err parse_codestream(struct probe *probe, uint64_t at)
{
	enum { LOOK_BYTES = 32 };
	struct bits bits = {0};
	struct image_meta *meta = probe->meta;
	uint64_t left = at < probe->file.len ? probe->file.len - at : 0;
	if (!probe_at(probe, at, left < LOOK_BYTES ? (size_t)left : LOOK_BYTES, &bits.bytes))
		return probe_ended(probe);
	if (!span_equal(span_slice(bits.bytes, 0, 2), SPAN_LIT("\xff\x0a")))
		return probe_invalid(probe, "the JXL has no codestream");
	bits.at = 16;
	take_size(&bits, &meta->width, &meta->height);
	bool plain = take_bits(&bits, 1) != 0;
	if (!plain && take_bits(&bits, 1) != 0)
		meta->orientation = (uint8_t)(take_bits(&bits, 3) + 1);
	return bits.ended ? probe_ended(probe) : OK;
}

enum err probe_jxl(struct probe *probe)
{
	struct span head;
	uint64_t at = 0;
	if (probe->file.ptr[0] == 0xff)
		return parse_codestream(probe, 0);
	for (;;) {
		if (!probe_at(probe, at, 8, &head))
			return probe_ended(probe);
		uint64_t len = load_be32(head.ptr), header = 8;
		struct span type = span_slice(head, 4, 4);
		if (len == 1) {
			if (!probe_at(probe, at, 16, &head))
				return probe_ended(probe);
			len = load_be64(head.ptr + 8);
			header = 16;
		}
		if (span_equal(type, SPAN_LIT("jxlc")))
			return parse_codestream(probe, at + header);
		if (span_equal(type, SPAN_LIT("jxlp")))
			return parse_codestream(probe, at + header + 4);
		if (len < header || len > probe->file.len - at)
			return probe_ended(probe);
		at += len;
	}
}

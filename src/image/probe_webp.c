/* image/probe_webp.c: WebP (RFC 9649): VP8, VP8L, and the extended form with its chunks. */
#include "image/probing.h"

enum { FLAG_ANIMATION = 0x02, FLAG_ALPHA = 0x10 };

static uint32_t load_le24(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

/* A key frame of VP8 (RFC 6386, 9.1): *w and *h. */
static bool parse_lossy(struct probe *probe, uint64_t at, uint32_t *w, uint32_t *h)
{
	struct span bytes;
	if (!probe_at(probe, at, 10, &bytes) || (bytes.ptr[0] & 1) != 0)
		return false;
	if (!span_equal(span_slice(bytes, 3, 3), SPAN_LIT("\x9d\x01\x2a")))
		return false;
	*w = load_le16(bytes.ptr + 6) & 0x3fff;
	*h = load_le16(bytes.ptr + 8) & 0x3fff;
	return true;
}

static bool parse_lossless(struct probe *probe, uint64_t at, uint32_t *w, uint32_t *h)
{
	struct span bytes;
	if (!probe_at(probe, at, 5, &bytes) || bytes.ptr[0] != 0x2f)
		return false;
	uint32_t bits = load_le32(bytes.ptr + 1);
	*w = (bits & 0x3fff) + 1;
	*h = (bits >> 14 & 0x3fff) + 1;
	probe->meta->alpha |= (bits >> 28 & 1) != 0;
	return bits >> 29 == 0;
}

struct chunk {
	struct span type;
	uint64_t at; /* of its payload */
	uint64_t len;
};

static bool take_chunk(struct probe *probe, uint64_t *at, uint64_t end, struct chunk *out)
{
	struct span head;
	if (*at + 8 > end || !probe_at(probe, *at, 8, &head))
		return false;
	*out = (struct chunk){span_slice(head, 0, 4), *at + 8, load_le32(head.ptr + 4)};
	if (out->len > end - out->at)
		return false;
	*at = out->at + out->len + (out->len & 1);
	return true;
}

/* The size of an image chunk. False: it is none, or broken. */
static bool parse_image(struct probe *probe, const struct chunk *chunk, uint32_t *w, uint32_t *h)
{
	if (span_equal(chunk->type, SPAN_LIT("VP8 ")))
		return chunk->len >= 10 && parse_lossy(probe, chunk->at, w, h);
	return span_equal(chunk->type, SPAN_LIT("VP8L")) && chunk->len >= 5 &&
	    parse_lossless(probe, chunk->at, w, h);
}

static enum err parse_extended(
    struct probe *probe, const struct chunk *first, uint64_t at, uint64_t end)
{
	struct span head, exif;
	struct chunk chunk;
	struct image_meta *meta = probe->meta;
	uint32_t frames = 0, w, h;
	bool image = false;
	if (first->len < 10 || !probe_at(probe, first->at, 10, &head))
		return probe_ended(probe);
	bool animated = (head.ptr[0] & FLAG_ANIMATION) != 0;
	meta->alpha = (head.ptr[0] & FLAG_ALPHA) != 0;
	meta->width = load_le24(head.ptr + 4) + 1;
	meta->height = load_le24(head.ptr + 7) + 1;
	while (take_chunk(probe, &at, end, &chunk) && frames <= probe->limits->frames_max) {
		if (span_equal(chunk.type, SPAN_LIT("ANMF")))
			frames++;
		else if (span_equal(chunk.type, SPAN_LIT("EXIF")) &&
		    probe_at(probe, chunk.at, (size_t)chunk.len, &exif))
			probe_exif_block(probe, exif);
		else if (!animated && !image && parse_image(probe, &chunk, &w, &h))
			image = w == meta->width && h == meta->height;
	}
	meta->frames = animated && frames > 0 ? frames : 1;
	if (animated ? frames == 0 : !image)
		return probe_invalid(probe, "the WebP has no image of the size of its canvas");
	return OK;
}

enum err probe_webp(struct probe *probe)
{
	struct span head;
	struct chunk chunk;
	if (!probe_at(probe, 0, 12, &head))
		return probe_ended(probe);
	uint64_t end = 8 + (uint64_t)load_le32(head.ptr + 4), at = 12;
	if (end > probe->file.len || !take_chunk(probe, &at, end, &chunk))
		return probe_ended(probe);
	if (span_equal(chunk.type, SPAN_LIT("VP8X")))
		return parse_extended(probe, &chunk, at, end);
	if (!parse_image(probe, &chunk, &probe->meta->width, &probe->meta->height))
		return probe_invalid(probe, "the WebP begins with no image that is known");
	return OK;
}

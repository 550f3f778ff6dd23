/* image/probe_gif.c: GIF87a and GIF89a: the canvas, and the frames by walking blocks. A file
 * whose blocks go on beyond what may be looked at has the frames that were seen. */
#include "image/probing.h"

enum { BLOCK_IMAGE = 0x2c, BLOCK_EXTENSION = 0x21, BLOCK_TRAILER = 0x3b, LABEL_CONTROL = 0xf9 };

static uint64_t palette_bytes(uint8_t flags)
{
	return (flags & 0x80) != 0 ? 3ULL << ((flags & 7) + 1) : 0;
}

/* Moves *at behind a chain of data sub-blocks. */
static bool skip_data(struct probe *probe, uint64_t *at)
{
	struct span len;
	do {
		if (!probe_at(probe, *at, 1, &len))
			return false;
		*at += 1 + (uint64_t)len.ptr[0];
	} while (len.ptr[0] != 0);
	return true;
}

/* One block; *at moves behind it. */
static bool parse_block(struct probe *probe, uint8_t kind, uint64_t *at)
{
	struct span bytes;
	if (kind == BLOCK_IMAGE) {
		if (!probe_at(probe, *at, 10, &bytes))
			return false;
		*at += 10 + palette_bytes(bytes.ptr[9]) + 1;
		return skip_data(probe, at);
	}
	if (!probe_at(probe, *at, 2, &bytes))
		return false;
	*at += 2;
	if (bytes.ptr[1] == LABEL_CONTROL && probe_at(probe, *at, 2, &bytes) && bytes.ptr[0] >= 4)
		probe->meta->alpha |= (bytes.ptr[1] & 1) != 0;
	return skip_data(probe, at);
}

enum err probe_gif(struct probe *probe)
{
	struct span bytes;
	struct image_meta *meta = probe->meta;
	uint32_t frames = 0;
	if (!probe_at(probe, 0, 13, &bytes))
		return probe_ended(probe);
	meta->width = load_le16(bytes.ptr + 6);
	meta->height = load_le16(bytes.ptr + 8);
	uint64_t at = 13 + palette_bytes(bytes.ptr[10]);
	while (frames <= probe->limits->frames_max) {
		/* Many files lack the trailer: the end of the last block will do. */
		if (at == probe->file.len && frames > 0)
			break;
		if (!probe_at(probe, at, 1, &bytes))
			goto ended;
		uint8_t kind = bytes.ptr[0];
		if (kind == BLOCK_TRAILER)
			break;
		if (kind != BLOCK_IMAGE && kind != BLOCK_EXTENSION) {
			if (frames > 0)
				break; /* what decoders do: the rest is not theirs */
			return probe_invalid(probe, "the GIF has a block of no known kind");
		}
		if (!parse_block(probe, kind, &at))
			goto ended;
		frames += kind == BLOCK_IMAGE;
	}
	if (frames == 0)
		return probe_invalid(probe, "the GIF has no image");
	meta->frames = frames;
	return OK;
ended:
	if (!probe_is_tired(probe))
		return probe_ended(probe);
	meta->frames = frames > 0 ? frames : 1;
	return OK;
}

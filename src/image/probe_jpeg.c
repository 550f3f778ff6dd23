/* image/probe_jpeg.c: JPEG (ITU-T T.81): markers up to the first scan. */
#include "image/probing.h"

enum {
	MARKER_TEM = 0x01,
	MARKER_SOF0 = 0xc0,
	MARKER_SOF15 = 0xcf,
	MARKER_DHT = 0xc4,
	MARKER_JPG = 0xc8,
	MARKER_DAC = 0xcc,
	MARKER_RST0 = 0xd0,
	MARKER_SOI = 0xd8,
	MARKER_EOI = 0xd9,
	MARKER_SOS = 0xda,
	MARKER_APP1 = 0xe1,
};

static bool is_frame(uint8_t marker)
{
	return marker >= MARKER_SOF0 && marker <= MARKER_SOF15 && marker != MARKER_DHT &&
	    marker != MARKER_JPG && marker != MARKER_DAC;
}

static enum err parse_frame(struct probe *probe, uint8_t marker, struct span body)
{
	struct image_meta *meta = probe->meta;
	if (meta->width != 0)
		return probe_invalid(probe, "the JPEG has two frames (hierarchical coding)");
	if (body.len < 6 || body.len < 6 + 3U * body.ptr[5])
		return probe_invalid(probe, "the JPEG frame header is too short");
	uint8_t components = body.ptr[5];
	meta->height = load_be16(body.ptr + 1);
	meta->width = load_be16(body.ptr + 3);
	if (meta->width == 0)
		return probe_invalid(probe, "the JPEG has a width of 0");
	if (meta->height == 0)
		return probe_invalid(probe, "the JPEG gives no height (DNL)");
	if (components < 1 || components > 4)
		return probe_invalid(probe, "the JPEG has no sensible number of components");
	meta->progressive = (marker & 3) == 2;
	return OK;
}

/* The marker at *at, which moves to what follows it. 0: there is none. */
static uint8_t take_marker(struct probe *probe, uint64_t *at)
{
	struct span bytes;
	if (!probe_at(probe, *at, 2, &bytes) || bytes.ptr[0] != 0xff)
		return 0;
	/* Any number of fill bytes may stand before a marker. */
	while (bytes.ptr[1] == 0xff) {
		(*at)++;
		if (!probe_at(probe, *at, 2, &bytes))
			return 0;
	}
	*at += 2;
	return bytes.ptr[1];
}

enum err probe_jpeg(struct probe *probe)
{
	uint64_t at = 2;
	struct span bytes;
	for (;;) {
		uint64_t before = at;
		uint8_t marker = take_marker(probe, &at);
		if (marker == 0) {
			if (probe_is_tired(probe) || before + 2 > probe->file.len ||
			    probe->file.ptr[before] == 0xff)
				return probe_ended(probe);
			return probe_invalid(probe, "the JPEG has no marker where one must be");
		}
		if (marker == MARKER_TEM || (marker >= MARKER_RST0 && marker <= MARKER_SOI))
			continue;
		if (marker == MARKER_EOI)
			return probe_invalid(probe, "the JPEG ends before its image");
		if (!probe_at(probe, at, 2, &bytes))
			return probe_ended(probe);
		size_t len = load_be16(bytes.ptr);
		if (len < 2)
			return probe_invalid(probe, "a JPEG segment has an impossible length");
		bool wanted = is_frame(marker) || marker == MARKER_APP1;
		struct span body = {0};
		if (at + len > probe->file.len ||
		    (wanted && !probe_at(probe, at + 2, len - 2, &body)))
			return probe_ended(probe);
		if (marker == MARKER_SOS)
			break;
		if (marker == MARKER_APP1 &&
		    span_equal(span_slice(body, 0, 6), span_of("Exif\0\0", 6)))
			probe_exif_block(probe, body);
		enum err err = is_frame(marker) ? parse_frame(probe, marker, body) : OK;
		if (err != OK)
			return err;
		at += len;
	}
	if (probe->meta->width == 0)
		return probe_invalid(probe, "the JPEG has no frame header");
	return OK;
}

/* image/probe.c: which format, its parser, and the limits; see probe.h. */
#include "image/probing.h"

#include "base/arith.h"

#include <stdio.h>

enum { LOOK_BYTES = 64 }; /* a jump costs at least one cache line */

bool probe_at(struct probe *probe, uint64_t offset, size_t len, struct span *out)
{
	uint64_t cost = len > LOOK_BYTES ? len : LOOK_BYTES;
	if (offset > probe->file.len || len > probe->file.len - offset)
		return false;
	if (cost > probe->budget) {
		probe->budget = 0;
		return false;
	}
	probe->budget -= cost;
	*out = span_slice(probe->file, (size_t)offset, len);
	return true;
}

enum err probe_invalid(struct probe *probe, const char *why)
{
	snprintf(probe->why, PROBE_WHY_BYTES, "%s", why);
	return ERR_INVALID;
}

enum err probe_ended(struct probe *probe)
{
	if (probe_is_tired(probe))
		return probe_invalid(
		    probe, "no image header within the first megabyte of metadata");
	return probe_invalid(probe, "the file is truncated");
}

struct span probe_text(struct probe *probe, struct span text)
{
	const uint8_t *end = text.len == 0 ? NULL : memchr(text.ptr, 0, text.len);
	if (end != NULL)
		text.len = (size_t)(end - text.ptr);
	while (text.len > 0 && text.ptr[text.len - 1] <= ' ')
		text.len--;
	while (text.len > 0 && text.ptr[0] <= ' ')
		text = span_slice(text, 1, text.len);
	text = span_slice(text, 0, PROBE_SCRATCH_BYTES - probe->scratch_used);
	uint8_t *copy = probe->scratch + probe->scratch_used;
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	probe->scratch_used += text.len;
	return span_of(copy, text.len);
}

/* ---- Which format ---- */

static bool begins(struct span file, size_t at, struct span with)
{
	return span_equal(span_slice(file, at, with.len), with);
}

static struct span skip_past(struct span text, struct span mark)
{
	while (text.len >= mark.len) {
		const uint8_t *found = memchr(text.ptr, mark.ptr[0], text.len - mark.len + 1);
		if (found == NULL)
			break;
		text = span_slice(text, (size_t)(found - text.ptr), text.len);
		if (begins(text, 0, mark))
			return span_slice(text, mark.len, text.len);
		text = span_slice(text, 1, text.len);
	}
	return (struct span){text.ptr, 0};
}

/* Is the root element of this document <svg> (or <any:svg>)? */
static bool is_svg(struct span file)
{
	enum { SVG_LOOK_BYTES = 16 << 10 };
	struct span text = span_slice(file, 0, SVG_LOOK_BYTES);
	if (begins(text, 0, SPAN_LIT("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	while (text.len > 0) {
		if (text.ptr[0] <= ' ')
			text = span_slice(text, 1, text.len);
		else if (begins(text, 0, SPAN_LIT("<?")))
			text = skip_past(text, SPAN_LIT("?>"));
		else if (begins(text, 0, SPAN_LIT("<!--")))
			text = skip_past(text, SPAN_LIT("-->"));
		else if (begins(text, 0, SPAN_LIT("<!")))
			text = skip_past(text, SPAN_LIT(">"));
		else
			break;
	}
	if (text.len == 0 || text.ptr[0] != '<')
		return false;
	size_t from = 1, at = 1;
	for (; at < text.len && at < 64; at++) {
		uint8_t byte = text.ptr[at];
		if (byte == ':')
			from = at + 1;
		else if (byte <= ' ' || byte == '>' || byte == '/')
			break;
	}
	return at < text.len && span_equal(span_slice(text, from, at - from), SPAN_LIT("svg"));
}

/* By the brands of an ISO base media file. */
static enum image_format sniff_brands(struct span file)
{
	enum image_format format = IMAGE_UNKNOWN;
	size_t len = load_be32(file.ptr);
	struct span brands = span_slice(file, 8, len < 8 ? 0 : (len > 264 ? 256 : len - 8));
	for (size_t at = 0; at + 4 <= brands.len; at += 4) {
		struct span brand = span_slice(brands, at, 4);
		if (at == 4)
			continue; /* the minor version */
		if (span_equal(brand, SPAN_LIT("avif")) || span_equal(brand, SPAN_LIT("avis")))
			return IMAGE_AVIF;
		if (span_equal(brand, SPAN_LIT("heic")) || span_equal(brand, SPAN_LIT("heix")) ||
		    span_equal(brand, SPAN_LIT("heim")) || span_equal(brand, SPAN_LIT("heis")) ||
		    span_equal(brand, SPAN_LIT("hevc")) || span_equal(brand, SPAN_LIT("hevx")) ||
		    span_equal(brand, SPAN_LIT("mif1")) || span_equal(brand, SPAN_LIT("msf1")))
			format = IMAGE_HEIF;
	}
	return format;
}

enum image_format image_sniff(struct span file)
{
	static const struct {
		uint8_t format, at;
		struct span magic;
	} magics[] = {
	    {IMAGE_JPEG, 0, {(const uint8_t *)"\xff\xd8\xff", 3}},
	    {IMAGE_PNG, 0, {(const uint8_t *)"\x89PNG\r\n\x1a\n", 8}},
	    {IMAGE_GIF, 0, {(const uint8_t *)"GIF87a", 6}},
	    {IMAGE_GIF, 0, {(const uint8_t *)"GIF89a", 6}},
	    {IMAGE_WEBP, 8, {(const uint8_t *)"WEBP", 4}},
	    {IMAGE_TIFF, 0, {(const uint8_t *)"II*\0", 4}},
	    {IMAGE_TIFF, 0, {(const uint8_t *)"MM\0*", 4}},
	    {IMAGE_BMP, 0, {(const uint8_t *)"BM", 2}},
	    {IMAGE_JXL, 0, {(const uint8_t *)"\xff\x0a", 2}},
	    {IMAGE_JXL, 0, {(const uint8_t *)"\0\0\0\x0cJXL \r\n\x87\n", 12}},
	};
	for (size_t i = 0; i < ARRAY_COUNT(magics); i++) {
		if (!begins(file, magics[i].at, magics[i].magic))
			continue;
		if (magics[i].format == IMAGE_WEBP && !begins(file, 0, SPAN_LIT("RIFF")))
			continue;
		return (enum image_format)magics[i].format;
	}
	if (begins(file, 4, SPAN_LIT("ftyp")) && file.len >= 12)
		return sniff_brands(file);
	return is_svg(file) ? IMAGE_SVG : IMAGE_UNKNOWN;
}

static enum err probe_svg(struct probe *probe)
{
	/* Opaque: what size it has would take an interpreter of CSS. */
	ASSERT(probe->meta->width == 0);
	return OK;
}

static enum err probe_format(struct probe *probe)
{
	switch (probe->meta->format) {
	case IMAGE_JPEG:
		return probe_jpeg(probe);
	case IMAGE_PNG:
		return probe_png(probe);
	case IMAGE_GIF:
		return probe_gif(probe);
	case IMAGE_WEBP:
		return probe_webp(probe);
	case IMAGE_AVIF:
	case IMAGE_HEIF:
		return probe_isobmff(probe);
	case IMAGE_TIFF:
		return probe_tiff(probe);
	case IMAGE_BMP:
		return probe_bmp(probe);
	case IMAGE_JXL:
		return probe_jxl(probe);
	case IMAGE_SVG:
		return probe_svg(probe);
	default:
		return probe_invalid(probe, "not an image in a format that is known");
	}
}

/* ---- Limits ---- */

static enum err too_large(struct probe *probe, const char *limit, uint64_t value)
{
	snprintf(probe->why, PROBE_WHY_BYTES, "%s %llu", limit, (unsigned long long)value);
	return ERR_TOOLARGE;
}

static enum err check_limits(struct probe *probe)
{
	const struct probe_limits *limits = probe->limits;
	const struct image_meta *meta = probe->meta;
	uint64_t pixels = (uint64_t)meta->width * meta->height, all;
	if (meta->width > limits->side_max || meta->height > limits->side_max)
		return too_large(probe, "image-max-side", limits->side_max);
	if (meta->frames > limits->frames_max)
		return too_large(probe, "image-max-frames", limits->frames_max);
	if (!mul_u64(pixels, meta->frames, &all) || all > limits->pixels_max ||
	    probe->pixels > limits->pixels_max)
		return too_large(probe, "image-max-pixels", limits->pixels_max);
	all = max_u64(all, probe->pixels);
	if (all > PROBE_RATIO_PIXELS_MIN && all / limits->pixels_per_byte_max >= probe->file.len)
		return too_large(probe, "image-max-ratio", limits->pixels_per_byte_max);
	return OK;
}

static void meta_clear(struct image_meta *meta)
{
	static const struct span none;
	meta->format = IMAGE_UNKNOWN;
	meta->width = meta->height = 0;
	meta->frames = 1;
	meta->orientation = 1;
	meta->progressive = meta->alpha = false;
	meta->bytes = 0;
	meta->has = 0;
	meta->camera = meta->lens = none;
}

enum err image_probe(struct span file, const struct probe_limits *limits, uint8_t *scratch,
    struct image_meta *meta, char why[PROBE_WHY_BYTES])
{
	struct probe probe = {
	    .file = file,
	    .limits = limits,
	    .meta = meta,
	    .scratch = scratch,
	    .budget = PROBE_BYTES_MAX,
	    .why = why,
	};
	ASSERT(limits->pixels_per_byte_max > 0);
	meta_clear(meta);
	why[0] = 0;
	if (file.len == 0)
		return probe_invalid(&probe, "the file is empty");
	if (file.len > limits->bytes_max)
		return too_large(&probe, "image-max-bytes", limits->bytes_max);
	meta->format = image_sniff(file);
	meta->bytes = file.len;
	enum err err = probe_format(&probe);
	if (err != OK)
		return err;
	if (meta->format != IMAGE_SVG && (meta->width == 0 || meta->height == 0))
		return probe_invalid(&probe, "the image has no pixels");
	return check_limits(&probe);
}

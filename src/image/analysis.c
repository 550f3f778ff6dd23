/* image/analysis.c: an analysis as a whole: made, checked, written down; see analysis.h.
 *
 * Encoding: version, state, quality, number of colours, bytes of the placeholder, and for an
 * analysis that is done the hash, the colours {red, green, blue, percent}, the placeholder.
 */
#include "image/transform.h"

enum { PIXELS = ANALYSIS_SIDE * ANALYSIS_SIDE, HEAD_BYTES = 5 };

/* As a viewer with a white page sees it. */
static float grey_of(const uint8_t *pixel)
{
	float alpha = (float)pixel[3] / 255;
	float grey = 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2];
	return grey * alpha + 255 * (1 - alpha);
}

void analysis_make(
    const uint8_t *pixels, uint32_t width, uint32_t height, struct image_analysis *out)
{
	float grey[PIXELS];
	*out = (struct image_analysis){.version = ANALYSIS_VERSION, .state = ANALYSIS_DONE};
	for (unsigned i = 0; i < PIXELS; i++)
		grey[i] = grey_of(&pixels[(size_t)i * 4]);
	phash_make(grey, out->phash, &out->quality);
	palette_make(pixels, out);
	out->placeholder_bytes = (uint8_t)placeholder_make(pixels, width, height, out->placeholder);
	ASSERT(analysis_is_sound(out));
}

static bool palette_is_sound(const struct image_analysis *analysis)
{
	unsigned sum = 0;
	if (analysis->palette_count > PALETTE_MAX)
		return false;
	for (unsigned i = 0; i < analysis->palette_count; i++) {
		const struct image_colour *colour = &analysis->palette[i];
		if (colour->percent == 0 || (i > 0 && colour->percent > colour[-1].percent))
			return false;
		sum += colour->percent;
	}
	return sum <= 100 + PALETTE_MAX;
}

bool analysis_is_sound(const struct image_analysis *analysis)
{
	return analysis->version == ANALYSIS_VERSION && analysis->state == ANALYSIS_DONE &&
	    analysis->quality <= 100 && analysis->placeholder_bytes >= 5 &&
	    analysis->placeholder_bytes <= PLACEHOLDER_MAX && palette_is_sound(analysis);
}

void analysis_encode(const struct image_analysis *analysis, struct buf *out)
{
	bool done = analysis->state == ANALYSIS_DONE;
	ASSERT(analysis->state != ANALYSIS_NONE);
	ASSERT(!done || analysis_is_sound(analysis));
	buf_append_u8(out, analysis->version);
	buf_append_u8(out, analysis->state);
	buf_append_u8(out, analysis->quality);
	buf_append_u8(out, done ? analysis->palette_count : 0);
	buf_append_u8(out, done ? analysis->placeholder_bytes : 0);
	if (!done)
		return;
	buf_append(out, span_of(analysis->phash, PHASH_BYTES));
	buf_append(out, span_of(analysis->palette,
	                    analysis->palette_count * sizeof(analysis->palette[0])));
	buf_append(out, span_of(analysis->placeholder, analysis->placeholder_bytes));
}

enum err analysis_decode(struct span bytes, struct image_analysis *out)
{
	*out = (struct image_analysis){0};
	if (bytes.len < HEAD_BYTES)
		return ERR_CORRUPT;
	if (bytes.ptr[0] != ANALYSIS_VERSION)
		return OK;                /* of another version: it is made again */
	struct image_analysis read = {
	    .version = bytes.ptr[0],
	    .state = bytes.ptr[1],
	    .quality = bytes.ptr[2],
	    .palette_count = bytes.ptr[3],
	    .placeholder_bytes = bytes.ptr[4],
	};
	bool done = read.state == ANALYSIS_DONE;
	if (read.state != ANALYSIS_DONE && read.state != ANALYSIS_FAILED)
		return ERR_CORRUPT;
	if (read.palette_count > PALETTE_MAX || read.placeholder_bytes > PLACEHOLDER_MAX)
		return ERR_CORRUPT;
	size_t palette = read.palette_count * sizeof(read.palette[0]);
	size_t wanted = HEAD_BYTES + (done ? PHASH_BYTES : 0) + palette + read.placeholder_bytes;
	if (bytes.len != wanted)
		return ERR_CORRUPT;
	if (done) {
		const uint8_t *at = bytes.ptr + HEAD_BYTES;
		memcpy(read.phash, at, PHASH_BYTES);
		memcpy(read.palette, at + PHASH_BYTES, palette);
		memcpy(read.placeholder, at + PHASH_BYTES + palette, read.placeholder_bytes);
		if (!analysis_is_sound(&read))
			return ERR_CORRUPT;
	}
	*out = read;
	return OK;
}

enum err transform_analyse(const struct image_meta *meta, struct transform_plan *out)
{
	if (meta->format == IMAGE_UNKNOWN || meta->format == IMAGE_SVG ||
	    meta->format == IMAGE_JXL || meta->width == 0 || meta->height == 0)
		return ERR_UNSUPPORTED;
	bool turned = meta->orientation >= 1 && meta->orientation <= 8;
	*out = (struct transform_plan){
	    .version = TRANSFORM_VERSION,
	    .source_format = meta->format,
	    .source_width = meta->width,
	    .source_height = meta->height,
	    .crop_w = meta->width,
	    .crop_h = meta->height,
	    .scaled_width = ANALYSIS_SIDE,
	    .scaled_height = ANALYSIS_SIDE,
	    .turn = turned ? meta->orientation : 1,
	    .width = ANALYSIS_SIDE,
	    .height = ANALYSIS_SIDE,
	    .target_format = IMAGE_PNG,       /* keeps what is transparent */
	    .task = TASK_ANALYSE,
	};
	return OK;
}

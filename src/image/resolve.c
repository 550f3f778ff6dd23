/* image/resolve.c: what a transform means for one image; the rules are in transform.h.
 *
 * Turns are the eight symmetries of a rectangle, written as "mirror left to right if m, then
 * k quarter turns clockwise", and numbered as EXIF does.
 */
#include "image/transform.h"

#include "base/arith.h"

#include <math.h>
#include <stdio.h>

struct turn {
	unsigned mirror, quarters;
};

static struct turn turn_of(unsigned orientation)
{
	static const struct turn turns[9] = {
	    [1] = {0, 0},
	    [2] = {1, 0},
	    [3] = {0, 2},
	    [4] = {1, 2},
	    [5] = {1, 3},
	    [6] = {0, 1},
	    [7] = {1, 1},
	    [8] = {0, 3},
	};
	ASSERT(orientation >= 1);
	ASSERT(orientation <= 8);
	return turns[orientation];
}

static unsigned turn_number(struct turn turn)
{
	static const uint8_t numbers[2][4] = {{1, 6, 3, 8}, {2, 7, 4, 5}};
	return numbers[turn.mirror & 1][turn.quarters & 3];
}

/* Turns further: a rotation, then flips. A flip undoes the sense of the turns before it. */
static struct turn turn_further(struct turn turn, unsigned rotate, unsigned flip)
{
	turn.quarters += rotate / 90;
	if (flip & FLIP_HORIZONTAL)
		turn = (struct turn){turn.mirror ^ 1, 4 - turn.quarters % 4};
	if (flip & FLIP_VERTICAL)
		turn = (struct turn){turn.mirror ^ 1, 6 - turn.quarters % 4};
	turn.quarters %= 4;
	return turn;
}

struct rectangle {
	uint32_t x, y, w, h;
};

/* The rectangle of the stored image that a viewer sees as `seen`. */
static struct rectangle stored_rectangle(
    struct rectangle seen, unsigned orientation, uint32_t width, uint32_t height)
{
	struct rectangle r = seen;
	if (orientation >= 5)
		r = (struct rectangle){seen.y, seen.x, seen.h, seen.w};
	bool from_right =
	    orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
	bool from_below =
	    orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
	if (from_right)
		r.x = width - r.x - r.w;
	if (from_below)
		r.y = height - r.y - r.h;
	return r;
}

/* The pixels [from, from + len) of a side, cut to what there is. False: none is left. */
static bool cut_side(double from, double len, uint32_t side, uint32_t *out_from, uint32_t *out_len)
{
	double first = round(from), last = round(from + len);
	if (last <= first)
		last = first + 1;
	if (last > side)
		last = side;
	if (first >= last)
		return false;
	*out_from = (uint32_t)first;
	*out_len = (uint32_t)(last - first);
	return true;
}

static bool crop_rectangle(
    const struct transform *transform, uint32_t width, uint32_t height, struct rectangle *out)
{
	double x = transform->crop_x, y = transform->crop_y, w = transform->crop_w,
	       h = transform->crop_h;
	*out = (struct rectangle){0, 0, width, height};
	if (!transform->has_crop)
		return true;
	if (x <= 1 && y <= 1 && w <= 1 && h <= 1) {
		x *= width;
		w *= width;
		y *= height;
		h *= height;
	}
	return cut_side(x, w, width, &out->x, &out->w) && cut_side(y, h, height, &out->y, &out->h);
}

/* ---- Sizes ---- */

struct sizes {
	uint32_t scaled_w, scaled_h; /* the image resampled */
	uint32_t w, h;               /* the result, after cutting or padding */
};

static uint32_t scaled(uint32_t side, double factor)
{
	double value = round(side * factor);
	return value < 1 ? 1 : value > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)value;
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Of an image of w x h, for a box whose sides may be 0 (free). */
static struct sizes sizes_for(
    const struct transform *transform, uint32_t w, uint32_t h, uint32_t box_w, uint32_t box_h)
{
	enum transform_fit fit = transform->fit;
	bool free_side = box_w == 0 || box_h == 0;
	double x = box_w == 0 ? 0 : (double)box_w / w, y = box_h == 0 ? 0 : (double)box_h / h;
	if (free_side)
		fit = FIT_INSIDE;
	if (fit == FIT_FILL) {
		struct sizes sizes = {.w = box_w, .h = box_h};
		if (!transform->enlarge) {
			sizes.w = at_most(box_w, w);
			sizes.h = at_most(box_h, h);
		}
		sizes.scaled_w = sizes.w;
		sizes.scaled_h = sizes.h;
		return sizes;
	}
	double factor = fit == FIT_COVER || free_side ? fmax(x, y) : fmin(x, y);
	if (factor == 0 || (!transform->enlarge && factor > 1))
		factor = 1;
	struct sizes sizes = {.scaled_w = scaled(w, factor), .scaled_h = scaled(h, factor)};
	sizes.w = sizes.scaled_w;
	sizes.h = sizes.scaled_h;
	if (fit == FIT_COVER) {
		sizes.w = at_most(sizes.scaled_w, box_w);
		sizes.h = at_most(sizes.scaled_h, box_h);
	} else if (fit == FIT_PAD) {
		sizes.w = box_w;
		sizes.h = box_h;
	}
	return sizes;
}

static uint32_t box_side(uint32_t side, double dpr)
{
	if (side == 0)
		return 0;
	return scaled(side, dpr == 0 ? 1 : dpr);
}

/* ---- Formats ---- */

static enum image_format kept_format(const struct image_meta *meta)
{
	switch (meta->format) {
	case IMAGE_JPEG:
	case IMAGE_PNG:
	case IMAGE_WEBP:
	case IMAGE_AVIF:
		return meta->format;
	case IMAGE_GIF:
	case IMAGE_BMP:
		return IMAGE_PNG;
	default:
		return meta->alpha ? IMAGE_PNG : IMAGE_JPEG;
	}
}

static enum image_format chosen_format(
    const struct transform *transform, const struct image_meta *meta)
{
	if (transform->format != IMAGE_UNKNOWN)
		return transform->format;
	if (!transform->auto_format)
		return kept_format(meta);
	if (transform->accept & 1U << IMAGE_AVIF)
		return IMAGE_AVIF;
	if (transform->accept & 1U << IMAGE_WEBP)
		return IMAGE_WEBP;
	return meta->alpha ? IMAGE_PNG : IMAGE_JPEG;
}

static uint32_t chosen_quality(uint8_t quality, enum image_format format)
{
	if (format == IMAGE_PNG)
		return 0;
	if (quality != 0)
		return quality;
	return format == IMAGE_AVIF ? 50 : 80;
}

/* The longest side that a format can write. */
static uint32_t format_side_max(enum image_format format)
{
	if (format == IMAGE_WEBP)
		return 16383;
	return format == IMAGE_AVIF ? 16384 : 65500;
}

/* ---- All together ---- */

static enum err check_source(
    const struct transform *transform, const struct image_meta *meta, char *why, size_t why_bytes)
{
	const char *text = NULL;
	enum err err = ERR_UNSUPPORTED;
	if (meta->format == IMAGE_SVG) {
		text = "SVG is stored, never rendered";
	} else if (meta->format == IMAGE_JXL) {
		text = "JXL is stored, not decoded in this version";
	} else if (meta->format == IMAGE_UNKNOWN || meta->width == 0 || meta->height == 0) {
		text = "the image has no pixels that are known";
		err = ERR_INVALID;
	} else if (transform->dpr != 0 && transform->width == 0 && transform->height == 0) {
		text = "DPR needs WIDTH or HEIGHT";
		err = ERR_INVALID;
	}
	if (text == NULL)
		return OK;
	snprintf(why, why_bytes, "%s", text);
	return err;
}

static enum err check_result(
    const struct transform_plan *plan, uint64_t side_max, char *why, size_t why_bytes)
{
	uint32_t side = plan->width > plan->height ? plan->width : plan->height;
	uint32_t scaled_side =
	    plan->scaled_width > plan->scaled_height ? plan->scaled_width : plan->scaled_height;
	enum image_format format = (enum image_format)plan->target_format;
	if (side > side_max || scaled_side > side_max * 4) {
		snprintf(why, why_bytes, "result-max-side %llu", (unsigned long long)side_max);
		return ERR_TOOLARGE;
	}
	if (side > format_side_max(format)) {
		snprintf(why, why_bytes, "%s has at most %u pixels a side",
		    image_format_name(format), format_side_max(format));
		return ERR_TOOLARGE;
	}
	return OK;
}

enum err transform_resolve(const struct transform *transform, const struct image_meta *meta,
    uint64_t side_max, struct transform_plan *out, char *why, size_t why_bytes)
{
	struct rectangle seen;
	uint32_t width, height;
	ASSERT(why_bytes > 0);
	enum err err = check_source(transform, meta, why, why_bytes);
	if (err != OK)
		return err;
	unsigned orientation =
	    meta->orientation >= 1 && meta->orientation <= 8 ? meta->orientation : 1;
	image_displayed_size(meta, &width, &height);
	if (!crop_rectangle(transform, width, height, &seen)) {
		snprintf(why, why_bytes, "CROP lies outside the image");
		return ERR_INVALID;
	}
	struct turn turn = turn_further(turn_of(orientation), transform->rotate, transform->flip);
	bool rotated = transform->rotate % 180 != 0;
	struct sizes sizes = sizes_for(transform, rotated ? seen.h : seen.w,
	    rotated ? seen.w : seen.h, box_side(transform->width, transform->dpr),
	    box_side(transform->height, transform->dpr));
	struct rectangle crop = stored_rectangle(seen, orientation, meta->width, meta->height);
	bool lying = turn.quarters % 2 != 0;
	enum image_format format = chosen_format(transform, meta);
	*out = (struct transform_plan){
	    .version = TRANSFORM_VERSION,
	    .source_format = meta->format,
	    .source_width = meta->width,
	    .source_height = meta->height,
	    .crop_x = crop.x,
	    .crop_y = crop.y,
	    .crop_w = crop.w,
	    .crop_h = crop.h,
	    .scaled_width = lying ? sizes.scaled_h : sizes.scaled_w,
	    .scaled_height = lying ? sizes.scaled_w : sizes.scaled_h,
	    .turn = turn_number(turn),
	    .width = sizes.w,
	    .height = sizes.h,
	    .target_format = format,
	    .quality = chosen_quality(transform->quality, format),
	    .strip = transform->strip,
	};
	if (sizes.w != sizes.scaled_w || sizes.h != sizes.scaled_h)
		out->gravity = transform->gravity;
	return check_result(out, side_max, why, why_bytes);
}

struct digest transform_key(const struct transform_plan *plan, const struct digest *etag)
{
	struct {
		struct digest etag;
		struct transform_plan plan;
	} both = {*etag, *plan};
	_Static_assert(sizeof(both) == sizeof(*etag) + sizeof(*plan), "no padding in a key");
	return digest_of(span_of(&both, sizeof(both)));
}

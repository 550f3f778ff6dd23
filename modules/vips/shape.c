/* modules/vips/shape.c: colour, size, turning, cutting and padding.
 *
 * As vips_thumbnail does it: first to the colours in which one can calculate, with alpha
 * multiplied in; then the size; the ICC profile last, on the few pixels that are left.
 */
#include "modules/vips/work.h"

static bool target_has_alpha(const struct transform_plan *plan)
{
	return plan->target_format != IMAGE_JPEG;
}

/* Every pixel white where the image is transparent. */
static bool flatten(VipsImage **image)
{
	VipsImage *next;
	VipsArrayDouble *white = vips_array_double_newv(1, 255.0);
	int rc = vips_flatten(*image, &next, "background", white, NULL);
	vips_area_unref(VIPS_AREA(white));
	if (rc != 0)
		return false;
	replace_image(image, next);
	return true;
}

static bool is_plain_grey(const VipsImage *image)
{
	return image->Type == VIPS_INTERPRETATION_B_W && image->BandFmt == VIPS_FORMAT_UCHAR &&
	    image->Bands <= 2;
}

/* To sRGB, or grey as it is, 8 bits. CMYK needs its profile at once. */
static bool to_working_colour(VipsImage **image)
{
	VipsImage *next;
	int rc;
	if (is_plain_grey(*image) || (*image)->Type == VIPS_INTERPRETATION_sRGB) {
		if ((*image)->BandFmt == VIPS_FORMAT_UCHAR)
			return true;
	}
	if ((*image)->Type == VIPS_INTERPRETATION_CMYK) {
		rc = vips_icc_transform(*image, &next, "srgb", "embedded", TRUE, "input_profile",
		    "cmyk", "intent", VIPS_INTENT_RELATIVE, NULL);
		if (rc == 0)
			vips_image_remove(next, VIPS_META_ICC_NAME);
	} else {
		rc = vips_colourspace(*image, &next, VIPS_INTERPRETATION_sRGB, NULL);
	}
	if (rc != 0)
		return false;
	replace_image(image, next);
	if ((*image)->BandFmt == VIPS_FORMAT_UCHAR)
		return true;
	if (vips_cast_uchar(*image, &next, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

/* libvips rounds by itself: a pixel too much is cut off, one too few is repeated. */
static bool exact_size(VipsImage **image, int width, int height)
{
	VipsImage *next;
	if ((*image)->Xsize == width && (*image)->Ysize == height)
		return true;
	if (vips_embed(*image, &next, 0, 0, width, height, "extend", VIPS_EXTEND_COPY, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

static bool resample(const struct transform_plan *plan, VipsImage **image)
{
	VipsImage *next;
	int width = (int)plan->scaled_width, height = (int)plan->scaled_height;
	if ((*image)->Xsize == width && (*image)->Ysize == height)
		return true;
	bool alpha = vips_image_hasalpha(*image);
	if (alpha) {
		if (vips_premultiply(*image, &next, NULL) != 0)
			return false;
		replace_image(image, next);
	}
	double x = (double)width / (*image)->Xsize, y = (double)height / (*image)->Ysize;
	if (vips_resize(*image, &next, x, "vscale", y, NULL) != 0)
		return false;
	replace_image(image, next);
	if (alpha) {
		if (vips_unpremultiply(*image, &next, NULL) != 0)
			return false;
		replace_image(image, next);
		if (vips_cast_uchar(*image, &next, NULL) != 0)
			return false;
		replace_image(image, next);
	}
	return exact_size(image, width, height);
}

/* Out of the profile's colours into sRGB. A profile that makes no sense is dropped. */
static void apply_profile(VipsImage **image)
{
	VipsImage *next;
	if (vips_image_get_typeof(*image, VIPS_META_ICC_NAME) == 0)
		return;
	if (vips_icc_transform(*image, &next, "srgb", "embedded", TRUE, "intent",
	        VIPS_INTENT_RELATIVE, "depth", 8, NULL) == 0)
		replace_image(image, next);
	else
		vips_error_clear();
}

bool scale_image(const struct transform_plan *plan, VipsImage **image)
{
	if (!to_working_colour(image))
		return false;
	if (vips_image_hasalpha(*image) && !target_has_alpha(plan) && !flatten(image))
		return false;
	if (!resample(plan, image))
		return false;
	apply_profile(image);
	return true;
}

/* ---- Turning and framing ---- */

static bool flip(VipsImage **image, VipsDirection direction)
{
	VipsImage *next;
	if (vips_flip(*image, &next, direction, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

static bool rotate(VipsImage **image, VipsAngle angle)
{
	VipsImage *next;
	if (vips_rot(*image, &next, angle, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

/* EXIF's eight orientations: a mirror, then quarter turns clockwise. */
static bool turn(VipsImage **image, uint32_t orientation)
{
	static const uint8_t mirrored[9] = {0, 0, 1, 0, 1, 1, 0, 1, 0};
	static const uint8_t angle[9] = {0, VIPS_ANGLE_D0, VIPS_ANGLE_D0, VIPS_ANGLE_D180,
	    VIPS_ANGLE_D180, VIPS_ANGLE_D270, VIPS_ANGLE_D90, VIPS_ANGLE_D90, VIPS_ANGLE_D270};
	if (orientation <= 1)
		return true;
	return (!mirrored[orientation] || flip(image, VIPS_DIRECTION_HORIZONTAL)) &&
	    (angle[orientation] == VIPS_ANGLE_D0 || rotate(image, angle[orientation]));
}

/* Where a window of `inner` lies in `outer`: at the start, in the middle, at the end. */
static int place(int outer, int inner, bool start, bool end)
{
	return start ? 0 : end ? outer - inner : (outer - inner) / 2;
}

static bool is_north(uint32_t g)
{
	return g == GRAVITY_N || g == GRAVITY_NE || g == GRAVITY_NW;
}
static bool is_south(uint32_t g)
{
	return g == GRAVITY_S || g == GRAVITY_SE || g == GRAVITY_SW;
}
static bool is_west(uint32_t g)
{
	return g == GRAVITY_W || g == GRAVITY_NW || g == GRAVITY_SW;
}
static bool is_east(uint32_t g)
{
	return g == GRAVITY_E || g == GRAVITY_NE || g == GRAVITY_SE;
}

static bool cut(const struct transform_plan *plan, VipsImage **image)
{
	VipsImage *next;
	int width = (int)plan->width, height = (int)plan->height;
	if ((*image)->Xsize <= width && (*image)->Ysize <= height)
		return true;
	width = width < (*image)->Xsize ? width : (*image)->Xsize;
	height = height < (*image)->Ysize ? height : (*image)->Ysize;
	uint32_t g = plan->gravity;
	int x = place((*image)->Xsize, width, is_west(g), is_east(g));
	int y = place((*image)->Ysize, height, is_north(g), is_south(g));
	int rc = g == GRAVITY_SMART ? vips_smartcrop(*image, &next, width, height, "interesting",
	                                  VIPS_INTERESTING_ATTENTION, NULL)
	                            : vips_extract_area(*image, &next, x, y, width, height, NULL);
	if (rc != 0)
		return false;
	replace_image(image, next);
	return true;
}

static bool pad(const struct transform_plan *plan, VipsImage **image)
{
	VipsImage *next;
	int width = (int)plan->width, height = (int)plan->height;
	if ((*image)->Xsize == width && (*image)->Ysize == height)
		return true;
	uint32_t g = plan->gravity;
	int x = place(width, (*image)->Xsize, is_west(g), is_east(g));
	int y = place(height, (*image)->Ysize, is_north(g), is_south(g));
	if (vips_embed(*image, &next, x, y, width, height, "extend", VIPS_EXTEND_WHITE, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

bool frame_image(const struct transform_plan *plan, VipsImage **image)
{
	/* The decoder gives rows in order; turning and searching want them in any. */
	if (plan->turn != 1 || plan->gravity == GRAVITY_SMART) {
		VipsImage *copy = vips_image_copy_memory(*image);
		if (copy == NULL)
			return false;
		replace_image(image, copy);
	}
	return turn(image, plan->turn) && cut(plan, image) && pad(plan, image);
}

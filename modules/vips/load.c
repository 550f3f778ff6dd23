/* modules/vips/load.c: decoding, with one explicit loader each. Never by guessing: libvips'
 * own search would also ask loaders that nobody has fuzzed. */
#include "modules/vips/work.h"

#include "image/probe.h"

/* How much smaller the crop may be decoded, as a factor of at least 1. */
static double shrink_of(const struct transform_plan *plan)
{
	double x = (double)plan->crop_w / plan->scaled_width;
	double y = (double)plan->crop_h / plan->scaled_height;
	double shrink = x < y ? x : y;
	return shrink < 1 ? 1 : shrink;
}

/* JPEG decodes to 1/2, 1/4, 1/8 by whole blocks, which sharpens: a factor of two at least is
 * left to the better filter that follows. */
static int jpeg_shrink(double shrink)
{
	if (shrink >= 16)
		return 8;
	if (shrink >= 8)
		return 4;
	return shrink >= 4 ? 2 : 1;
}

static bool load_format(
    const struct transform_plan *plan, struct span source, double *shrink, VipsImage **out)
{
	/* libvips takes the pointer without const and does not write to it. */
	void *bytes = (void *)(uintptr_t)source.ptr;
	const int access = VIPS_ACCESS_SEQUENTIAL, fail_on = VIPS_FAIL_ON_ERROR;
	int rc = -1;
	switch ((enum image_format)plan->source_format) {
	case IMAGE_JPEG:
		*shrink = jpeg_shrink(*shrink);
		rc = vips_jpegload_buffer(bytes, source.len, out, "shrink", (int)*shrink, "access",
		    access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_WEBP:
		rc = vips_webpload_buffer(bytes, source.len, out, "scale", 1 / *shrink, "access",
		    access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_PNG:
		*shrink = 1;
		rc = vips_pngload_buffer(
		    bytes, source.len, out, "access", access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_GIF:
		*shrink = 1;
		rc = vips_gifload_buffer(
		    bytes, source.len, out, "access", access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_TIFF:
		*shrink = 1;
		rc = vips_tiffload_buffer(
		    bytes, source.len, out, "access", access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_AVIF:
	case IMAGE_HEIF:
		*shrink = 1;
		rc = vips_heifload_buffer(
		    bytes, source.len, out, "access", access, "fail_on", fail_on, NULL);
		break;
	case IMAGE_BMP:
		*shrink = 1;
		return load_bitmap(source, out);
	default:
		vips_error("load", "%s", "no loader for this format");
		break;
	}
	return rc == 0;
}

static int side_from(uint32_t side, double shrink)
{
	return (int)(side / shrink);
}

static int side_to(uint32_t side, double shrink, int most)
{
	double value = side / shrink;
	int whole = (int)value;
	whole += whole < value;
	return whole < most ? whole : most;
}

static bool crop_image(const struct transform_plan *plan, double shrink, VipsImage **image)
{
	VipsImage *next;
	int width = vips_image_get_width(*image), height = vips_image_get_height(*image);
	int x = side_from(plan->crop_x, shrink), y = side_from(plan->crop_y, shrink);
	int right = side_to(plan->crop_x + plan->crop_w, shrink, width);
	int below = side_to(plan->crop_y + plan->crop_h, shrink, height);
	if (plan->crop_w == plan->source_width && plan->crop_h == plan->source_height)
		return true;
	x = x < right ? x : right - 1;
	y = y < below ? y : below - 1;
	if (vips_extract_area(*image, &next, x, y, right - x, below - y, NULL) != 0)
		return false;
	replace_image(image, next);
	return true;
}

bool load_image(const struct transform_plan *plan, struct span source, VipsImage **out)
{
	double shrink = shrink_of(plan);
	*out = NULL;
	if (image_sniff(source) != (enum image_format)plan->source_format) {
		vips_error("load", "%s", "the source is not in the format that was said");
		return false;
	}
	if (!load_format(plan, source, &shrink, out))
		return false;
	/* The plan rests on the header that the server read: both must see the same image. */
	double width = plan->source_width / shrink - vips_image_get_width(*out);
	double height = plan->source_height / shrink - vips_image_get_height(*out);
	if (width < -1 || width > 1 || height < -1 || height > 1) {
		vips_error("load", "%s", "the image is not as large as its header says");
		return false;
	}
	return crop_image(plan, shrink, out);
}

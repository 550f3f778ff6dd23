/* modules/vips/analyse.c: from the small picture to what it says of the image. */
#include "modules/vips/work.h"

enum { SIDE = ANALYSIS_SIDE };

/* One to four bands of 8 bits become red, green, blue, alpha. */
static bool spread(const uint8_t *from, int bands, uint8_t *to)
{
	bool grey = bands <= 2, alpha = bands % 2 == 0;
	if (bands < 1 || bands > 4)
		return false;
	for (size_t i = 0; i < (size_t)SIDE * SIDE; i++, from += bands, to += 4) {
		to[0] = from[0];
		to[1] = grey ? from[0] : from[1];
		to[2] = grey ? from[0] : from[2];
		to[3] = alpha ? from[bands - 1] : 255;
	}
	return true;
}

bool analyse_image(const struct transform_plan *plan, VipsImage **image, struct image_analysis *out)
{
	uint8_t pixels[SIDE * SIDE * 4];
	bool turned = plan->turn >= 5;
	size_t bytes;
	if ((*image)->Xsize != SIDE || (*image)->Ysize != SIDE ||
	    (*image)->BandFmt != VIPS_FORMAT_UCHAR) {
		vips_error("analyse", "%s", "the picture came out in another form");
		return false;
	}
	uint8_t *all = vips_image_write_to_memory(*image, &bytes);
	if (all == NULL)
		return false;
	bool done = bytes == (size_t)SIDE * SIDE * (size_t)(*image)->Bands &&
	    spread(all, (*image)->Bands, pixels);
	g_free(all);
	if (!done) {
		vips_error("analyse", "%s", "more bands than colours");
		return false;
	}
	analysis_make(pixels, turned ? plan->source_height : plan->source_width,
	    turned ? plan->source_width : plan->source_height, out);
	return true;
}

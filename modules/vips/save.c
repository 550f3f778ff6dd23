/* modules/vips/save.c: metadata and encoding. */
#include "modules/vips/work.h"

/* Measured on photographs (thumbnails of 320 px): WebP beyond effort 2 costs more than it
 * saves, and AVIF at 0 is as small as at 2 for half the time. */
enum { WEBP_EFFORT = 2, AVIF_EFFORT = 0, PNG_EFFORT = 6 };

#define COPYRIGHT "exif-ifd0-Copyright"
#define ARTIST "exif-ifd0-Artist"

static bool is_metadata(const char *name)
{
	return g_str_has_prefix(name, "exif-") || g_str_has_prefix(name, "iptc-") ||
	    g_str_has_prefix(name, "xmp-") || g_str_has_prefix(name, "icc-profile") ||
	    g_str_has_prefix(name, "photoshop-") || g_str_has_prefix(name, "png-comment") ||
	    g_str_has_prefix(name, "gif-comment") || g_str_has_prefix(name, "jpeg-thumbnail");
}

/* Keeps the fields Copyright and Artist alone. False: there are none. */
static bool keep_copyright(VipsImage *image)
{
	bool found = vips_image_get_typeof(image, COPYRIGHT) != 0 ||
	    vips_image_get_typeof(image, ARTIST) != 0;
	char **names = vips_image_get_fields(image);
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		if (is_metadata(names[i]) && strcmp(names[i], COPYRIGHT) != 0 &&
		    strcmp(names[i], ARTIST) != 0)
			vips_image_remove(image, names[i]);
	g_strfreev(names);
	return found;
}

/* Own metadata to change, without another pixel. Returns whether all of it is to go. */
static bool strip(const struct transform_plan *plan, VipsImage **image, bool *all)
{
	VipsImage *copy;
	*all = plan->strip == STRIP_ALL;
	if (*all)
		return true;
	if (vips_copy(*image, &copy, NULL) != 0)
		return false;
	replace_image(image, copy);
	/* The pixels are turned and in sRGB already. */
	vips_image_remove(copy, VIPS_META_ORIENTATION);
	vips_image_remove(copy, "exif-ifd0-Orientation");
	vips_image_remove(copy, VIPS_META_ICC_NAME);
	vips_image_remove(copy, "jpeg-thumbnail-data");
	if (plan->strip == STRIP_COPYRIGHT)
		*all = !keep_copyright(copy);
	return true;
}

bool save_image(const struct transform_plan *plan, VipsImage **image, void **bytes, size_t *len)
{
	bool all;
	const int quality = (int)plan->quality;
	*bytes = NULL;
	if (!strip(plan, image, &all))
		return false;
	switch ((enum image_format)plan->target_format) {
	case IMAGE_JPEG:
		return vips_jpegsave_buffer(*image, bytes, len, "Q", quality, "optimize_coding",
		           TRUE, "strip", (gboolean)all, NULL) == 0;
	case IMAGE_WEBP:
		return vips_webpsave_buffer(*image, bytes, len, "Q", quality, "effort", WEBP_EFFORT,
		           "strip", (gboolean)all, NULL) == 0;
	case IMAGE_AVIF:
		return vips_heifsave_buffer(*image, bytes, len, "Q", quality, "compression",
		           VIPS_FOREIGN_HEIF_COMPRESSION_AV1, "effort", AVIF_EFFORT, "strip",
		           (gboolean)all, NULL) == 0;
	case IMAGE_PNG:
		return vips_pngsave_buffer(*image, bytes, len, "compression", PNG_EFFORT, "strip",
		           (gboolean)all, NULL) == 0;
	default:
		vips_error("save", "%s", "no saver for this format");
		return false;
	}
}

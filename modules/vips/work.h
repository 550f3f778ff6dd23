/* modules/vips/work.h: the steps of one transform. Private to this program.
 *
 * Each step takes over the reference in *image and leaves its own there; at false the
 * reason lies in libvips' error buffer and *image is still to be released by the caller.
 */
#pragma once
#include "image/transform.h"

#include <vips/vips.h>

/* Decodes with the one loader for plan->source_format, as small as helps, and cuts it to
 * plan's crop. Lazy: pixels flow when they are written. */
bool load_image(const struct transform_plan *plan, struct span source, VipsImage **out);
/* A bitmap as a whole image in memory (libvips has no loader of its own for it). */
bool load_bitmap(struct span source, VipsImage **out);

/* To plan->scaled size, in sRGB or grey, 8 bits, opaque if the target cannot be otherwise. */
bool scale_image(const struct transform_plan *plan, VipsImage **image);
/* Turns, then cuts or pads to plan->width x plan->height. */
bool frame_image(const struct transform_plan *plan, VipsImage **image);

/* Removes the metadata that STRIP names and encodes: *bytes is g_free's. */
bool save_image(const struct transform_plan *plan, VipsImage **image, void **bytes, size_t *len);

/* What the pixels say of the image, which is scaled and framed. */
bool analyse_image(const struct transform_plan *plan, VipsImage **image, struct image_analysis *out);

/* *image = next, releasing what was there. */
static inline void replace_image(VipsImage **image, VipsImage *next)
{
	g_object_unref(*image);
	*image = next;
}

/* image/transform.h: what a client may ask of IMG.GET, in one canonical form.
 *
 * Requests that must give the same bytes have the same canonical form: the key of the
 * derivative. Orientation is applied before any coordinate.
 */
#pragma once
#include "image/meta.h"

enum transform_fit { FIT_INSIDE, FIT_COVER, FIT_FILL, FIT_PAD };
enum transform_gravity {
	GRAVITY_CENTRE, GRAVITY_N, GRAVITY_NE, GRAVITY_E, GRAVITY_SE, GRAVITY_S, GRAVITY_SW,
	GRAVITY_W, GRAVITY_NW, GRAVITY_SMART,
};
enum transform_strip { STRIP_COPYRIGHT, STRIP_ALL, STRIP_NONE };       /* default: all but copyright */
enum { FLIP_HORIZONTAL = 1, FLIP_VERTICAL = 2 };

struct transform {
	uint32_t width, height;           /* pixels before DPR; 0: free */
	double   dpr;                     /* 0: 1 */
	enum transform_fit fit;
	enum transform_gravity gravity;
	bool     has_crop;
	double   crop_x, crop_y, crop_w, crop_h;   /* pixels of the oriented image; or fractions when all <= 1 */
	enum image_format format;         /* IMAGE_UNKNOWN: keep the source's, as far as it can be written */
	bool     auto_format;
	uint32_t accept;                  /* bit (1 << image_format) for each type the client takes */
	uint8_t  quality;                 /* 1..100; 0: by format */
	enum transform_strip strip;
	uint16_t rotate;                  /* 0, 90, 180, 270 clockwise, after orientation */
	uint8_t  flip;
	bool     enlarge;
	bool     any;                     /* an option that needs the worker was given */
};

/* Parses one IMG.GET option at argv[*at] and moves *at behind it. ERR_NOTFOUND: not a
 * transform option (nothing moved). ERR_INVALID: `why` says what is wrong.
 * ERR_UNSUPPORTED: an option of the language that is not built yet; `why` names it. */
MUST_CHECK enum err transform_parse(struct transform *transform, const struct span *argv,
    uint32_t argc, uint32_t *at, char *why, size_t why_bytes);

/* Bits for transform.accept from an Accept header ("image/avif,image/webp;q=0.8,*" "/" "*"). */
uint32_t transform_accept(struct span header);

/* What the worker is to make of this source: every choice made (format, size, crop in
 * pixels). It is 64-bit clean and has no padding, so that its bytes are the key.
 * ERR_INVALID, ERR_TOOLARGE (over side_max), ERR_UNSUPPORTED (SVG, animated AVIF, ...). */
struct transform_plan {
	uint32_t source_format, target_format;
	uint32_t width, height;           /* box in pixels; 0: free */
	uint32_t fit, gravity, strip, rotate, flip, enlarge, quality, orientation;
	uint32_t crop_x, crop_y, crop_w, crop_h;   /* crop_w 0: none */
	uint32_t version;                 /* of the worker's code: old derivatives die with it */
	uint32_t spare;
};
MUST_CHECK enum err transform_resolve(const struct transform *transform, const struct image_meta *meta,
    uint64_t side_max, struct transform_plan *out, char *why, size_t why_bytes);

/* The key of the derivative of the image with this content. */
struct digest transform_key(const struct transform_plan *plan, const struct digest *etag);

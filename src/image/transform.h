/* image/transform.h: what a client may ask of IMG.GET, in one canonical form.
 *
 * Order of work, whatever the order of the options: EXIF orientation, CROP, ROTATE, FLIP,
 * then the size (WIDTH, HEIGHT, FIT, DPR, GRAVITY), then the format. So CROP speaks of the
 * image as a viewer sees it, and the box of what the rotation left.
 *
 * Sizes, as users of imgproxy and sharp expect them
 *   inside  the whole image, as large as the box allows (the default)
 *   cover   fills the box; what stands over is cut off on the sides away from GRAVITY
 *   fill    exactly the box, stretched
 *   pad     as inside, then white up to exactly the box, the image placed by GRAVITY
 *   One side alone, or none, lets the other follow the proportions: all four are the same.
 *   DPR multiplies the box. Without ENLARGE no pixel is ever invented: a box side beyond
 *   what the image has counts as that much (the pad's white is no enlargement).
 *
 * Formats
 *   original (and no FORMAT): the source's if it is jpeg, png, webp or avif; GIF and BMP
 *   become png; TIFF and HEIF become jpeg, or png if they can be transparent.
 *   auto: the best of what ACCEPT names: avif, webp, else png for what can be transparent
 *   and jpeg for the rest. ACCEPT without FORMAT means FORMAT auto.
 *   QUALITY is 80 for jpeg and webp, 50 for avif unless said; png is lossless and has none.
 *   Of an animation the first frame is used.
 *
 * Two requests that give the same bytes have the same plan, and its bytes are the key.
 */
#pragma once
#include "image/meta.h"

enum transform_fit { FIT_INSIDE, FIT_COVER, FIT_FILL, FIT_PAD };
enum transform_gravity {
	GRAVITY_CENTRE, GRAVITY_N, GRAVITY_NE, GRAVITY_E, GRAVITY_SE, GRAVITY_S, GRAVITY_SW,
	GRAVITY_W, GRAVITY_NW, GRAVITY_SMART,
};
/* STRIP_COPYRIGHT, the default: all metadata goes but the EXIF fields Copyright and Artist. */
enum transform_strip { STRIP_COPYRIGHT, STRIP_ALL, STRIP_NONE };
enum { FLIP_HORIZONTAL = 1, FLIP_VERTICAL = 2 };

/* All zero: nothing asked yet. */
struct transform {
	uint32_t seen;                    /* options that were given, to refuse duplicates */
	uint32_t width, height;           /* pixels before DPR; 0: free */
	double   dpr;                     /* 0: 1 */
	enum transform_fit fit;
	enum transform_gravity gravity;
	bool     has_crop;
	/* Pixels of the oriented image; or fractions of it when all four are <= 1. */
	double   crop_x, crop_y, crop_w, crop_h;
	enum image_format format;         /* IMAGE_UNKNOWN: the source's, if it can be written */
	bool     auto_format;
	uint32_t accept;                  /* bit (1 << image_format) for each type taken */
	uint8_t  quality;                 /* 1..100; 0: by format */
	enum transform_strip strip;
	uint16_t rotate;                  /* 0, 90, 180, 270 clockwise, after orientation */
	uint8_t  flip;
	bool     enlarge;
	bool     any;                     /* an option that needs the worker was given */
};

/* Parses one IMG.GET option at argv[*at] and moves *at behind it. ERR_NOTFOUND: not a
 * transform option (nothing moved). ERR_INVALID: `why` says what is wrong ("syntax error"
 * for a missing value and for an option given twice).
 * ERR_UNSUPPORTED: an option of the language that is not built yet; `why` names it. */
MUST_CHECK enum err transform_parse(struct transform *transform, const struct span *argv,
    uint32_t argc, uint32_t *at, char *why, size_t why_bytes);

/* Bits for transform.accept from an Accept header ("image/avif,image/webp;q=0.8,image/png").
 * A type with q=0 is not taken. Wildcards stand for what every client shows: jpeg, png, gif. */
uint32_t transform_accept(struct span header);

/* What the worker is to make of this source: every choice made, every size in pixels.
 * No padding, so that its bytes are the key of the derivative and the worker's order:
 * decode; take the crop; resample it to scaled_*; turn; cut or pad to width x height around
 * gravity; encode. */
enum { TRANSFORM_VERSION = 2 };
enum transform_task {
	TASK_TRANSFORM,
	TASK_ANALYSE,                     /* the result is a struct image_analysis instead */
};
struct transform_plan {
	uint32_t version;                 /* of the worker's code: old derivatives die with it */
	uint32_t source_format;
	uint32_t source_width, source_height;        /* as stored, before any orientation */
	uint32_t crop_x, crop_y, crop_w, crop_h;     /* of the source as stored; always set */
	uint32_t scaled_width, scaled_height;        /* of the crop, before it is turned */
	uint32_t turn;                    /* EXIF orientation 1..8 that the result needs */
	uint32_t width, height;           /* of the result */
	uint32_t gravity;                 /* where cut or pad differ from the scaled size; else 0 */
	uint32_t target_format, quality, strip;
	uint32_t task;                    /* enum transform_task */
};
_Static_assert(sizeof(struct transform_plan) == 18 * sizeof(uint32_t), "no padding in a key");

/* ERR_INVALID (a crop outside the image, ...), ERR_TOOLARGE (a side over side_max),
 * ERR_UNSUPPORTED (SVG, JXL). The meta is as image_probe filled it. */
MUST_CHECK enum err transform_resolve(const struct transform *transform,
    const struct image_meta *meta, uint64_t side_max, struct transform_plan *out, char *why,
    size_t why_bytes);

/* The order to analyse this image. ERR_UNSUPPORTED: no worker decodes its format. */
MUST_CHECK enum err transform_analyse(const struct image_meta *meta, struct transform_plan *out);

/* The key of the derivative of the image with this content. */
struct digest transform_key(const struct transform_plan *plan, const struct digest *etag);

/* image/meta.h: what is known of one image, apart from its bytes: as a struct, and encoded
 * as the metadata of its record.
 *
 * Encoding: a version byte, then fields {tag u8, length varint, bytes}, in any order;
 * unknown tags are skipped, so that an older server reads what a newer one wrote. Text is
 * as the client gave it.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "image/analysis.h"

enum image_format {
	IMAGE_UNKNOWN, IMAGE_JPEG, IMAGE_PNG, IMAGE_GIF, IMAGE_WEBP, IMAGE_AVIF, IMAGE_HEIF,
	IMAGE_TIFF, IMAGE_BMP, IMAGE_JXL, IMAGE_SVG, IMAGE_FORMAT_COUNT
};

/* "jpeg", "png", ...; and back (IMAGE_UNKNOWN if it is none). */
const char *image_format_name(enum image_format format);
enum image_format image_format_parse(struct span name);
const char *image_mime_type(enum image_format format);

enum {
	IMAGE_HAS_TAKEN = 1, IMAGE_HAS_LOCATION = 2, IMAGE_HAS_FOCAL = 4, IMAGE_HAS_APERTURE = 8,
	IMAGE_HAS_EXPOSURE = 16, IMAGE_HAS_ISO = 32,
};

struct image_attr {
	struct span name, value;
};

struct image_meta {
	/* from the bytes */
	enum image_format format;
	uint32_t width, height;           /* as stored; 0 if the format does not say (SVG) */
	uint32_t frames;
	uint8_t  orientation;             /* EXIF 1..8; 5..8 swap width and height on display */
	bool     progressive;             /* JPEG */
	bool     alpha;                   /* pixels may be transparent */
	uint64_t bytes;
	struct digest etag;
	uint32_t has;                     /* IMAGE_HAS_* */
	int64_t  taken_ms;
	double   lon, lat;                /* degrees */
	double   focal_mm, aperture, exposure_s, iso;
	struct span camera, lens;
	/* from the pixels, some time after the bytes came */
	struct image_analysis analysis;
	/* from the client */
	struct span title, caption;
	uint32_t tag_count, attr_count;
	struct span       tags[TAGS_MAX];
	struct image_attr attrs[ATTRS_MAX];
	int64_t  created_ms;
};

/* Width and height as a viewer sees them, after orientation. */
void image_displayed_size(const struct image_meta *meta, uint32_t *width, uint32_t *height);

/* Appends the encoding. ERR_TOOLARGE: over META_BYTES_MAX. */
MUST_CHECK enum err image_meta_encode(const struct image_meta *meta, struct buf *out);
/* Marks an encoding as one that only knows more of the pixels than the one in the record `lsn`,
 * which is not 0. Not kept by decode and encode. */
void image_meta_mark_quiet(struct buf *encoded, uint64_t lsn);
/* That LSN; 0: it is not marked, or cannot be read. */
uint64_t image_meta_quiet_lsn(struct span encoded);
/* Adds an analysis to an encoding that has none. */
void image_meta_add_analysis(const struct image_analysis *analysis, struct buf *encoded);
/* Spans point into `bytes`. ERR_CORRUPT on anything that encode cannot have written. */
MUST_CHECK enum err image_meta_decode(struct span bytes, struct image_meta *out);

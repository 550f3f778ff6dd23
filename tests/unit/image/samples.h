/* tests/unit/image/samples.h: small files of every format, made by hand: headers that are good,
 * with no more pixels behind them than a probe asks for. Each appends to `out`. */
#pragma once
#include "base/buf.h"

/* What a camera writes; zero or NULL: not there. */
struct exif_sample {
	bool        big_endian;
	uint16_t    orientation;
	const char *make, *model, *lens, *taken, *zone, *copyright;
	uint32_t    exposure[2], aperture[2], focal[2];
	uint16_t    iso;
	uint32_t    lat[6], lon[6];       /* degrees, minutes, seconds: above and below */
	const char *lat_ref, *lon_ref;
};
/* A TIFF structure; with width > 0 a TIFF file of 8-bit grey pixels. */
void sample_exif(struct buf *out, const struct exif_sample *exif, uint32_t width, uint32_t height);

/* `frame` is the SOF marker's last byte (0xc0 baseline, 0xc2 progressive); exif may be NULL. */
void sample_jpeg(struct buf *out, uint8_t frame, uint16_t width, uint16_t height,
    const struct exif_sample *exif);
struct png_sample {
	uint32_t width, height, frames;   /* frames 0: no acTL */
	uint8_t  colour;
	bool     transparent;             /* tRNS */
	const struct exif_sample *exif;
};
void sample_png(struct buf *out, const struct png_sample *png);
void sample_gif(struct buf *out, uint16_t width, uint16_t height, uint32_t frames,
    bool transparent);
void sample_webp_lossy(struct buf *out, uint16_t width, uint16_t height);
void sample_webp_lossless(struct buf *out, uint16_t width, uint16_t height, bool alpha);
/* frames 0: a still image. */
void sample_webp_extended(struct buf *out, uint32_t width, uint32_t height, uint32_t frames,
    const struct exif_sample *exif);
struct heif_sample {
	const char *brand;                /* "avif", "heic", ... */
	uint32_t width, height;
	uint8_t  quarters;                /* irot, counter-clockwise */
	bool     alpha;
	const struct exif_sample *exif;
};
void sample_heif(struct buf *out, const struct heif_sample *heif);
void sample_bmp(struct buf *out, int32_t width, int32_t height, uint16_t bits);
void sample_jxl(struct buf *out, uint32_t width, uint32_t height, bool container);
/* A TIFF whose directories form a chain of `pages`, or a ring. */
void sample_tiff_pages(struct buf *out, uint32_t pages, bool ring);

/* A complete bitmap of 24 bits (or 32 with alpha): pixel(x, y) gives 0xaarrggbb. */
void sample_bitmap(struct buf *out, uint32_t width, uint32_t height, bool alpha,
    uint32_t (*pixel)(uint32_t x, uint32_t y, uint32_t width, uint32_t height));
/* Puts EXIF with this orientation into a complete JPEG. */
void sample_orient_jpeg(struct buf *out, struct span jpeg, uint16_t orientation);
/* Puts EXIF with a maker and a copyright into a complete JPEG. */
void sample_camera_jpeg(struct buf *out, struct span jpeg, const char *make, const char *copyright);

/* image/probing.h: what the parsers behind probe.h share. Private to src/image. */
#pragma once
#include "base/endian.h"
#include "image/probe.h"

struct probe {
	struct span                file;
	const struct probe_limits *limits;
	struct image_meta         *meta;
	uint8_t                   *scratch;
	size_t                     scratch_used;
	uint64_t                   budget;        /* bytes that may still be looked at */
	uint64_t                   pixels;        /* of all frames, where they differ; else 0 */
	char                      *why;
};

/* The bytes [offset, offset + len), looked at. False: the file does not have them, or too
 * much was looked at already (probe_is_tired). */
MUST_CHECK bool probe_at(struct probe *probe, uint64_t offset, size_t len, struct span *out);
static inline bool probe_is_tired(const struct probe *probe) { return probe->budget == 0; }

/* Set `why`; for `return probe_invalid(...)`. */
MUST_CHECK enum err probe_invalid(struct probe *probe, const char *why);
/* What is wrong when probe_at said no. */
MUST_CHECK enum err probe_ended(struct probe *probe);

/* A copy in the scratch, trimmed of spaces and of what follows a NUL; cut if it is full. */
struct span probe_text(struct probe *probe, struct span text);

MUST_CHECK enum err probe_jpeg(struct probe *probe);
MUST_CHECK enum err probe_png(struct probe *probe);
MUST_CHECK enum err probe_gif(struct probe *probe);
MUST_CHECK enum err probe_webp(struct probe *probe);
MUST_CHECK enum err probe_isobmff(struct probe *probe);
MUST_CHECK enum err probe_tiff(struct probe *probe);
MUST_CHECK enum err probe_bmp(struct probe *probe);
MUST_CHECK enum err probe_jxl(struct probe *probe);

/* EXIF: a TIFF structure that begins at `tiff`. Takes what it understands. */
void probe_exif(struct probe *probe, struct span tiff);
/* The same behind an optional "Exif\0\0". */
void probe_exif_block(struct probe *probe, struct span block);

/* TIFF directories, of EXIF and of TIFF files. */
struct tiff {
	struct probe *probe;
	struct span   bytes;
	bool          big_endian;
};
struct tiff_entry {
	uint16_t    tag, type;
	uint32_t    count;
	struct span value;                /* all `count` values, in the file's byte order */
};
MUST_CHECK bool tiff_open(struct tiff *tiff, struct probe *probe, struct span bytes);
uint16_t tiff_u16(const struct tiff *tiff, const uint8_t *at);
uint32_t tiff_u32(const struct tiff *tiff, const uint8_t *at);
/* Entries of the directory at `offset`; 0 if it does not fit. *next: the directory after. */
uint32_t tiff_directory(struct tiff *tiff, uint32_t offset, uint32_t *next);
/* Entry `at`. False: its values do not lie within the file. */
MUST_CHECK bool tiff_entry(struct tiff *tiff, uint32_t offset, uint32_t at,
    struct tiff_entry *out);
/* The first value of a BYTE, SHORT or LONG; of a RATIONAL. */
MUST_CHECK bool tiff_integer(const struct tiff *tiff, const struct tiff_entry *entry,
    uint32_t *out);
MUST_CHECK bool tiff_rational(const struct tiff *tiff, const struct tiff_entry *entry, uint32_t at,
    double *out);

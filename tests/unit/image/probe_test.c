/* tests/unit/image/probe_test.c: the header probe, against small files made by hand. */
#include "samples.h"

#include "base/random.h"
#include "image/probe.h"

#include <criterion/criterion.h>
#include <math.h>

static const struct probe_limits limits = {
    .bytes_max = 1 << 20,
    .pixels_max = 100000000,
    .side_max = 32768,
    .frames_max = 300,
    .pixels_per_byte_max = 1000000,
};

static const struct exif_sample camera = {
    .orientation = 6,
    .make = "Canon",
    .model = "Canon EOS 5D",
    .lens = "EF 24-70mm",
    .taken = "2024:06:01 12:30:00",
    .zone = "+02:00",
    .exposure = {1, 250},
    .aperture = {28, 10},
    .focal = {50, 1},
    .iso = 400,
    .lat = {48, 1, 30, 1, 0, 1},
    .lon = {9, 1, 15, 1, 0, 1},
    .lat_ref = "S",
    .lon_ref = "E",
};

struct probed {
	enum err err;
	struct image_meta meta;
	uint8_t scratch[PROBE_SCRATCH_BYTES];
	char why[PROBE_WHY_BYTES];
};

static struct probed probed;
static struct buf file;
static struct memory memory;

static void begin(void)
{
	buf_init(&file, &memory);
}

static void end(void)
{
	buf_fini(&file);
}

TestSuite(probe, .init = begin, .fini = end, .timeout = 60);

static void run_with(struct span bytes, const struct probe_limits *with)
{
	probed.err = image_probe(bytes, with, probed.scratch, &probed.meta, probed.why);
}

static void run(void)
{
	run_with(buf_span(&file), &limits);
}

static void expect(enum image_format format, uint32_t width, uint32_t height)
{
	run();
	cr_assert_eq(probed.err, OK, "%s: %s", err_name(probed.err), probed.why);
	cr_expect_eq(probed.meta.format, format, "%s", image_format_name(probed.meta.format));
	cr_expect_eq(probed.meta.width, width, "%u", probed.meta.width);
	cr_expect_eq(probed.meta.height, height, "%u", probed.meta.height);
	cr_expect_eq(probed.meta.bytes, file.len);
}

static void expect_refused(enum err err, const char *why)
{
	run();
	cr_expect_eq(probed.err, err, "%s", err_name(probed.err));
	cr_expect_str_eq(probed.why, why);
}

static void expect_camera(void)
{
	const struct image_meta *meta = &probed.meta;
	cr_expect(span_equal(meta->camera, SPAN_LIT("Canon EOS 5D")));
	cr_expect(span_equal(meta->lens, SPAN_LIT("EF 24-70mm")));
	cr_expect_eq(meta->has,
	    IMAGE_HAS_TAKEN | IMAGE_HAS_LOCATION | IMAGE_HAS_FOCAL | IMAGE_HAS_APERTURE |
	        IMAGE_HAS_EXPOSURE | IMAGE_HAS_ISO);
	cr_expect_eq(meta->taken_ms, 1717237800000, "%ld", meta->taken_ms);
	cr_expect(fabs(meta->lat + 48.5) < 1e-9);
	cr_expect(fabs(meta->lon - 9.25) < 1e-9);
	cr_expect(fabs(meta->exposure_s - 0.004) < 1e-9);
	cr_expect(fabs(meta->aperture - 2.8) < 1e-9);
	cr_expect(fabs(meta->focal_mm - 50) < 1e-9);
	cr_expect(fabs(meta->iso - 400) < 1e-9);
}

/* ---- Each format ---- */

Test(probe, reads_a_baseline_jpeg_and_its_exif)
{
	sample_jpeg(&file, 0xc0, 4000, 3000, &camera);
	expect(IMAGE_JPEG, 4000, 3000);
	cr_expect_eq(probed.meta.orientation, 6);
	cr_expect_not(probed.meta.progressive);
	expect_camera();
}

Test(probe, reads_exif_in_big_endian_order)
{
	struct exif_sample exif = camera;
	exif.big_endian = true;
	sample_jpeg(&file, 0xc2, 4000, 3000, &exif);
	expect(IMAGE_JPEG, 4000, 3000);
	cr_expect(probed.meta.progressive);
	cr_expect_eq(probed.meta.orientation, 6);
	expect_camera();
}

Test(probe, puts_the_maker_before_a_model_that_lacks_it)
{
	struct exif_sample exif = {.make = "Apple", .model = "iPhone 15"};
	sample_jpeg(&file, 0xc0, 10, 10, &exif);
	expect(IMAGE_JPEG, 10, 10);
	cr_expect(span_equal(probed.meta.camera, SPAN_LIT("Apple iPhone 15")), "%.*s",
	    (int)probed.meta.camera.len, (const char *)probed.meta.camera.ptr);
	cr_expect_eq(probed.meta.orientation, 1);
	cr_expect_eq(probed.meta.has, 0);
}

Test(probe, reads_a_png_with_exif_transparency_and_frames)
{
	struct png_sample png = {.width = 100, .height = 50, .colour = 2};
	sample_png(&file, &png);
	expect(IMAGE_PNG, 100, 50);
	cr_expect_not(probed.meta.alpha);
	cr_expect_eq(probed.meta.frames, 1);
	buf_clear(&file);
	png.frames = 12;
	png.transparent = true;
	png.exif = &camera;
	sample_png(&file, &png);
	expect(IMAGE_PNG, 100, 50);
	cr_expect(probed.meta.alpha);
	cr_expect_eq(probed.meta.frames, 12);
	cr_expect_eq(probed.meta.orientation, 6);
	expect_camera();
}

Test(probe, counts_the_frames_of_a_gif)
{
	sample_gif(&file, 320, 200, 7, true);
	expect(IMAGE_GIF, 320, 200);
	cr_expect_eq(probed.meta.frames, 7);
	cr_expect(probed.meta.alpha);
	/* Many files end without the trailer. */
	file.len--;
	expect(IMAGE_GIF, 320, 200);
	cr_expect_eq(probed.meta.frames, 7);
}

Test(probe, reads_the_three_forms_of_webp)
{
	sample_webp_lossy(&file, 640, 480);
	expect(IMAGE_WEBP, 640, 480);
	cr_expect_not(probed.meta.alpha);
	buf_clear(&file);
	sample_webp_lossless(&file, 16383, 1, true);
	expect(IMAGE_WEBP, 16383, 1);
	cr_expect(probed.meta.alpha);
	buf_clear(&file);
	sample_webp_extended(&file, 300, 200, 0, &camera);
	expect(IMAGE_WEBP, 300, 200);
	cr_expect_eq(probed.meta.frames, 1);
	cr_expect_eq(probed.meta.orientation, 6);
	expect_camera();
	buf_clear(&file);
	sample_webp_extended(&file, 300, 200, 9, NULL);
	expect(IMAGE_WEBP, 300, 200);
	cr_expect_eq(probed.meta.frames, 9);
}

Test(probe, reads_avif_and_heif_as_a_viewer_sees_them)
{
	struct heif_sample heif = {.brand = "avif", .width = 400, .height = 300};
	sample_heif(&file, &heif);
	expect(IMAGE_AVIF, 400, 300);
	cr_expect_not(probed.meta.alpha);
	buf_clear(&file);
	heif = (struct heif_sample){"heic", 400, 300, 3, true, &camera};
	sample_heif(&file, &heif);
	expect(IMAGE_HEIF, 300, 400);
	cr_expect(probed.meta.alpha);
	cr_expect_eq(probed.meta.orientation, 1, "irot is applied already");
	expect_camera();
}

Test(probe, reads_tiff_in_both_byte_orders)
{
	struct exif_sample exif = camera;
	for (int i = 0; i < 2; i++) {
		exif.big_endian = i == 1;
		buf_clear(&file);
		sample_exif(&file, &exif, 33, 21);
		expect(IMAGE_TIFF, 33, 21);
		cr_expect_eq(probed.meta.frames, 1);
		cr_expect_eq(probed.meta.orientation, 6);
		expect_camera();
	}
}

Test(probe, counts_the_pages_of_a_tiff_and_survives_a_ring)
{
	sample_tiff_pages(&file, 5, false);
	expect(IMAGE_TIFF, 10, 20);
	cr_expect_eq(probed.meta.frames, 5);
	buf_clear(&file);
	sample_tiff_pages(&file, 5, true);
	expect_refused(ERR_TOOLARGE, "image-max-frames 300");
}

Test(probe, reads_bitmaps_either_way_up)
{
	sample_bmp(&file, 20, 10, 24);
	expect(IMAGE_BMP, 20, 10);
	buf_clear(&file);
	sample_bmp(&file, 20, -10, 32);
	expect(IMAGE_BMP, 20, 10);
}

Test(probe, reads_jxl_bare_and_in_its_container)
{
	sample_jxl(&file, 1234, 567, false);
	expect(IMAGE_JXL, 1234, 567);
	buf_clear(&file);
	sample_jxl(&file, 1234, 567, true);
	expect(IMAGE_JXL, 1234, 567);
}

Test(probe, knows_svg_by_its_root_element)
{
	static const char *const good[] = {
	    "<svg/>",
	    "<svg xmlns='http://www.w3.org/2000/svg'></svg>",
	    "\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <html> -->\n<!DOCTYPE svg>\n<svg width='9'>",
	    "<s:svg xmlns:s='x'>",
	};
	static const char *const bad[] = {
	    "<html><svg/></html>", "svg", "<svgx>", "<!-- <svg> -->", "<?xml", "<svg", "<"};
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		buf_clear(&file);
		buf_append_text(&file, good[i]);
		expect(IMAGE_SVG, 0, 0);
	}
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		buf_clear(&file);
		buf_append_text(&file, bad[i]);
		expect_refused(ERR_INVALID, "not an image in a format that is known");
	}
}

/* ---- What is refused ---- */

Test(probe, says_what_is_wrong)
{
	expect_refused(ERR_INVALID, "the file is empty");
	buf_append_text(&file, "hello, this is no image");
	expect_refused(ERR_INVALID, "not an image in a format that is known");
	buf_clear(&file);
	sample_jpeg(&file, 0xc0, 0, 10, NULL);
	expect_refused(ERR_INVALID, "the JPEG has a width of 0");
	buf_clear(&file);
	sample_jpeg(&file, 0xc0, 10, 0, NULL);
	expect_refused(ERR_INVALID, "the JPEG gives no height (DNL)");
	buf_clear(&file);
	sample_jpeg(&file, 0xfe, 10, 10, NULL);
	expect_refused(ERR_INVALID, "the JPEG has no frame header");
	buf_clear(&file);
	sample_gif(&file, 10, 10, 0, false);
	expect_refused(ERR_INVALID, "the GIF has no image");
	buf_clear(&file);
	sample_gif(&file, 0, 10, 1, false);
	expect_refused(ERR_INVALID, "the image has no pixels");
	buf_clear(&file);
	struct heif_sample heif = {.brand = "avif"};
	sample_heif(&file, &heif);
	expect_refused(ERR_INVALID, "the image item has no size");
}

Test(probe, names_the_limit_that_a_bomb_is_over)
{
	struct png_sample png = {.width = 40000, .height = 2, .colour = 2};
	sample_png(&file, &png);
	expect_refused(ERR_TOOLARGE, "image-max-side 32768");
	buf_clear(&file);
	sample_jpeg(&file, 0xc2, 30000, 30000, NULL);
	expect_refused(ERR_TOOLARGE, "image-max-pixels 100000000");
	buf_clear(&file);
	png = (struct png_sample){.width = 2, .height = 2, .frames = 301, .colour = 2};
	sample_png(&file, &png);
	expect_refused(ERR_TOOLARGE, "image-max-frames 300");
	buf_clear(&file);
	sample_gif(&file, 1000, 1000, 200, false);
	expect_refused(ERR_TOOLARGE, "image-max-pixels 100000000");
	buf_clear(&file);
	struct probe_limits strict = limits;
	strict.pixels_per_byte_max = 1100;
	sample_jpeg(&file, 0xc0, 8000, 8000, NULL);
	run_with(buf_span(&file), &strict);
	cr_expect_eq(probed.err, ERR_TOOLARGE);
	cr_expect_str_eq(probed.why, "image-max-ratio 1100");
	strict.bytes_max = file.len - 1;
	run_with(buf_span(&file), &strict);
	cr_expect_str_eq(probed.why, "image-max-bytes 36", "%s", probed.why);
	/* A tile or thumbnail inside a HEIF counts as much as the image. */
	buf_clear(&file);
	struct heif_sample heif = {.brand = "avif", .width = 20000, .height = 20000};
	sample_heif(&file, &heif);
	expect_refused(ERR_TOOLARGE, "image-max-pixels 100000000");
}

/* ---- Whatever the bytes ---- */

enum { SAMPLES = 16 };

static void sample_any(struct buf *out, unsigned which)
{
	struct exif_sample big = camera;
	big.big_endian = true;
	const struct png_sample png = {
	    .width = 9, .height = 9, .frames = 2, .colour = 6, .exif = &camera};
	const struct heif_sample heif = {"avif", 400, 300, 1, true, &camera};
	switch (which % SAMPLES) {
	case 0:
		sample_jpeg(out, 0xc0, 40, 30, &camera);
		break;
	case 1:
		sample_jpeg(out, 0xc2, 40, 30, &big);
		break;
	case 2:
		sample_png(out, &png);
		break;
	case 3:
		sample_gif(out, 20, 20, 3, true);
		break;
	case 4:
		sample_webp_lossy(out, 20, 20);
		break;
	case 5:
		sample_webp_lossless(out, 20, 20, true);
		break;
	case 6:
		sample_webp_extended(out, 20, 20, 0, &camera);
		break;
	case 7:
		sample_webp_extended(out, 20, 20, 4, NULL);
		break;
	case 8:
		sample_heif(out, &heif);
		break;
	case 9:
		sample_exif(out, &camera, 5, 5);
		break;
	case 10:
		sample_exif(out, &big, 5, 5);
		break;
	case 11:
		sample_tiff_pages(out, 4, false);
		break;
	case 12:
		sample_bmp(out, 20, -20, 8);
		break;
	case 13:
		sample_jxl(out, 500, 400, false);
		break;
	case 14:
		sample_jxl(out, 500, 400, true);
		break;
	default:
		buf_append_text(out, "<?xml version='1.0'?><svg width='10'/>");
		break;
	}
}

/* Exactly these bytes, so that a sanitizer sees a step beyond them. */
static void run_exactly(struct span bytes)
{
	uint8_t *copy = bytes.len == 0 ? NULL : memory_alloc(&memory, bytes.len);
	if (copy != NULL)
		memcpy(copy, bytes.ptr, bytes.len);
	run_with(span_of(copy, bytes.len), &limits);
	cr_assert(probed.err == OK || probed.err == ERR_INVALID || probed.err == ERR_TOOLARGE);
	cr_assert((probed.why[0] != 0) == (probed.err != OK), "%s '%s'", err_name(probed.err),
	    probed.why);
	memory_free(&memory, copy, bytes.len);
}

Test(probe, survives_truncation_at_every_byte)
{
	for (unsigned which = 0; which < SAMPLES; which++) {
		unsigned refused = 0;
		buf_clear(&file);
		sample_any(&file, which);
		for (size_t len = 0; len < file.len; len++) {
			run_exactly(span_of(file.ptr, len));
			refused += probed.err != OK;
		}
		cr_expect_gt(refused, 10, "sample %u was never refused", which);
		run_exactly(buf_span(&file));
		cr_expect_eq(probed.err, OK, "sample %u: %s", which, probed.why);
	}
}

Test(probe, survives_mutations)
{
	struct random random;
	unsigned good = 0, bad = 0;
	random_init(&random, 7);
	for (unsigned round = 0; round < 60000; round++) {
		buf_clear(&file);
		sample_any(&file, (unsigned)random_below(&random, SAMPLES));
		for (uint64_t i = random_below(&random, 4) + 1; i > 0; i--) {
			static const uint8_t nasty[] = {0, 1, 0x7f, 0x80, 0xff};
			uint8_t *at = &file.ptr[random_below(&random, file.len)];
			bool any = random_below(&random, 2) == 0;
			*at = any ? (uint8_t)random_next(&random)
			          : nasty[random_below(&random, sizeof(nasty))];
		}
		run_exactly(buf_span(&file));
		good += probed.err == OK;
		bad += probed.err != OK;
	}
	cr_expect_gt(good, 1000);
	cr_expect_gt(bad, 1000);
}

Test(probe, looks_at_no_more_than_a_megabyte)
{
	/* Ten million markers of no content, then no image. */
	struct probe_limits wide = limits;
	wide.bytes_max = UINT64_MAX;
	buf_append(&file, span_of("\xff\xd8", 2));
	for (unsigned i = 0; i < 200000; i++)
		buf_append(&file, span_of("\xff\xfe\x00\x02", 4));
	run_with(buf_span(&file), &wide);
	cr_expect_eq(probed.err, ERR_INVALID);
	cr_expect_str_eq(probed.why, "no image header within the first megabyte of metadata");
	/* A GIF has the frames that were seen. */
	buf_clear(&file);
	wide.frames_max = UINT32_MAX;
	wide.pixels_max = UINT64_MAX;
	sample_gif(&file, 10, 10, 100000, false);
	run_with(buf_span(&file), &wide);
	cr_expect_eq(probed.err, OK, "%s", probed.why);
	cr_expect_gt(probed.meta.frames, 1000);
	cr_expect_lt(probed.meta.frames, 100000);
}

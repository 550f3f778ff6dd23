/* tests/unit/image/vips_test.c: the libvips worker program, through the pool: what comes out
 * has exactly the format and size that were ordered, and shows the right thing. */
#include "crew.h"
#include "pixels.h"
#include "samples.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Photographs of mate-backgrounds and lomiri-wallpapers-20.04. */
#define PHOTO "/usr/share/backgrounds/mate/nature/Storm.jpg"
#define BASELINE_24_MP "/usr/share/backgrounds/Painting-Colors_by__herobrine7gamer.jpg"
#define PROGRESSIVE_17_MP "/usr/share/backgrounds/Infinite-Sea_by_Aury88.jpg"

enum {
	RED = 0xffff0000,
	GREEN = 0xff00ff00,
	BLUE = 0xff0000ff,
	WHITE = 0xffffffff,
	BLACK = 0xff000000
};

static struct crew crew;
static struct buf file, work;

static void begin(void)
{
	crew_init(&crew, "tintype-vips");
	buf_init(&file, &crew.memory);
	buf_init(&work, &crew.memory);
}

static void end(void)
{
	struct worker_pool_stats stats;
	worker_pool_get_stats(crew.pool, &stats);
	cr_expect_eq(stats.crashes + stats.timeouts + stats.nonsense, 0, "a worker misbehaved");
	buf_fini(&file);
	buf_fini(&work);
	crew_fini(&crew);
}

TestSuite(vips, .init = begin, .fini = end, .timeout = 120);

static void expect_result(
    const struct order *order, enum image_format format, uint32_t width, uint32_t height)
{
	struct image_meta meta;
	cr_assert_eq(order->err, OK, "%s: %s", err_name(order->err), order->job.why);
	crew_probe(body_span(order->job.result), &meta);
	cr_expect_eq(meta.format, format, "%s", image_format_name(meta.format));
	cr_expect_eq(meta.width, width, "%u", meta.width);
	cr_expect_eq(meta.height, height, "%u", meta.height);
	cr_expect_eq(meta.orientation, 1);
	cr_expect_eq(order->job.format, format);
	cr_expect(order->job.width == width && order->job.height == height);
}

/* Transforms the source; what comes out replaces `to` (which may be the source's buffer). */
static void transform(struct span source, const char *words, struct buf *to)
{
	struct order order;
	struct transform_plan plan = crew_plan(source, words);
	order_run(&crew, &order, source, &plan);
	cr_assert_eq(order.err, OK, "%s: %s: %s", words, err_name(order.err), order.job.why);
	buf_clear(to);
	buf_append(to, body_span(order.job.result));
	order_fini(&order);
}

/* The same, as pixels. */
static struct pixels transformed(struct span source, const char *words)
{
	struct pixels pixels;
	char all[256];
	snprintf(all, sizeof(all), "%s FORMAT png", words);
	transform(source, all, &work);
	pixels_decode(&pixels, buf_span(&work));
	return pixels;
}

static void expect_colour(const struct pixels *pixels, double x, double y, uint32_t colour)
{
	uint32_t got = pixels_at(pixels, x, y);
	cr_expect(
	    colours_near(got, colour, 12), "at %.2f, %.2f: %08x, not %08x", x, y, got, colour);
}

/* red green
 * blue white */
static uint32_t quarters(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	if (y < height / 2)
		return x < width / 2 ? RED : GREEN;
	return x < width / 2 ? BLUE : WHITE;
}

/* ---- Formats and sizes ---- */

Test(vips, makes_thumbnails_of_large_photographs_in_every_format)
{
	static const struct {
		const char *path;
		uint32_t height;
	} photos[] = {{PHOTO, 213}, {BASELINE_24_MP, 213}, {PROGRESSIVE_17_MP, 320}};
	static const enum image_format formats[] = {IMAGE_JPEG, IMAGE_WEBP, IMAGE_AVIF, IMAGE_PNG};
	for (size_t i = 0; i < ARRAY_COUNT(photos) * ARRAY_COUNT(formats); i++) {
		struct order order;
		char words[64];
		enum image_format format = formats[i % ARRAY_COUNT(formats)];
		struct buf photo = crew_file(&crew, photos[i / ARRAY_COUNT(formats)].path);
		snprintf(words, sizeof(words), "WIDTH 320 FORMAT %s", image_format_name(format));
		struct transform_plan plan = crew_plan(buf_span(&photo), words);
		order_run(&crew, &order, buf_span(&photo), &plan);
		expect_result(&order, format, 320, photos[i / ARRAY_COUNT(formats)].height);
		order_fini(&order);
		buf_fini(&photo);
	}
}

Test(vips, makes_exactly_the_size_that_was_ordered)
{
	static const char *const fits[] = {"inside", "cover", "fill", "pad"};
	struct random random;
	struct buf photo = crew_file(&crew, PHOTO);
	random_init(&random, 3);
	for (unsigned round = 0; round < 60; round++) {
		struct order order;
		char words[160];
		snprintf(words, sizeof(words),
		    "WIDTH %u HEIGHT %u FIT %s ROTATE %u CROP %u %u %u %u%s",
		    1 + (unsigned)random_below(&random, 700),
		    1 + (unsigned)random_below(&random, 700), fits[round % 4],
		    90 * (unsigned)random_below(&random, 4), (unsigned)random_below(&random, 1000),
		    (unsigned)random_below(&random, 800), 1 + (unsigned)random_below(&random, 1900),
		    1 + (unsigned)random_below(&random, 1200), round % 3 == 0 ? " ENLARGE" : "");
		struct transform_plan plan = crew_plan(buf_span(&photo), words);
		order_run(&crew, &order, buf_span(&photo), &plan);
		cr_assert_eq(order.err, OK, "%s: %s", words, order.job.why);
		expect_result(&order, IMAGE_JPEG, plan.width, plan.height);
		order_fini(&order);
	}
	buf_fini(&photo);
}

Test(vips, a_thumbnail_of_a_thumbnail_works_from_every_format)
{
	static const char *const formats[] = {"jpeg", "png", "webp", "avif"};
	struct buf photo = crew_file(&crew, PHOTO);
	for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
		char words[64];
		snprintf(words, sizeof(words), "WIDTH 800 FORMAT %s", formats[i]);
		transform(buf_span(&photo), words, &file);
		struct pixels from = transformed(buf_span(&file), "WIDTH 90"),
		              want = transformed(buf_span(&photo), "WIDTH 90");
		cr_expect(from.width == 90 && from.height == 60);
		for (double x = 0.1; x < 1; x += 0.2)
			cr_expect(colours_near(pixels_at(&from, x, x), pixels_at(&want, x, x), 30),
			    "%s at %.1f: %08x %08x", formats[i], x, pixels_at(&from, x, x),
			    pixels_at(&want, x, x));
		pixels_fini(&from);
		pixels_fini(&want);
	}
	buf_fini(&photo);
}

Test(vips, reads_tiff_gif_and_bitmaps)
{
	const struct exif_sample plain = {.big_endian = true};
	sample_exif(&file, &plain, 100, 40);
	struct pixels pixels = transformed(buf_span(&file), "WIDTH 50");
	cr_expect(pixels.width == 50 && pixels.height == 20);
	expect_colour(&pixels, 0.01, 0.5, BLACK | 0x040404);
	expect_colour(&pixels, 0.5, 0.5, BLACK | 0x808080);
	pixels_fini(&pixels);
	buf_clear(&file);
	sample_gif(&file, 1, 1, 2, false);
	pixels = transformed(buf_span(&file), "WIDTH 10 ENLARGE");
	cr_expect(pixels.width == 10 && pixels.height == 10);
	pixels_fini(&pixels);
	buf_clear(&file);
	sample_bitmap(&file, 61, 40, false, quarters);
	pixels = transformed(buf_span(&file), "");
	cr_expect(pixels.width == 61 && pixels.height == 40);
	expect_colour(&pixels, 0.1, 0.1, RED);
	expect_colour(&pixels, 0.9, 0.1, GREEN);
	expect_colour(&pixels, 0.1, 0.9, BLUE);
	expect_colour(&pixels, 0.9, 0.9, WHITE);
	pixels_fini(&pixels);
}

/* ---- What it shows ---- */

Test(vips, orientation_is_applied_first)
{
	/* Corners in reading order, as a viewer sees them, for each orientation. */
	static const uint32_t corners[9][4] = {{0}, {RED, GREEN, BLUE, WHITE},
	    {GREEN, RED, WHITE, BLUE}, {WHITE, BLUE, GREEN, RED}, {BLUE, WHITE, RED, GREEN},
	    {RED, BLUE, GREEN, WHITE}, {BLUE, RED, WHITE, GREEN}, {WHITE, GREEN, BLUE, RED},
	    {GREEN, WHITE, RED, BLUE}};
	struct buf jpeg, turned;
	buf_init(&jpeg, &crew.memory);
	buf_init(&turned, &crew.memory);
	sample_bitmap(&file, 400, 240, false, quarters);
	transform(buf_span(&file), "FORMAT jpeg QUALITY 95", &jpeg);
	for (uint16_t orientation = 1; orientation <= 8; orientation++) {
		buf_clear(&turned);
		sample_orient_jpeg(&turned, buf_span(&jpeg), orientation);
		struct pixels pixels = transformed(buf_span(&turned), "WIDTH 60 HEIGHT 60");
		cr_expect_eq(pixels.width, orientation < 5 ? 60 : 36);
		cr_expect_eq(pixels.height, orientation < 5 ? 36 : 60);
		for (unsigned i = 0; i < 4; i++)
			expect_colour(&pixels, i % 2 == 0 ? 0.2 : 0.8, i < 2 ? 0.2 : 0.8,
			    corners[orientation][i]);
		pixels_fini(&pixels);
		/* A crop speaks of what the viewer sees. */
		pixels = transformed(buf_span(&turned), "CROP 0.55 0.05 0.4 0.4 WIDTH 20");
		expect_colour(&pixels, 0.5, 0.5, corners[orientation][1]);
		pixels_fini(&pixels);
	}
	buf_fini(&turned);
	buf_fini(&jpeg);
}

Test(vips, rotates_and_flips)
{
	static const struct {
		const char *words;
		uint32_t corners[4];
	} cases[] = {
	    {"ROTATE 90", {BLUE, RED, WHITE, GREEN}},
	    {"ROTATE 180", {WHITE, BLUE, GREEN, RED}},
	    {"ROTATE 270", {GREEN, WHITE, RED, BLUE}},
	    {"FLIP h", {GREEN, RED, WHITE, BLUE}},
	    {"FLIP v", {BLUE, WHITE, RED, GREEN}},
	    {"ROTATE 90 FLIP h", {RED, BLUE, GREEN, WHITE}},
	};
	sample_bitmap(&file, 80, 40, false, quarters);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct pixels pixels = transformed(buf_span(&file), cases[i].words);
		for (unsigned k = 0; k < 4; k++)
			expect_colour(&pixels, k % 2 == 0 ? 0.2 : 0.8, k < 2 ? 0.2 : 0.8,
			    cases[i].corners[k]);
		pixels_fini(&pixels);
	}
}

Test(vips, cover_cuts_away_from_its_gravity)
{
	static const struct {
		const char *words;
		uint32_t left, right;
	} cases[] = {{"GRAVITY w", RED, RED}, {"GRAVITY e", GREEN, GREEN},
	    {"GRAVITY c", RED, GREEN}, {"GRAVITY nw", RED, RED}, {"GRAVITY se", GREEN, GREEN}};
	sample_bitmap(&file, 400, 100, false, quarters);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char words[100];
		snprintf(words, sizeof(words), "WIDTH 50 HEIGHT 50 FIT cover %s", cases[i].words);
		struct pixels pixels = transformed(buf_span(&file), words);
		cr_expect(pixels.width == 50 && pixels.height == 50);
		expect_colour(&pixels, 0.2, 0.2, cases[i].left);
		expect_colour(&pixels, 0.8, 0.2, cases[i].right);
		pixels_fini(&pixels);
	}
}

/* Black, with one spot that draws the eye. */
static uint32_t spot(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	bool inside = x > width * 8 / 10 && x < width * 9 / 10 && y > height / 3 && y < height / 2;
	return inside ? ((x / 2 + y / 2) % 2 == 0 ? RED : 0xffffe0c0) : BLACK;
}

Test(vips, smart_gravity_finds_what_draws_the_eye)
{
	sample_bitmap(&file, 600, 200, false, spot);
	struct pixels pixels =
	    transformed(buf_span(&file), "WIDTH 100 HEIGHT 100 FIT cover GRAVITY smart");
	uint64_t bright = 0;
	for (size_t i = 0; i < pixels.bytes.len; i++)
		bright += pixels.bytes.ptr[i] > 100;
	cr_expect_gt(bright, 500, "%lu", bright);
	pixels_fini(&pixels);
	pixels = transformed(buf_span(&file), "WIDTH 100 HEIGHT 100 FIT cover GRAVITY c");
	expect_colour(&pixels, 0.5, 0.4, BLACK);
	pixels_fini(&pixels);
}

Test(vips, pad_is_white_and_keeps_all_of_the_image)
{
	sample_bitmap(&file, 400, 100, false, quarters);
	struct pixels pixels = transformed(buf_span(&file), "WIDTH 80 HEIGHT 80 FIT pad");
	cr_expect(pixels.width == 80 && pixels.height == 80);
	expect_colour(&pixels, 0.1, 0.1, WHITE);
	expect_colour(&pixels, 0.9, 0.9, WHITE);
	expect_colour(&pixels, 0.1, 0.45, RED);
	expect_colour(&pixels, 0.9, 0.45, GREEN);
	pixels_fini(&pixels);
	pixels = transformed(buf_span(&file), "WIDTH 80 HEIGHT 80 FIT pad GRAVITY n");
	expect_colour(&pixels, 0.1, 0.05, RED);
	expect_colour(&pixels, 0.1, 0.5, WHITE);
	pixels_fini(&pixels);
}

/* Red on the left, nothing at all on the right. */
static uint32_t half_clear(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	(void)y, (void)height;
	return x < width / 2 ? RED : 0;
}

Test(vips, keeps_transparency_where_the_format_can)
{
	static const char *const formats[] = {"png", "webp", "avif"};
	sample_bitmap(&file, 80, 40, true, half_clear);
	for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
		struct image_meta meta;
		struct buf small;
		char words[64];
		buf_init(&small, &crew.memory);
		snprintf(words, sizeof(words), "WIDTH 40 FORMAT %s", formats[i]);
		transform(buf_span(&file), words, &small);
		crew_probe(buf_span(&small), &meta);
		cr_expect(meta.alpha, "%s", formats[i]);
		struct pixels pixels = transformed(buf_span(&small), "");
		expect_colour(&pixels, 0.1, 0.5, RED);
		cr_expect_lt(pixels_at(&pixels, 0.9, 0.5) >> 24, 4);
		pixels_fini(&pixels);
		buf_fini(&small);
	}
	transform(buf_span(&file), "WIDTH 40 FORMAT jpeg", &file);
	struct pixels pixels = transformed(buf_span(&file), "");
	expect_colour(&pixels, 0.1, 0.5, RED);
	expect_colour(&pixels, 0.9, 0.5, WHITE);
	pixels_fini(&pixels);
}

/* ---- Metadata ---- */

static bool contains(struct span bytes, const char *text)
{
	return memmem(bytes.ptr, bytes.len, text, strlen(text)) != NULL;
}

Test(vips, strips_what_it_is_told_to)
{
	struct buf jpeg, out;
	buf_init(&jpeg, &crew.memory);
	buf_init(&out, &crew.memory);
	sample_bitmap(&file, 64, 64, false, quarters);
	transform(buf_span(&file), "FORMAT jpeg", &out);
	sample_camera_jpeg(&jpeg, buf_span(&out), "Acme", "(c) Jane Doe");
	transform(buf_span(&jpeg), "WIDTH 32", &out);
	cr_expect(contains(buf_span(&out), "(c) Jane Doe"));
	cr_expect_not(contains(buf_span(&out), "Acme"));
	transform(buf_span(&jpeg), "WIDTH 32 STRIP all", &out);
	cr_expect_not(contains(buf_span(&out), "(c) Jane Doe"));
	transform(buf_span(&jpeg), "WIDTH 32 STRIP none", &out);
	cr_expect(contains(buf_span(&out), "(c) Jane Doe"));
	cr_expect(contains(buf_span(&out), "Acme"));
	buf_fini(&out);
	buf_fini(&jpeg);
}

/* ---- Hostile and broken sources ---- */

static void expect_failure(struct span source, const struct transform_plan *plan)
{
	struct order order;
	order_run(&crew, &order, source, plan);
	cr_expect_eq(order.err, ERR_INVALID, "%s: %s", err_name(order.err), order.job.why);
	cr_expect_neq(order.job.why[0], 0);
	order_fini(&order);
}

Test(vips, says_that_a_source_is_broken)
{
	struct buf photo = crew_file(&crew, PHOTO);
	struct transform_plan plan = crew_plan(buf_span(&photo), "WIDTH 100");
	expect_failure(span_of(photo.ptr, photo.len / 2), &plan);
	plan.source_width += 100;
	expect_failure(buf_span(&photo), &plan);
	plan = crew_plan(buf_span(&photo), "WIDTH 100");
	plan.source_format = IMAGE_PNG;
	expect_failure(buf_span(&photo), &plan);
	plan.source_format = IMAGE_SVG;
	expect_failure(SPAN_LIT("<svg width='100' height='100'/>"), &plan);
	buf_fini(&photo);
}

Test(vips, many_jobs_at_once_all_end)
{
	enum { JOBS = 40 };
	static struct order orders[JOBS];
	struct buf photo = crew_file(&crew, PHOTO);
	for (unsigned i = 0; i < JOBS; i++) {
		char words[32];
		snprintf(words, sizeof(words), "WIDTH %u", 20 + i);
		struct transform_plan plan = crew_plan(buf_span(&photo), words);
		order_submit(&crew, &orders[i], buf_span(&photo), &plan);
	}
	for (unsigned i = 0; i < JOBS; i++) {
		order_wait(&crew, &orders[i]);
		expect_result(&orders[i], IMAGE_JPEG, 20 + i, orders[i].job.plan.height);
		order_fini(&orders[i]);
	}
	struct worker_pool_stats stats;
	worker_pool_get_stats(crew.pool, &stats);
	cr_expect_eq(stats.jobs, JOBS);
	cr_expect_eq(stats.failures, 0);
	cr_expect_leq(stats.spawned, 3);
	buf_fini(&photo);
}

/* A large result is copied in slices. */
Test(vips, a_large_result_comes_whole)
{
	struct order order;
	struct buf photo = crew_file(&crew, PHOTO);
	struct transform_plan plan = crew_plan(buf_span(&photo), "FORMAT png");
	order_run(&crew, &order, buf_span(&photo), &plan);
	expect_result(&order, IMAGE_PNG, 1920, 1280);
	cr_expect_gt(order.job.result->len, 2 << 20);
	struct digest digest = digest_of(body_span(order.job.result));
	cr_expect(digest_equal(&digest, &order.job.result->digest));
	struct pixels pixels;
	pixels_decode(&pixels, body_span(order.job.result));
	pixels_fini(&pixels);
	order_fini(&order);
	buf_fini(&photo);
}

/* ---- Pools with other options: these open their own ---- */

TestSuite(vips_pool, .timeout = 120);

Test(vips_pool, a_result_beyond_the_limit_fails_its_job)
{
	struct order order;
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "tintype-vips");
	options.output_bytes_max = 64 << 10;
	crew_init_with(&crew, &options);
	struct buf photo = crew_file(&crew, PHOTO);
	struct transform_plan plan = crew_plan(buf_span(&photo), "FORMAT png");
	order_run(&crew, &order, buf_span(&photo), &plan);
	cr_expect_eq(order.err, ERR_INVALID);
	cr_expect_not_null(strstr(order.job.why, "worker-output"), "%s", order.job.why);
	order_fini(&order);
	buf_fini(&photo);
	crew_fini(&crew);
}

Test(vips_pool, workers_are_replaced_after_their_share)
{
	struct worker_pool_stats stats;
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "tintype-vips");
	options.jobs_max = 2;
	options.workers = 1;
	crew_init_with(&crew, &options);
	struct buf photo = crew_file(&crew, PHOTO);
	struct transform_plan plan = crew_plan(buf_span(&photo), "WIDTH 50");
	for (int i = 0; i < 7; i++) {
		struct order order;
		order_run(&crew, &order, buf_span(&photo), &plan);
		expect_result(&order, IMAGE_JPEG, 50, 33);
		order_fini(&order);
	}
	worker_pool_get_stats(crew.pool, &stats);
	cr_expect_geq(stats.spawned, 4, "%lu", stats.spawned);
	cr_expect_eq(stats.failures + stats.crashes, 0);
	buf_fini(&photo);
	crew_fini(&crew);
}

/* Damaged images may kill a worker; they never reach further. */
Test(vips_pool, survives_damaged_images)
{
	static const char *const formats[] = {"jpeg", "png", "webp", "avif"};
	struct random random;
	unsigned good = 0, bad = 0;
	random_init(&random, 5);
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "tintype-vips");
	options.deadline_us = 2000000;
	crew_init_with(&crew, &options);
	struct buf photo = crew_file(&crew, PHOTO);
	for (unsigned i = 0; i < 200; i++) {
		struct order order;
		char words[64];
		snprintf(words, sizeof(words), "WIDTH 120 FORMAT %s", formats[i % 4]);
		buf_init(&file, &crew.memory);
		transform(buf_span(&photo), words, &file);
		struct transform_plan plan = crew_plan(buf_span(&file), "WIDTH 60 FORMAT jpeg");
		for (uint64_t k = 1 + random_below(&random, 8); k > 0; k--)
			file.ptr[16 + random_below(&random, file.len - 16)] =
			    (uint8_t)random_next(&random);
		if (i % 5 == 0)
			file.len = 20 + random_below(&random, file.len - 20);
		order_run(&crew, &order, buf_span(&file), &plan);
		cr_assert(order.err == OK || order.err == ERR_INVALID || order.err == ERR_IO ||
		    order.err == ERR_TIMEOUT);
		good += order.err == OK;
		bad += order.err != OK;
		order_fini(&order);
		buf_fini(&file);
	}
	cr_expect_gt(good, 5, "%u", good);
	cr_expect_gt(bad, 50, "%u", bad);
	buf_fini(&photo);
	crew_fini(&crew);
}

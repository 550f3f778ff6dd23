/* tests/unit/image/transform_test.c: the options of IMG.GET and what they come to. */
#include "image/transform.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { WORDS_MAX = 40 };

static char why[128];

/* Parses words separated by blanks; stops at the first error. */
static enum err parse(struct transform *transform, const char *words)
{
	struct span argv[WORDS_MAX];
	uint32_t argc = 0;
	*transform = (struct transform){0};
	why[0] = 0;
	for (const char *at = words; *at != 0 && argc < WORDS_MAX;) {
		size_t len = strcspn(at, " ");
		argv[argc++] = span_of(at, len);
		at += len + (at[len] == ' ');
	}
	for (uint32_t at = 0; at < argc;) {
		uint32_t before = at;
		enum err err = transform_parse(transform, argv, argc, &at, why, sizeof(why));
		cr_assert((err == OK) == (at > before), "%s: %s", words, err_name(err));
		if (err != OK)
			return err;
	}
	return OK;
}

static struct image_meta photo_of(
    enum image_format format, uint32_t width, uint32_t height, uint8_t orientation)
{
	struct image_meta meta = {.format = format, .width = width, .height = height, .frames = 1};
	meta.orientation = orientation;
	return meta;
}

static struct transform_plan resolve(const char *words, const struct image_meta *meta)
{
	struct transform transform;
	struct transform_plan plan;
	enum err err = parse(&transform, words);
	cr_assert_eq(err, OK, "%s: %s %s", words, err_name(err), why);
	err = transform_resolve(&transform, meta, 8192, &plan, why, sizeof(why));
	cr_assert_eq(err, OK, "%s: %s %s", words, err_name(err), why);
	return plan;
}

/* ---- Parsing ---- */

Test(transform, reads_every_option)
{
	struct transform t;
	cr_assert_eq(
	    parse(&t,
	        "WIDTH 320 height 200 Fit COVER DPR 1.5 GRAVITY smart FORMAT webp QUALITY 75 "
	        "STRIP none ENLARGE ROTATE 270 FLIP v CROP 1 2 30.5 40"),
	    OK, "%s", why);
	cr_expect_eq(t.width, 320);
	cr_expect_eq(t.height, 200);
	cr_expect_eq(t.fit, FIT_COVER);
	cr_expect(fabs(t.dpr - 1.5) < 1e-9);
	cr_expect_eq(t.gravity, GRAVITY_SMART);
	cr_expect_eq(t.format, IMAGE_WEBP);
	cr_expect_eq(t.quality, 75);
	cr_expect_eq(t.strip, STRIP_NONE);
	cr_expect(t.enlarge);
	cr_expect_eq(t.rotate, 270);
	cr_expect_eq(t.flip, FLIP_VERTICAL);
	cr_expect(t.has_crop);
	cr_expect(fabs(t.crop_w - 30.5) < 1e-9);
	cr_expect(t.any);
	cr_expect_eq(parse(&t, "GRAVITY nw FLIP h ROTATE 0 FORMAT jpg STRIP all FIT pad"), OK);
	cr_expect_eq(t.gravity, GRAVITY_NW);
	cr_expect_eq(t.format, IMAGE_JPEG);
	cr_expect_eq(t.fit, FIT_PAD);
}

Test(transform, refuses_what_makes_no_sense)
{
	static const struct {
		const char *words;
		enum err err;
		const char *why;
	} cases[] = {
	    {"WIDTH", ERR_INVALID, "syntax error"},
	    {"CROP 1 2 3", ERR_INVALID, "syntax error"},
	    {"WIDTH 1 WIDTH 1", ERR_INVALID, "syntax error"},
	    {"ENLARGE ENLARGE", ERR_INVALID, "syntax error"},
	    {"WIDTH 0", ERR_INVALID, "WIDTH and HEIGHT are whole numbers from 1 to 1000000"},
	    {"HEIGHT 1.5", ERR_INVALID, "WIDTH and HEIGHT are whole numbers from 1 to 1000000"},
	    {"WIDTH 1000001", ERR_INVALID, "WIDTH and HEIGHT are whole numbers from 1 to 1000000"},
	    {"FIT contain", ERR_INVALID, "FIT is one of inside, cover, fill, pad"},
	    {"DPR 0", ERR_INVALID, "DPR is a number from 0.1 to 10"},
	    {"DPR inf", ERR_INVALID, "DPR is a number from 0.1 to 10"},
	    {"GRAVITY north", ERR_INVALID,
	        "GRAVITY is one of c, n, ne, e, se, s, sw, w, nw, smart"},
	    {"CROP 0 0 0 1", ERR_INVALID, "CROP needs a width and a height above 0"},
	    {"CROP -1 0 1 1", ERR_INVALID, "CROP takes four numbers: x y width height"},
	    {"FORMAT gif", ERR_INVALID, "FORMAT is one of original, auto, jpeg, webp, avif, png"},
	    {"QUALITY 0", ERR_INVALID, "QUALITY is a whole number from 1 to 100"},
	    {"QUALITY 101", ERR_INVALID, "QUALITY is a whole number from 1 to 100"},
	    {"STRIP some", ERR_INVALID, "STRIP is one of all, copyright, none"},
	    {"ROTATE 45", ERR_INVALID, "ROTATE is one of 0, 90, 180, 270"},
	    {"FLIP x", ERR_INVALID, "FLIP is h or v"},
	    {"FOCAL 1 2", ERR_UNSUPPORTED, "FOCAL is not available in this version"},
	    {"MAXBYTES 1", ERR_UNSUPPORTED, "MAXBYTES is not available in this version"},
	    {"BLUR 1", ERR_UNSUPPORTED, "BLUR is not available in this version"},
	    {"SHARPEN 1", ERR_UNSUPPORTED, "SHARPEN is not available in this version"},
	    {"BACKGROUND ffffff", ERR_UNSUPPORTED, "BACKGROUND is not available in this version"},
	    {"PRESET x", ERR_UNSUPPORTED, "PRESET is not available in this version"},
	    {"FRAME 1", ERR_UNSUPPORTED, "FRAME is not available in this version"},
	    {"IFNOTMATCH x", ERR_NOTFOUND, ""},
	    {"WIDTHS 1", ERR_NOTFOUND, ""},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct transform t;
		cr_expect_eq(parse(&t, cases[i].words), cases[i].err, "%s", cases[i].words);
		cr_expect_str_eq(why, cases[i].why, "%s: %s", cases[i].words, why);
	}
}

Test(transform, leaves_the_original_alone_when_nothing_is_asked_of_it)
{
	struct transform t;
	cr_expect_eq(parse(&t, "FORMAT original"), OK);
	cr_expect_not(t.any);
	cr_expect_eq(parse(&t, "ACCEPT image/webp FORMAT original"), OK);
	cr_expect_not(t.any);
	cr_expect_not(t.auto_format);
	cr_expect_eq(parse(&t, "FORMAT original ACCEPT image/webp"), OK);
	cr_expect_not(t.any);
	cr_expect_eq(parse(&t, "ACCEPT image/webp"), OK);
	cr_expect(t.any);
	cr_expect(t.auto_format);
}

Test(transform, reads_accept_headers)
{
	static const uint32_t common = 1U << IMAGE_JPEG | 1U << IMAGE_PNG | 1U << IMAGE_GIF;
	static const struct {
		const char *header;
		uint32_t bits;
	} cases[] = {
	    {"", 0},
	    {"text/html", 0},
	    {"image/webp", 1U << IMAGE_WEBP},
	    {"image/avif,image/webp;q=0.8", 1U << IMAGE_AVIF | 1U << IMAGE_WEBP},
	    {" image/AVIF ; q=0.5 ,\timage/jpeg", 1U << IMAGE_AVIF | 1U << IMAGE_JPEG},
	    {"*/*", common},
	    {"image/*;q=0.8,image/webp", common | 1U << IMAGE_WEBP},
	    {"image/avif;q=0,image/webp;q=0.000,image/png;q=0.001", 1U << IMAGE_PNG},
	    {"*/*,image/avif;q=0", common},
	    {"avif,webp", 1U << IMAGE_AVIF | 1U << IMAGE_WEBP},
	    {",,;q=,", 0},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		cr_expect_eq(transform_accept(span_text(cases[i].header)), cases[i].bits, "%s",
		    cases[i].header);
}

/* ---- Sizes ---- */

Test(transform, sizes_are_what_users_of_other_proxies_expect)
{
	static const struct {
		const char *words;
		uint32_t scaled_width, scaled_height, width, height;
	} cases[] = {
	    {"FORMAT jpeg", 4000, 3000, 4000, 3000},
	    {"WIDTH 320", 320, 240, 320, 240},
	    {"HEIGHT 300", 400, 300, 400, 300},
	    {"WIDTH 320 HEIGHT 320", 320, 240, 320, 240},
	    {"WIDTH 320 DPR 2", 640, 480, 640, 480},
	    {"WIDTH 5000", 4000, 3000, 4000, 3000},
	    {"WIDTH 5000 ENLARGE", 5000, 3750, 5000, 3750},
	    {"WIDTH 1", 1, 1, 1, 1},
	    {"WIDTH 300 HEIGHT 300 FIT cover", 400, 300, 300, 300},
	    {"WIDTH 300 HEIGHT 100 FIT cover", 300, 225, 300, 100},
	    {"WIDTH 300 FIT cover", 300, 225, 300, 225},
	    {"WIDTH 5000 HEIGHT 100 FIT cover", 4000, 3000, 4000, 100},
	    {"WIDTH 8000 HEIGHT 8000 FIT cover", 4000, 3000, 4000, 3000},
	    {"WIDTH 4500 HEIGHT 3000 FIT cover ENLARGE", 4500, 3375, 4500, 3000},
	    {"WIDTH 300 HEIGHT 100 FIT fill", 300, 100, 300, 100},
	    {"WIDTH 5000 HEIGHT 100 FIT fill", 4000, 100, 4000, 100},
	    {"WIDTH 5000 HEIGHT 100 FIT fill ENLARGE", 5000, 100, 5000, 100},
	    {"WIDTH 300 HEIGHT 300 FIT pad", 300, 225, 300, 300},
	    {"WIDTH 5000 HEIGHT 5000 FIT pad", 4000, 3000, 5000, 5000},
	    {"WIDTH 300 FIT pad", 300, 225, 300, 225},
	    {"CROP 0 0 1000 500 WIDTH 100", 100, 50, 100, 50},
	    {"CROP 0.5 0.5 0.5 0.5", 2000, 1500, 2000, 1500},
	    {"CROP 3900 2900 500 500", 100, 100, 100, 100},
	    {"WIDTH 300 ROTATE 90", 400, 300, 300, 400},
	    {"WIDTH 300 ROTATE 180", 300, 225, 300, 225},
	};
	struct image_meta meta = photo_of(IMAGE_JPEG, 4000, 3000, 1);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct transform_plan plan = resolve(cases[i].words, &meta);
		cr_expect_eq(plan.scaled_width, cases[i].scaled_width, "%s: %u", cases[i].words,
		    plan.scaled_width);
		cr_expect_eq(plan.scaled_height, cases[i].scaled_height, "%s: %u", cases[i].words,
		    plan.scaled_height);
		cr_expect_eq(plan.width, cases[i].width, "%s: %u", cases[i].words, plan.width);
		cr_expect_eq(plan.height, cases[i].height, "%s: %u", cases[i].words, plan.height);
	}
}

/* ---- Turns ---- */

enum { SIDE_X = 3, SIDE_Y = 2 };

/* A picture small enough to turn by hand, pixel by pixel: the naive model. */
struct picture {
	int w, h;
	int at[16];
};

static struct picture turned_clockwise(struct picture in)
{
	struct picture out = {.w = in.h, .h = in.w};
	for (int y = 0; y < in.h; y++)
		for (int x = 0; x < in.w; x++)
			out.at[x * out.w + (in.h - 1 - y)] = in.at[y * in.w + x];
	return out;
}

static struct picture mirrored(struct picture in)
{
	struct picture out = {.w = in.w, .h = in.h};
	for (int y = 0; y < in.h; y++)
		for (int x = 0; x < in.w; x++)
			out.at[y * in.w + (in.w - 1 - x)] = in.at[y * in.w + x];
	return out;
}

static struct picture rotated(struct picture in, unsigned degrees)
{
	for (; degrees > 0; degrees -= 90)
		in = turned_clockwise(in);
	return in;
}

/* EXIF's orientations, as its standard's picture shows them. */
static struct picture oriented(struct picture in, unsigned orientation)
{
	static const struct {
		bool mirror;
		unsigned degrees;
	} how[9] = {[1] = {0, 0},
	    [2] = {1, 0},
	    [3] = {0, 180},
	    [4] = {1, 180},
	    [5] = {1, 270},
	    [6] = {0, 90},
	    [7] = {1, 90},
	    [8] = {0, 270}};
	return rotated(how[orientation].mirror ? mirrored(in) : in, how[orientation].degrees);
}

static struct picture cropped(struct picture in, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	struct picture out = {.w = (int)w, .h = (int)h};
	for (uint32_t j = 0; j < h; j++)
		for (uint32_t i = 0; i < w; i++)
			out.at[j * w + i] = in.at[(y + j) * (uint32_t)in.w + x + i];
	return out;
}

static bool same(const struct picture *a, const struct picture *b)
{
	return a->w == b->w && a->h == b->h &&
	    memcmp(a->at, b->at, sizeof(int) * (size_t)(a->w * a->h)) == 0;
}

Test(transform, orientation_crop_rotation_and_flip_agree_with_turning_by_hand)
{
	const struct picture stored = {SIDE_X, SIDE_Y, {1, 2, 3, 4, 5, 6}};
	for (uint8_t orientation = 1; orientation <= 8; orientation++) {
		for (unsigned degrees = 0; degrees < 360; degrees += 90) {
			for (unsigned flip = 0; flip < 3; flip++) {
				char words[128];
				const char *flips[] = {"", " FLIP h", " FLIP v"};
				snprintf(words, sizeof(words), "CROP 1 1 1 2 ROTATE %u%s", degrees,
				    flips[flip]);
				struct image_meta meta =
				    photo_of(IMAGE_JPEG, SIDE_X, SIDE_Y, orientation);
				struct transform_plan plan = resolve(words, &meta);
				struct picture seen = oriented(stored, orientation);
				struct picture want = cropped(seen, 1, 1, 1, seen.h > 2 ? 2 : 1);
				want = rotated(want, degrees);
				if (flip == 1)
					want = mirrored(want);
				if (flip == 2)
					want = rotated(mirrored(want), 180);
				struct picture got =
				    oriented(cropped(stored, plan.crop_x, plan.crop_y, plan.crop_w,
				                 plan.crop_h),
				        plan.turn);
				cr_expect(
				    same(&got, &want), "orientation %u, %s", orientation, words);
				cr_expect_eq((int)plan.width, want.w);
				cr_expect_eq((int)plan.height, want.h);
			}
		}
	}
}

/* ---- Formats ---- */

Test(transform, chooses_the_format)
{
	static const struct {
		const char *words;
		enum image_format source;
		bool alpha;
		enum image_format target;
		uint32_t quality;
	} cases[] = {
	    {"WIDTH 9", IMAGE_JPEG, false, IMAGE_JPEG, 80},
	    {"WIDTH 9", IMAGE_PNG, true, IMAGE_PNG, 0},
	    {"WIDTH 9", IMAGE_WEBP, false, IMAGE_WEBP, 80},
	    {"WIDTH 9 FORMAT original", IMAGE_AVIF, false, IMAGE_AVIF, 50},
	    {"WIDTH 9", IMAGE_GIF, false, IMAGE_PNG, 0},
	    {"WIDTH 9", IMAGE_BMP, false, IMAGE_PNG, 0},
	    {"WIDTH 9", IMAGE_TIFF, false, IMAGE_JPEG, 80},
	    {"WIDTH 9", IMAGE_HEIF, false, IMAGE_JPEG, 80},
	    {"WIDTH 9", IMAGE_HEIF, true, IMAGE_PNG, 0},
	    {"FORMAT auto", IMAGE_PNG, false, IMAGE_JPEG, 80},
	    {"FORMAT auto", IMAGE_WEBP, true, IMAGE_PNG, 0},
	    {"FORMAT auto ACCEPT image/avif,image/webp", IMAGE_JPEG, false, IMAGE_AVIF, 50},
	    {"ACCEPT image/webp,*/*", IMAGE_PNG, true, IMAGE_WEBP, 80},
	    {"ACCEPT */*", IMAGE_PNG, true, IMAGE_PNG, 0},
	    {"ACCEPT image/avif FORMAT jpeg QUALITY 33", IMAGE_PNG, true, IMAGE_JPEG, 33},
	    {"FORMAT png QUALITY 33", IMAGE_JPEG, false, IMAGE_PNG, 0},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct image_meta meta = photo_of(cases[i].source, 100, 100, 1);
		meta.alpha = cases[i].alpha;
		struct transform_plan plan = resolve(cases[i].words, &meta);
		cr_expect_eq(plan.target_format, cases[i].target, "%s of %s", cases[i].words,
		    image_format_name(cases[i].source));
		cr_expect_eq(plan.quality, cases[i].quality, "%s", cases[i].words);
	}
}

Test(transform, says_why_it_cannot_be_done)
{
	static const struct {
		const char *words;
		enum image_format source;
		enum err err;
		const char *why;
	} cases[] = {
	    {"WIDTH 9", IMAGE_SVG, ERR_UNSUPPORTED, "SVG is stored, never rendered"},
	    {"WIDTH 9", IMAGE_JXL, ERR_UNSUPPORTED, "JXL is stored, not decoded in this version"},
	    {"DPR 2", IMAGE_JPEG, ERR_INVALID, "DPR needs WIDTH or HEIGHT"},
	    {"CROP 4000 0 10 10", IMAGE_JPEG, ERR_INVALID, "CROP lies outside the image"},
	    {"WIDTH 9000 ENLARGE", IMAGE_JPEG, ERR_TOOLARGE, "result-max-side 8192"},
	    {"WIDTH 9000 HEIGHT 10 FIT pad", IMAGE_JPEG, ERR_TOOLARGE, "result-max-side 8192"},
	    {"WIDTH 100000 HEIGHT 10 FIT cover ENLARGE", IMAGE_JPEG, ERR_TOOLARGE,
	        "result-max-side 8192"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct transform transform;
		struct transform_plan plan;
		struct image_meta meta = photo_of(cases[i].source, 4000, 3000, 1);
		cr_assert_eq(parse(&transform, cases[i].words), OK);
		cr_expect_eq(transform_resolve(&transform, &meta, 8192, &plan, why, sizeof(why)),
		    cases[i].err, "%s", cases[i].words);
		cr_expect_str_eq(why, cases[i].why);
	}
}

/* ---- Keys ---- */

static struct digest key_of(const char *words, const struct image_meta *meta)
{
	struct transform_plan plan = resolve(words, meta);
	return transform_key(&plan, &meta->etag);
}

Test(transform, requests_for_the_same_bytes_have_the_same_key)
{
	static const char *const alike[][2] = {
	    {"WIDTH 320", "HEIGHT 240"},
	    {"WIDTH 320 DPR 2", "WIDTH 640"},
	    {"WIDTH 320 HEIGHT 240 FIT fill", "FIT cover HEIGHT 240 WIDTH 320 GRAVITY n"},
	    {"WIDTH 320 QUALITY 80", "FORMAT jpeg WIDTH 320"},
	    {"WIDTH 320 ROTATE 180 FLIP h", "WIDTH 320 FLIP v"},
	    {"WIDTH 9999", "FORMAT jpeg"},
	    {"WIDTH 320 CROP 0 0 1 1", "WIDTH 320"},
	};
	static const char *const apart[] = {"WIDTH 320", "WIDTH 321", "WIDTH 320 QUALITY 81",
	    "WIDTH 320 FORMAT webp", "WIDTH 320 FLIP h", "WIDTH 320 ROTATE 90",
	    "WIDTH 320 STRIP all", "WIDTH 320 STRIP none", "WIDTH 300 HEIGHT 300 FIT cover",
	    "WIDTH 300 HEIGHT 300 FIT cover GRAVITY n", "WIDTH 300 HEIGHT 300 FIT pad",
	    "CROP 0 0 320 240", "CROP 1 0 320 240"};
	struct image_meta meta = photo_of(IMAGE_JPEG, 4000, 3000, 1), other = meta;
	other.etag.bytes[0] = 1;
	for (size_t i = 0; i < ARRAY_COUNT(alike); i++) {
		struct digest a = key_of(alike[i][0], &meta), b = key_of(alike[i][1], &meta);
		cr_expect(digest_equal(&a, &b), "%s and %s", alike[i][0], alike[i][1]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(apart); i++) {
		struct digest a = key_of(apart[i], &meta), c = key_of(apart[i], &other);
		cr_expect_not(digest_equal(&a, &c), "the content is part of the key");
		for (size_t k = 0; k < i; k++) {
			struct digest b = key_of(apart[k], &meta);
			cr_expect_not(digest_equal(&a, &b), "%s and %s", apart[i], apart[k]);
		}
	}
}

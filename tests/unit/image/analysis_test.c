/* tests/unit/image/analysis_test.c: hashes that survive edits and turn with the picture, colours
 * with names, placeholders, and what is kept of them. */
#include "image/meta.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>

enum { SIDE = ANALYSIS_SIDE };

static struct random chance;

/* A smooth picture: a few waves in each colour. */
static void picture(uint64_t seed, uint8_t pixels[SIDE * SIDE * 4])
{
	double wave[3][12][4];
	random_init(&chance, seed);
	for (unsigned c = 0; c < 3; c++)
		for (unsigned i = 0; i < 12; i++)
			for (unsigned k = 0; k < 4; k++)
				wave[c][i][k] = (double)random_below(&chance, 1000) / 1000;
	for (unsigned y = 0; y < SIDE; y++) {
		for (unsigned x = 0; x < SIDE; x++) {
			uint8_t *at = &pixels[(y * SIDE + x) * 4];
			at[3] = 255;
			for (unsigned c = 0; c < 3; c++) {
				double sum = 128;
				for (unsigned i = 0; i < 12; i++)
					sum += 40 * wave[c][i][3] *
					    sin(wave[c][i][0] * 20 + wave[c][i][1] * x * i / 20 +
					        wave[c][i][2] * y * (12 - i) / 20);
				at[c] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
			}
		}
	}
}

static struct image_analysis analysed(const uint8_t *pixels)
{
	struct image_analysis analysis;
	analysis_make(pixels, 64, 64, &analysis);
	cr_assert(analysis_is_sound(&analysis));
	return analysis;
}

/* The picture of which the pixel at x, y is that of `from` there and there. */
static void turn_pixels(const uint8_t *from, unsigned turn, uint8_t *to)
{
	for (unsigned y = 0; y < SIDE; y++)
		for (unsigned x = 0; x < SIDE; x++) {
			unsigned a = turn & 1 ? SIDE - 1 - x : x, b = turn & 2 ? SIDE - 1 - y : y;
			unsigned at = turn & 4 ? a * SIDE + b : b * SIDE + a;
			memcpy(&to[(y * SIDE + x) * 4], &from[at * 4], 4);
		}
}

Test(analysis, a_hash_turns_with_the_picture)
{
	static uint8_t pixels[SIDE * SIDE * 4], turned[SIDE * SIDE * 4];
	for (uint64_t seed = 1; seed < 20; seed++) {
		picture(seed, pixels);
		struct image_analysis original = analysed(pixels);
		cr_expect(analysis_has_phash(&original));
		for (unsigned turn = 0; turn < PHASH_TURNS; turn++) {
			uint8_t expected[PHASH_BYTES];
			turn_pixels(pixels, turn, turned);
			struct image_analysis other = analysed(turned);
			phash_turn(original.phash, turn, expected);
			cr_expect_leq(phash_distance(other.phash, expected), 2, "seed %u, turn %u: %u",
			    (unsigned)seed, turn, phash_distance(other.phash, expected));
		}
	}
}

Test(analysis, a_hash_is_near_after_mild_edits_and_far_for_strangers)
{
	static uint8_t pixels[SIDE * SIDE * 4], other[SIDE * SIDE * 4];
	for (uint64_t seed = 1; seed < 40; seed++) {
		picture(seed, pixels);
		struct image_analysis original = analysed(pixels);
		for (unsigned i = 0; i < sizeof(other); i++)
			other[i] = i % 4 == 3 ? 255
			    : (uint8_t)(pixels[i] * 3 / 4 + 20 + (int)random_below(&chance, 2));
		struct image_analysis edited = analysed(other);
		cr_expect_leq(phash_distance(original.phash, edited.phash), 40);
		picture(seed + 1000, other);
		struct image_analysis stranger = analysed(other);
		cr_expect_geq(phash_distance(original.phash, stranger.phash), 80);
	}
}

Test(analysis, what_is_flat_or_a_plain_slope_has_no_hash)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	for (unsigned kind = 0; kind < 3; kind++) {
		for (unsigned i = 0; i < SIDE * SIDE; i++) {
			uint8_t value = (uint8_t)(kind == 0 ? 77 : kind == 1 ? i % SIDE * 4 : i / SIDE * 4);
			memset(&pixels[(size_t)i * 4], value, 3);
			pixels[i * 4 + 3] = 255;
		}
		struct image_analysis analysis = analysed(pixels);
		cr_expect(!analysis_has_phash(&analysis), "kind %u: %u", kind, analysis.quality);
	}
}

Test(analysis, hashes_as_text)
{
	uint8_t hash[PHASH_BYTES], again[PHASH_BYTES];
	char text[2 * PHASH_BYTES];
	for (unsigned i = 0; i < PHASH_BYTES; i++)
		hash[i] = (uint8_t)(i * 37);
	phash_format(hash, text);
	cr_assert(phash_parse(span_of(text, sizeof(text)), again));
	cr_expect_eq(memcmp(hash, again, sizeof(hash)), 0);
	cr_expect(!phash_parse(span_of(text, sizeof(text) - 1), again));
	text[5] = 'g';
	cr_expect(!phash_parse(span_of(text, sizeof(text)), again));
}

Test(analysis, colours_have_the_names_that_people_give_them)
{
	static const struct { uint8_t rgb[3]; const char *name; } colours[] = {
	    {{0, 0, 0}, "black"}, {{255, 255, 255}, "white"}, {{128, 128, 128}, "grey"},
	    {{220, 20, 20}, "red"}, {{255, 140, 0}, "orange"}, {{250, 220, 30}, "yellow"},
	    {{30, 150, 40}, "green"}, {{0, 128, 128}, "teal"}, {{30, 60, 200}, "blue"},
	    {{130, 40, 170}, "purple"}, {{255, 130, 180}, "pink"}, {{110, 65, 30}, "brown"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(colours); i++) {
		const uint8_t *rgb = colours[i].rgb;
		cr_expect_str_eq(colour_name(colour_of(rgb[0], rgb[1], rgb[2])), colours[i].name);
	}
	cr_expect_null(colour_name(COLOUR_NAMES));
}

Test(analysis, the_palette_has_the_colours_with_their_shares)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	for (unsigned i = 0; i < SIDE * SIDE; i++) {
		static const uint8_t red[4] = {210, 20, 30, 255}, blue[4] = {20, 40, 190, 255};
		static const uint8_t clear[4] = {0, 255, 0, 0};
		unsigned x = i % SIDE;
		memcpy(&pixels[(size_t)i * 4], x < 24 ? red : x < 32 ? blue : clear, 4);
	}
	struct image_analysis analysis = analysed(pixels);
	cr_assert_eq(analysis.palette_count, 2);
	cr_expect_eq(analysis.palette[0].percent, 75);
	cr_expect_eq(analysis.palette[1].percent, 25);
	cr_expect(abs(analysis.palette[0].red - 210) <= 2 && analysis.palette[1].blue >= 188);
	cr_expect_eq(palette_mask(&analysis),
	    1U << colour_of(210, 20, 30) | 1U << colour_of(20, 40, 190));
	memset(pixels, 0, sizeof(pixels));
	analysis = analysed(pixels);
	cr_expect_eq(analysis.palette_count, 0, "nothing can be seen of it");
	cr_expect_eq(palette_mask(&analysis), 0);
}

/* The mean colour out of the first bits of a ThumbHash, as its readers calculate it. */
static void thumbhash_mean(const uint8_t *hash, double rgb[3])
{
	uint32_t head = hash[0] | (uint32_t)hash[1] << 8 | (uint32_t)hash[2] << 16;
	double l = (head & 63) / 63.0, p = (head >> 6 & 63) / 31.5 - 1;
	double q = (head >> 12 & 63) / 31.5 - 1, b = l - 2.0 / 3 * p;
	rgb[0] = (3 * l - b + q) / 2;
	rgb[1] = rgb[0] - q;
	rgb[2] = b;
}

Test(analysis, the_placeholder_knows_mean_shape_and_transparency)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	struct image_analysis wide, tall;
	double rgb[3];
	for (unsigned i = 0; i < SIDE * SIDE; i++)
		memcpy(&pixels[(size_t)i * 4], (uint8_t[]){200, 100, 50, 255}, 4);
	analysis_make(pixels, 300, 100, &wide);
	analysis_make(pixels, 100, 300, &tall);
	thumbhash_mean(wide.placeholder, rgb);
	cr_expect(fabs(rgb[0] * 255 - 200) < 12 && fabs(rgb[1] * 255 - 100) < 12 &&
	    fabs(rgb[2] * 255 - 50) < 12, "%f %f %f", rgb[0], rgb[1], rgb[2]);
	cr_expect((wide.placeholder[4] & 0x80) != 0 && (tall.placeholder[4] & 0x80) == 0);
	cr_expect_eq(wide.placeholder[2] & 0x80, 0);
	pixels[3] = 0;
	analysis_make(pixels, 300, 100, &wide);
	cr_expect_eq(wide.placeholder[2] & 0x80, 0x80);
	cr_expect_leq(wide.placeholder_bytes, PLACEHOLDER_MAX);
}

Test(analysis, what_is_kept_comes_back_and_anything_else_is_corrupt)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	struct memory memory = {0};
	struct image_analysis back;
	struct buf kept;
	picture(7, pixels);
	struct image_analysis analysis = analysed(pixels);
	buf_init(&kept, &memory);
	analysis_encode(&analysis, &kept);
	cr_expect_leq(kept.len, ANALYSIS_ENCODED_MAX);
	cr_assert_eq(analysis_decode(buf_span(&kept), &back), OK);
	cr_expect_eq(memcmp(&analysis, &back, sizeof(back)), 0);
	for (size_t len = 0; len < kept.len; len++)
		cr_expect_eq(analysis_decode(span_of(kept.ptr, len), &back), ERR_CORRUPT, "%zu", len);
	kept.ptr[0]++;
	cr_expect_eq(analysis_decode(buf_span(&kept), &back), OK);
	cr_expect_eq(back.state, ANALYSIS_NONE, "another version is made again");
	buf_clear(&kept);
	const struct image_analysis failed = {.version = ANALYSIS_VERSION, .state = ANALYSIS_FAILED};
	analysis_encode(&failed, &kept);
	cr_assert_eq(analysis_decode(buf_span(&kept), &back), OK);
	cr_expect_eq(back.state, ANALYSIS_FAILED);
	buf_fini(&kept);
}

Test(analysis, metadata_carries_it_and_the_quiet_mark)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	static struct image_meta meta, back;
	struct memory memory = {0};
	struct buf kept;
	picture(9, pixels);
	meta = (struct image_meta){.format = IMAGE_PNG, .width = 3, .height = 4, .title = SPAN_LIT("t")};
	buf_init(&kept, &memory);
	cr_assert_eq(image_meta_encode(&meta, &kept), OK);
	cr_assert_eq(image_meta_decode(buf_span(&kept), &back), OK);
	cr_expect(back.analysis.state == ANALYSIS_NONE && image_meta_quiet_lsn(buf_span(&kept)) == 0);
	meta.analysis = analysed(pixels);
	buf_clear(&kept);
	cr_assert_eq(image_meta_encode(&meta, &kept), OK);
	image_meta_mark_quiet(&kept, 70000);
	cr_assert_eq(image_meta_decode(buf_span(&kept), &back), OK);
	cr_expect_eq(memcmp(&meta.analysis, &back.analysis, sizeof(meta.analysis)), 0);
	cr_expect_eq(image_meta_quiet_lsn(buf_span(&kept)), 70000);
	cr_expect_eq(image_meta_quiet_lsn(span_of(kept.ptr, kept.len - 1)), 0);
	buf_fini(&kept);
}

/* tests/unit/image/meta_test.c: metadata keeps what it was given, and refuses what it cannot
 * have written. */
#include "image/meta.h"

#include "base/random.h"

#include <criterion/criterion.h>

static uint8_t letters[8192];

static struct span random_text(struct random *random, uint64_t len_max)
{
	for (size_t i = 0; letters[0] == 0 && i < sizeof(letters); i++)
		letters[sizeof(letters) - 1 - i] = (uint8_t)(1 + i % 255);
	return span_of(letters + random_below(random, 1000), random_below(random, len_max + 1));
}

static struct span random_word(struct random *random, uint64_t len_max)
{
	struct span text = random_text(random, len_max - 1);
	return span_of(text.ptr, text.len + 1);
}

static void random_photo(struct random *random, struct image_meta *meta)
{
	meta->has = (uint32_t)random_below(random, 64);
	if (meta->has & IMAGE_HAS_TAKEN)
		meta->taken_ms = (int64_t)random_next(random);
	if (meta->has & IMAGE_HAS_LOCATION) {
		meta->lon = (double)random_below(random, 360) - 180;
		meta->lat = (double)random_below(random, 180) - 90;
	}
	if (meta->has & IMAGE_HAS_FOCAL)
		meta->focal_mm = (double)random_below(random, 1000) / 7;
	if (meta->has & IMAGE_HAS_APERTURE)
		meta->aperture = (double)random_below(random, 1000) / 7;
	if (meta->has & IMAGE_HAS_EXPOSURE)
		meta->exposure_s = (double)random_below(random, 1000) / 7;
	if (meta->has & IMAGE_HAS_ISO)
		meta->iso = (double)random_below(random, 1000);
	meta->camera = random_text(random, 100);
	meta->lens = random_text(random, 100);
}

static void random_meta(struct random *random, struct image_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	meta->format = (enum image_format)random_below(random, IMAGE_FORMAT_COUNT);
	meta->width = (uint32_t)random_next(random);
	meta->height = (uint32_t)random_below(random, 2) * 77;
	meta->frames = (uint32_t)random_below(random, 1000);
	meta->orientation = (uint8_t)random_below(random, 9);
	meta->progressive = random_below(random, 2) == 0;
	meta->alpha = random_below(random, 2) == 0;
	meta->bytes = random_next(random) >> random_below(random, 64);
	for (size_t i = 0; i < sizeof(meta->etag.bytes); i++)
		meta->etag.bytes[i] = (uint8_t)random_next(random);
	random_photo(random, meta);
	meta->title = random_text(random, 300);
	meta->caption = random_text(random, 2000);
	meta->tag_count = (uint32_t)random_below(random, 20);
	for (uint32_t i = 0; i < meta->tag_count; i++)
		meta->tags[i] = random_word(random, TAG_BYTES_MAX);
	meta->attr_count = (uint32_t)random_below(random, 20);
	for (uint32_t i = 0; i < meta->attr_count; i++)
		meta->attrs[i] = (struct image_attr){
		    random_word(random, ATTR_NAME_MAX), random_text(random, ATTR_VALUE_MAX)};
	meta->created_ms = (int64_t)random_next(random);
}

static void expect_same(const struct image_meta *a, const struct image_meta *b)
{
	cr_expect_eq(a->format, b->format);
	cr_expect(a->width == b->width && a->height == b->height && a->frames == b->frames);
	cr_expect_eq(a->orientation, b->orientation);
	cr_expect(a->progressive == b->progressive && a->alpha == b->alpha && a->bytes == b->bytes);
	cr_expect(digest_equal(&a->etag, &b->etag));
	cr_expect_eq(a->has, b->has);
	cr_expect(a->taken_ms == b->taken_ms && a->created_ms == b->created_ms);
	cr_expect_eq(memcmp(&a->lon, &b->lon, 6 * sizeof(double)), 0);
	cr_expect(span_equal(a->camera, b->camera) && span_equal(a->lens, b->lens));
	cr_expect(span_equal(a->title, b->title) && span_equal(a->caption, b->caption));
	cr_assert_eq(a->tag_count, b->tag_count);
	for (uint32_t i = 0; i < a->tag_count; i++)
		cr_expect(span_equal(a->tags[i], b->tags[i]));
	cr_assert_eq(a->attr_count, b->attr_count);
	for (uint32_t i = 0; i < a->attr_count; i++)
		cr_expect(span_equal(a->attrs[i].name, b->attrs[i].name) &&
		    span_equal(a->attrs[i].value, b->attrs[i].value));
}

Test(meta, keeps_what_it_was_given)
{
	struct random random;
	struct memory memory = {0};
	struct buf encoded;
	static struct image_meta meta, back;
	random_init(&random, 11);
	buf_init(&encoded, &memory);
	for (unsigned round = 0; round < 3000; round++) {
		random_meta(&random, &meta);
		buf_clear(&encoded);
		cr_assert_eq(image_meta_encode(&meta, &encoded), OK);
		cr_assert_eq(image_meta_decode(buf_span(&encoded), &back), OK);
		expect_same(&meta, &back);
	}
	buf_fini(&encoded);
}

Test(meta, refuses_truncated_and_survives_damaged_bytes)
{
	struct random random;
	struct memory memory = {0};
	struct buf encoded;
	static struct image_meta meta, back;
	unsigned refused = 0;
	random_init(&random, 12);
	buf_init(&encoded, &memory);
	for (unsigned round = 0; round < 20000; round++) {
		if (round % 100 == 0) {
			random_meta(&random, &meta);
			buf_clear(&encoded);
			cr_assert_eq(image_meta_encode(&meta, &encoded), OK);
		}
		size_t len = random_below(&random, encoded.len + 1);
		uint8_t *copy = memory_alloc(&memory, len + 1);
		memcpy(copy, encoded.ptr, len);
		if (len > 0 && random_below(&random, 2) == 0)
			copy[random_below(&random, len)] = (uint8_t)random_next(&random);
		enum err err = image_meta_decode(span_of(copy, len), &back);
		cr_assert(err == OK || err == ERR_CORRUPT);
		refused += err != OK;
		memory_free(&memory, copy, len + 1);
	}
	cr_expect_gt(refused, 10000);
	buf_fini(&encoded);
}

Test(meta, says_when_it_is_too_much)
{
	static uint8_t caption[META_BYTES_MAX];
	struct memory memory = {0};
	struct buf encoded;
	static struct image_meta meta;
	meta.caption = span_of(caption, sizeof(caption));
	buf_init(&encoded, &memory);
	cr_expect_eq(image_meta_encode(&meta, &encoded), ERR_TOOLARGE);
	buf_fini(&encoded);
}

Test(meta, turned_images_are_displayed_turned)
{
	struct image_meta meta = {.width = 30, .height = 20};
	uint32_t width, height;
	for (uint8_t orientation = 0; orientation <= 8; orientation++) {
		meta.orientation = orientation;
		image_displayed_size(&meta, &width, &height);
		cr_expect_eq(width, orientation >= 5 ? 20 : 30);
		cr_expect_eq(height, orientation >= 5 ? 30 : 20);
	}
}

Test(meta, names_and_mime_types_go_both_ways)
{
	for (unsigned i = IMAGE_UNKNOWN + 1; i < IMAGE_FORMAT_COUNT; i++) {
		enum image_format format = (enum image_format)i;
		cr_expect_eq(image_format_parse(span_text(image_format_name(format))), format);
		cr_expect_eq(strncmp(image_mime_type(format), "image/", 6), 0);
	}
	cr_expect_eq(image_format_parse(SPAN_LIT("JPG")), IMAGE_JPEG);
	cr_expect_eq(image_format_parse(SPAN_LIT("exe")), IMAGE_UNKNOWN);
}

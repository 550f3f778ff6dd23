/* tests/fuzz/fuzz_probe.c: any bytes as an image file. What is accepted must keep its promises:
 * sizes within the limits, metadata that can be stored and read back, a plan that fits. */
#include "image/probe.h"
#include "image/transform.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void check_plan(const struct image_meta *meta, uint8_t choice)
{
	char why[128];
	struct transform_plan plan;
	const struct transform transform = {
	    .width = choice & 1 ? 320 : 0,
	    .height = choice & 2 ? 7000 : 0,
	    .fit = (enum transform_fit)(choice >> 2 & 3),
	    .rotate = (uint16_t)(90 * (choice >> 4 & 3)),
	    .flip = choice >> 6 & 1,
	    .enlarge = choice >> 7,
	    .has_crop = choice % 3 == 0,
	    .crop_x = choice % 7,
	    .crop_w = choice % 5 + 1,
	    .crop_h = 0.5,
	};
	if (transform_resolve(&transform, meta, 8192, &plan, why, sizeof(why)) != OK)
		return;
	expect(plan.crop_w > 0 && plan.crop_x + plan.crop_w <= meta->width);
	expect(plan.crop_h > 0 && plan.crop_y + plan.crop_h <= meta->height);
	expect(plan.width > 0 && plan.width <= 8192 && plan.height > 0 && plan.height <= 8192);
	expect(plan.scaled_width > 0 && plan.scaled_height > 0 && plan.turn >= 1 && plan.turn <= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct probe_limits limits = {
	    .bytes_max = 1 << 20,
	    .pixels_max = 100000000,
	    .side_max = 32768,
	    .frames_max = 300,
	    .pixels_per_byte_max = 1100,
	};
	static struct image_meta meta, back;
	static struct memory memory;
	uint8_t scratch[PROBE_SCRATCH_BYTES];
	char why[PROBE_WHY_BYTES];
	meta.format = IMAGE_UNKNOWN;
	enum err err = image_probe(span_of(data, size), &limits, scratch, &meta, why);
	expect(err == OK || err == ERR_INVALID || err == ERR_TOOLARGE);
	expect((why[0] != 0) == (err != OK));
	if (err != OK)
		return 0;
	expect(
	    meta.format != IMAGE_UNKNOWN && meta.frames >= 1 && meta.frames <= limits.frames_max);
	expect(meta.width <= limits.side_max && meta.height <= limits.side_max);
	expect(meta.orientation >= 1 && meta.orientation <= 8);
	struct buf encoded;
	buf_init(&encoded, &memory);
	expect(image_meta_encode(&meta, &encoded) == OK);
	expect(image_meta_decode(buf_span(&encoded), &back) == OK);
	expect(back.width == meta.width && back.has == meta.has &&
	    span_equal(back.camera, meta.camera));
	buf_fini(&encoded);
	check_plan(&meta, data[size / 2]);
	return 0;
}

/* tests/unit/image/vips_test.c: the libvips worker program, through the pool: what comes out
 * has exactly the format and size that were ordered, and shows the right thing. */
#include "crew.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define PHOTO "/usr/share/backgrounds/mate/nature/Storm.jpg"

static void check_result(
    const struct order *order, enum image_format format, uint32_t width, uint32_t height)
{
	struct image_meta meta;
	cr_assert_eq(order->err, OK, "%s: %s", err_name(order->err), order->job.why);
	crew_probe(body_span(order->job.result), &meta);
	cr_expect_eq(meta.format, format, "%s", image_format_name(meta.format));
	cr_expect_eq(meta.width, width, "%u", meta.width);
	cr_expect_eq(meta.height, height, "%u", meta.height);
	cr_expect_eq(meta.orientation, 1);
}

Test(vips, makes_thumbnails_of_a_photograph, .timeout = 60)
{
	struct crew crew;
	static const enum image_format formats[] = {IMAGE_JPEG, IMAGE_WEBP, IMAGE_AVIF, IMAGE_PNG};
	crew_init(&crew, "tintype-vips");
	struct buf photo = crew_file(&crew, PHOTO);
	for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
		struct order order;
		char words[64];
		snprintf(
		    words, sizeof(words), "WIDTH 320 FORMAT %s", image_format_name(formats[i]));
		struct transform_plan plan = crew_plan(buf_span(&photo), words);
		order_run(&crew, &order, buf_span(&photo), &plan);
		check_result(&order, formats[i], 320, 213);
		fprintf(stderr, "%s %zu bytes %lu us\n", words, order.job.result->len,
		    order.job.worker_us);
		order_fini(&order);
	}
	buf_fini(&photo);
	crew_fini(&crew);
}

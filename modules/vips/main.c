/* modules/vips/main.c: the worker program that decodes and transforms, on libvips.
 *
 * Everything that a job could need is run once before the doors close (worker.h): codecs
 * that are loaded on demand, colour profiles, thread pools, JIT memory.
 */
#include "modules/vips/work.h"
#include "modules/worker.h"

static enum worker_status status_of_failure(const struct transform_plan *plan)
{
	enum image_format format = (enum image_format)plan->target_format;
	bool writes = format == IMAGE_JPEG || format == IMAGE_WEBP || format == IMAGE_AVIF ||
	    format == IMAGE_PNG;
	return writes ? WORKER_BAD_SOURCE : WORKER_UNABLE;
}

/* The first line of what libvips has to say. */
static void explain(struct worker_answer *answer)
{
	size_t at = 0;
	const char *text = vips_error_buffer();
	while (text[at] != 0 && text[at] != '\n' && at < sizeof(answer->why) - 1) {
		answer->why[at] = text[at];
		at++;
	}
	answer->why[at] = 0;
	vips_error_clear();
}

static bool transform(
    const struct transform_plan *plan, struct span source, void **bytes, size_t *len)
{
	VipsImage *image = NULL;
	*bytes = NULL;
	bool done = load_image(plan, source, &image) && scale_image(plan, &image) &&
	    frame_image(plan, &image) && save_image(plan, &image, bytes, len);
	if (image != NULL)
		g_object_unref(image);
	return done;
}

static bool analyse(
    const struct transform_plan *plan, struct span source, void **bytes, size_t *len)
{
	VipsImage *image = NULL;
	struct image_analysis *analysis = g_new0(struct image_analysis, 1);
	*bytes = analysis;
	*len = sizeof(*analysis);
	bool done = load_image(plan, source, &image) && scale_image(plan, &image) &&
	    frame_image(plan, &image) && analyse_image(plan, &image, analysis);
	if (image != NULL)
		g_object_unref(image);
	return done;
}

static void run(const struct worker_task *task, struct worker_answer *answer)
{
	struct transform_plan plan;
	void *bytes;
	size_t len = 0;
	memcpy(&plan, task->plan, sizeof(plan));
	vips_error_clear();
	bool done = plan.task == TASK_ANALYSE ? analyse(&plan, task->source, &bytes, &len)
	                                      : transform(&plan, task->source, &bytes, &len);
	if (!done) {
		answer->status = status_of_failure(&plan);
		explain(answer);
	} else if (len > task->result_bytes_max) {
		answer->status = WORKER_NO_ROOM;
		g_snprintf(answer->why, sizeof(answer->why),
		    "the result has %zu bytes: over worker-output", len);
	} else {
		memcpy(task->result, bytes, len);
		answer->status = WORKER_DONE;
		answer->bytes = len;
		answer->width = plan.width;
		answer->height = plan.height;
		answer->format = plan.target_format;
	}
	g_free(bytes);
}

/* ---- Warming up ---- */

/* A picture with a little of everything, in memory: colour, alpha. */
static VipsImage *sample_image(void)
{
	enum { SIDE = 64, BANDS = 4 };
	uint8_t pixels[SIDE * SIDE * BANDS];
	for (unsigned i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)(i * 7 + i / 256);
	return vips_image_new_from_memory_copy(
	    pixels, sizeof(pixels), SIDE, SIDE, BANDS, VIPS_FORMAT_UCHAR);
}

static bool encode_sample(enum image_format format, void **bytes, size_t *len)
{
	VipsImage *image = sample_image(), *colour = NULL;
	int rc = -1;
	*bytes = NULL;
	if (image != NULL &&
	    vips_copy(image, &colour, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) == 0) {
		if (format == IMAGE_TIFF)
			rc = vips_tiffsave_buffer(colour, bytes, len, NULL);
		else if (format == IMAGE_GIF)
			rc = vips_gifsave_buffer(colour, bytes, len, NULL);
		else
			rc = 0;
	}
	const struct transform_plan plan = {
	    .target_format = format, .quality = 80, .strip = STRIP_NONE};
	if (rc == 0 && *bytes == NULL)
		rc = save_image(&plan, &colour, bytes, len) ? 0 : -1;
	if (colour != NULL)
		g_object_unref(colour);
	if (image != NULL)
		g_object_unref(image);
	return rc == 0;
}

/* One trip through every step, for a source of this format. */
static bool warm_up(
    enum image_format source, enum image_format target, uint32_t turn, uint32_t gravity)
{
	void *bytes, *result;
	size_t len = 0, result_len;
	struct transform_plan plan = {
	    .version = TRANSFORM_VERSION,
	    .source_format = source,
	    .source_width = 64,
	    .source_height = 64,
	    .crop_w = 64,
	    .crop_h = 64,
	    .scaled_width = 32,
	    .scaled_height = 24,
	    .turn = turn,
	    .width = 20,
	    .height = 40,
	    .gravity = gravity,
	    .target_format = target,
	    .quality = 80,
	};
	bool done = encode_sample(source, &bytes, &len) &&
	    transform(&plan, span_of(bytes, len), &result, &result_len);
	if (!done)
		g_printerr("warming up %s: %s", image_format_name(source), vips_error_buffer());
	else
		g_free(result);
	g_free(bytes);
	return done;
}

/* The conversions that only some images need. */
static bool warm_up_colours(void)
{
	VipsImage *image = sample_image(), *cmyk = NULL, *back = NULL, *profile = NULL;
	void *bytes = NULL;
	size_t len;
	bool done = image != NULL &&
	    vips_copy(image, &cmyk, "interpretation", VIPS_INTERPRETATION_CMYK, NULL) == 0 &&
	    vips_icc_transform(cmyk, &back, "srgb", "input_profile", "cmyk", NULL) == 0 &&
	    vips_icc_transform(back, &profile, "p3", "input_profile", "srgb", NULL) == 0 &&
	    vips_pngsave_buffer(profile, &bytes, &len, NULL) == 0;
	g_free(bytes);
	VipsImage *all[] = {image, cmyk, back, profile};
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		if (all[i] != NULL)
			g_object_unref(all[i]);
	return done;
}

static bool warm_up_analysis(void)
{
	void *bytes = NULL, *result = NULL;
	size_t len = 0, result_len;
	struct transform_plan plan;
	const struct image_meta meta = {
	    .format = IMAGE_PNG, .width = 64, .height = 64, .orientation = 6};
	bool done = transform_analyse(&meta, &plan) == OK &&
	    encode_sample(IMAGE_PNG, &bytes, &len) &&
	    analyse(&plan, span_of(bytes, len), &result, &result_len);
	g_free(result);
	g_free(bytes);
	return done;
}

static void drop_message(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer ctx)
{
	/* Warnings are about the image, which anyone may have sent: not for the server's log. */
	(void)domain, (void)level, (void)text, (void)ctx;
}

static bool prepare(void)
{
	g_log_set_default_handler(drop_message, NULL);
	if (VIPS_INIT("tintype-vips") != 0)
		return false;
	vips_block_untrusted_set(TRUE);
	vips_cache_set_max(0);
	vips_concurrency_set(1);
	bool done = warm_up(IMAGE_JPEG, IMAGE_AVIF, 6, GRAVITY_SMART) &&
	    warm_up(IMAGE_PNG, IMAGE_WEBP, 2, GRAVITY_CENTRE) &&
	    warm_up(IMAGE_WEBP, IMAGE_PNG, 1, GRAVITY_N) &&
	    warm_up(IMAGE_AVIF, IMAGE_JPEG, 5, GRAVITY_SMART) &&
	    warm_up(IMAGE_TIFF, IMAGE_JPEG, 1, GRAVITY_CENTRE) &&
	    warm_up(IMAGE_GIF, IMAGE_PNG, 3, GRAVITY_CENTRE) && warm_up_colours() &&
	    warm_up_analysis();
	if (!done)
		g_printerr("warming up: %s\n", vips_error_buffer());
	return done;
}

int main(void)
{
	static const struct worker_program program = {
	    .plan_bytes = sizeof(struct transform_plan),
	    .plan_version = TRANSFORM_VERSION,
	    .prepare = prepare,
	    .run = run,
	};
	return worker_main(&program);
}

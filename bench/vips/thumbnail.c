/* bench/vips/thumbnail.c: libvips in one process and one thread: the peer of a derivative that
 * goes through server and sandbox.
 *
 *   bench-thumbnail FILE ROUNDS      prints the median milliseconds of a 320 px JPEG
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vips/vips.h>

enum { ROUNDS_MAX = 1000 };

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int make(void *data, size_t bytes)
{
	VipsImage *image = NULL;
	void *out = NULL;
	size_t out_bytes = 0;
	int failed = vips_thumbnail_buffer(data, bytes, &image, 320, "height", 100000, "size",
	    VIPS_SIZE_DOWN, NULL);
	if (!failed)
		failed =
		    vips_jpegsave_buffer(image, &out, &out_bytes, "Q", 80, "strip", TRUE, NULL);
	if (image != NULL)
		g_object_unref(image);
	g_free(out);
	return failed;
}

int main(int argc, char **argv)
{
	static double times[ROUNDS_MAX];
	gchar *data;
	gsize bytes;
	if (argc != 3 || VIPS_INIT(argv[0]) || !g_file_get_contents(argv[1], &data, &bytes, NULL))
		return 2;
	long rounds = strtol(argv[2], NULL, 10);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	for (long i = -1; i < rounds; i++) {
		double from = now_ms();
		if (make(data, bytes))
			return 1;
		if (i >= 0)
			times[i] = now_ms() - from;
	}
	qsort(times, (size_t)rounds, sizeof(times[0]), compare);
	printf("%.3f\n", times[rounds / 2]);
	g_free(data);
	return 0;
}

/* image/placeholder.c: ThumbHash; see analysis.h. Lightness, two colour differences and, where
 * there is any, transparency as a few cosines each, in 4 bits a coefficient:
 *
 *   24 bits: means of l (6), p (6), q (6), range of l (5), has alpha (1)
 *   16 bits: cosines along the shorter side (3), ranges of p (6) and q (6), is landscape (1)
 *    8 bits, with alpha only: its mean (4) and range (4)
 *   then the coefficients of l, p, q and alpha, low half of a byte first
 */
#include "image/analysis.h"

#include <math.h>

enum { SIDE = ANALYSIS_SIDE, PIXELS = SIDE * SIDE, WAVES_MAX = 8, TERMS_MAX = 40 };

struct channel {
	float    mean, range;
	float    terms[TERMS_MAX];        /* 0..1 */
	unsigned count;
};

static float wave_sum(const float *values, const float *wave_x, const float *wave_y)
{
	float sum = 0;
	for (unsigned y = 0; y < SIDE; y++) {
		float row = 0;
		for (unsigned x = 0; x < SIDE; x++)
			row += values[y * SIDE + x] * wave_x[x];
		sum += row * wave_y[y];
	}
	return sum / PIXELS;
}

/* The corner of low frequencies: cx / nx + cy / ny < 1. */
static void channel_encode(const float *values, unsigned nx, unsigned ny, struct channel *out)
{
	float waves[WAVES_MAX][SIDE];
	ASSERT(nx <= WAVES_MAX && ny <= WAVES_MAX);
	for (unsigned c = 0; c < WAVES_MAX; c++)
		for (unsigned x = 0; x < SIDE; x++)
			waves[c][x] = (float)cos(M_PI / SIDE * c * (x + 0.5));
	*out = (struct channel){0};
	for (unsigned cy = 0; cy < ny; cy++) {
		for (unsigned cx = 0; cx * ny < nx * (ny - cy); cx++) {
			float sum = wave_sum(values, waves[cx], waves[cy]);
			if (cx == 0 && cy == 0) {
				out->mean = sum;
				continue;
			}
			ASSERT(out->count < TERMS_MAX);
			out->terms[out->count++] = sum;
			out->range = fmaxf(out->range, fabsf(sum));
		}
	}
	for (unsigned i = 0; i < out->count; i++)
		out->terms[i] = out->range > 0 ? 0.5f + 0.5f * out->terms[i] / out->range : 0;
}

struct writer {
	uint8_t *out;
	size_t   len;
	bool     half;
};

static void write_channel(struct writer *writer, const struct channel *channel)
{
	for (unsigned i = 0; i < channel->count; i++) {
		unsigned nibble = (unsigned)lroundf(15 * channel->terms[i]);
		ASSERT(nibble <= 15);
		if (writer->half) {
			writer->out[writer->len - 1] |= (uint8_t)(nibble << 4);
		} else {
			ASSERT(writer->len < PLACEHOLDER_MAX);
			writer->out[writer->len++] = (uint8_t)nibble;
		}
		writer->half = !writer->half;
	}
}

struct planes {
	float l[PIXELS], p[PIXELS], q[PIXELS], alpha[PIXELS];
	bool  has_alpha;
};

/* What is transparent takes the mean colour of the rest. */
static void planes_make(const uint8_t *pixels, struct planes *out)
{
	float mean[3] = {0, 0, 0}, sum = 0;
	for (unsigned i = 0; i < PIXELS; i++) {
		float alpha = (float)pixels[4 * i + 3] / 255;
		for (unsigned c = 0; c < 3; c++)
			mean[c] += alpha * (float)pixels[4 * i + c] / 255;
		sum += alpha;
	}
	for (unsigned c = 0; c < 3; c++)
		mean[c] = sum > 0 ? mean[c] / sum : 0;
	for (unsigned i = 0; i < PIXELS; i++) {
		float alpha = (float)pixels[4 * i + 3] / 255, value[3];
		for (unsigned c = 0; c < 3; c++)
			value[c] = mean[c] * (1 - alpha) + alpha * (float)pixels[4 * i + c] / 255;
		out->l[i] = (value[0] + value[1] + value[2]) / 3;
		out->p[i] = (value[0] + value[1]) / 2 - value[2];
		out->q[i] = value[0] - value[1];
		out->alpha[i] = alpha;
	}
	out->has_alpha = sum < PIXELS;
}

static unsigned waves_of(unsigned most, uint32_t side, uint32_t longer)
{
	long count = lround((double)most * side / longer);
	return count < 1 ? 1 : (unsigned)count;
}

static unsigned at_least(unsigned count, unsigned least)
{
	return count < least ? least : count;
}

static uint32_t bits(float value, float scale)
{
	return (uint32_t)lroundf(value * scale);
}

size_t placeholder_make(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t out[PLACEHOLDER_MAX])
{
	struct planes planes;
	struct channel l, p, q, alpha;
	ASSERT(width > 0 && height > 0);
	planes_make(pixels, &planes);
	bool is_landscape = width > height;
	uint32_t longer = is_landscape ? width : height;
	unsigned most = planes.has_alpha ? 5 : 7;
	unsigned nx = waves_of(most, width, longer), ny = waves_of(most, height, longer);
	channel_encode(planes.l, at_least(nx, 3), at_least(ny, 3), &l);
	channel_encode(planes.p, 3, 3, &p);
	channel_encode(planes.q, 3, 3, &q);
	channel_encode(planes.alpha, 5, 5, &alpha);
	uint32_t first = bits(l.mean, 63) | bits(31.5f + 31.5f * p.mean, 1) << 6 |
	    bits(31.5f + 31.5f * q.mean, 1) << 12 | bits(l.range, 31) << 18 |
	    (uint32_t)planes.has_alpha << 23;
	uint32_t second = (is_landscape ? ny : nx) | bits(p.range, 63) << 3 |
	    bits(q.range, 63) << 9 | (uint32_t)is_landscape << 15;
	struct writer writer = {.out = out, .len = 5};
	memset(out, 0, PLACEHOLDER_MAX);
	for (unsigned i = 0; i < 3; i++)
		out[i] = (uint8_t)(first >> (8 * i));
	out[3] = (uint8_t)second;
	out[4] = (uint8_t)(second >> 8);
	if (planes.has_alpha)
		out[writer.len++] =
		    (uint8_t)(bits(alpha.mean, 15) | bits(alpha.range, 15) << 4);
	write_channel(&writer, &l);
	write_channel(&writer, &p);
	write_channel(&writer, &q);
	if (planes.has_alpha)
		write_channel(&writer, &alpha);
	return writer.len;
}

/* image/palette.c: the dominant colours of a picture, and their names; see analysis.h.
 *
 * k-means from seeds that lie far apart, so that the same pixels always give the same
 * colours; clusters that look the same are united. OKLab: B. Ottosson, "A perceptual color
 * space for image processing", 2020.
 */
#include "image/analysis.h"

#include <math.h>

enum { PIXELS = ANALYSIS_SIDE * ANALYSIS_SIDE, ROUNDS = 12, ALPHA_MIN = 128 };

struct lab {
	float l, a, b;
};

static float linear_of(uint8_t value)
{
	float part = (float)value / 255;
	return part <= 0.04045f ? part / 12.92f : powf((part + 0.055f) / 1.055f, 2.4f);
}

static struct lab lab_of_linear(float red, float green, float blue)
{
	float l = cbrtf(0.4122214708f * red + 0.5363325363f * green + 0.0514459929f * blue);
	float m = cbrtf(0.2119034982f * red + 0.6806995451f * green + 0.1073969566f * blue);
	float s = cbrtf(0.0883024619f * red + 0.2817188376f * green + 0.6299787005f * blue);
	return (struct lab){
	    0.2104542553f * l + 0.7936177850f * m - 0.0040720468f * s,
	    1.9779984951f * l - 2.4285922050f * m + 0.4505937099f * s,
	    0.0259040371f * l + 0.7827717662f * m - 0.8086757660f * s,
	};
}

static uint8_t value_of(float linear)
{
	float part = linear <= 0.0031308f ? 12.92f * linear
	                                  : 1.055f * powf(linear, 1 / 2.4f) - 0.055f;
	return (uint8_t)(part <= 0 ? 0 : part >= 1 ? 255 : lroundf(part * 255));
}

static struct image_colour colour_of_lab(const struct lab *lab)
{
	float l = lab->l + 0.3963377774f * lab->a + 0.2158037573f * lab->b;
	float m = lab->l - 0.1055613458f * lab->a - 0.0638541728f * lab->b;
	float s = lab->l - 0.0894841775f * lab->a - 1.2914855480f * lab->b;
	l = l * l * l;
	m = m * m * m;
	s = s * s * s;
	return (struct image_colour){
	    .red = value_of(4.0767416621f * l - 3.3077115913f * m + 0.2309699292f * s),
	    .green = value_of(-1.2684380046f * l + 2.6097574011f * m - 0.3413193965f * s),
	    .blue = value_of(-0.0041960863f * l - 0.7034186147f * m + 1.7076147010f * s),
	};
}

static float lab_distance(const struct lab *x, const struct lab *y)
{
	float l = x->l - y->l, a = x->a - y->a, b = x->b - y->b;
	return l * l + 2 * (a * a + b * b);       /* hue tells colours apart more than light */
}

/* ---- Clusters ---- */

struct clusters {
	const struct lab *points;
	unsigned   point_count, count;
	struct lab centres[PALETTE_MAX];
	unsigned   sizes[PALETTE_MAX];
};

static unsigned nearest(const struct clusters *clusters, const struct lab *point, float *distance)
{
	unsigned best = 0;
	*distance = lab_distance(point, &clusters->centres[0]);
	for (unsigned i = 1; i < clusters->count; i++) {
		float other = lab_distance(point, &clusters->centres[i]);
		if (other < *distance) {
			*distance = other;
			best = i;
		}
	}
	return best;
}

/* The mean first, then always the point that is farthest from all so far. */
static void seed(struct clusters *clusters)
{
	struct lab sum = {0, 0, 0};
	for (unsigned i = 0; i < clusters->point_count; i++) {
		sum.l += clusters->points[i].l;
		sum.a += clusters->points[i].a;
		sum.b += clusters->points[i].b;
	}
	float count = (float)clusters->point_count;
	clusters->centres[0] = (struct lab){sum.l / count, sum.a / count, sum.b / count};
	for (clusters->count = 1; clusters->count < PALETTE_MAX; clusters->count++) {
		float far = -1, distance;
		unsigned at = 0;
		for (unsigned i = 0; i < clusters->point_count; i++) {
			(void)nearest(clusters, &clusters->points[i], &distance);
			if (distance > far) {
				far = distance;
				at = i;
			}
		}
		clusters->centres[clusters->count] = clusters->points[at];
	}
}

static void refine(struct clusters *clusters)
{
	struct lab sums[PALETTE_MAX] = {0};
	float distance;
	memset(clusters->sizes, 0, sizeof(clusters->sizes));
	for (unsigned i = 0; i < clusters->point_count; i++) {
		unsigned to = nearest(clusters, &clusters->points[i], &distance);
		clusters->sizes[to]++;
		sums[to].l += clusters->points[i].l;
		sums[to].a += clusters->points[i].a;
		sums[to].b += clusters->points[i].b;
	}
	for (unsigned i = 0; i < clusters->count; i++) {
		float size = (float)clusters->sizes[i];
		if (clusters->sizes[i] > 0)
			clusters->centres[i] =
			    (struct lab){sums[i].l / size, sums[i].a / size, sums[i].b / size};
	}
}

/* Takes the last cluster's place in the array. */
static void unite(struct clusters *clusters, unsigned to, unsigned from)
{
	struct lab *x = &clusters->centres[to], *y = &clusters->centres[from];
	float m = (float)clusters->sizes[to], n = (float)clusters->sizes[from];
	if (m + n > 0)
		*x = (struct lab){(x->l * m + y->l * n) / (m + n), (x->a * m + y->a * n) / (m + n),
		    (x->b * m + y->b * n) / (m + n)};
	clusters->sizes[to] += clusters->sizes[from];
	clusters->count--;
	clusters->centres[from] = clusters->centres[clusters->count];
	clusters->sizes[from] = clusters->sizes[clusters->count];
}

static void unite_equals(struct clusters *clusters)
{
	static const float same = 0.06f * 0.06f;
	for (unsigned i = 0; i < clusters->count; i++)
		for (unsigned k = i + 1; k < clusters->count;)
			if (clusters->sizes[k] == 0 ||
			    lab_distance(&clusters->centres[i], &clusters->centres[k]) < same)
				unite(clusters, i, k);
			else
				k++;
}

void palette_make(const uint8_t *pixels, struct image_analysis *out)
{
	struct lab points[PIXELS];
	float linear[256];
	struct clusters clusters = {.points = points};
	for (unsigned i = 0; i < 256; i++)
		linear[i] = linear_of((uint8_t)i);
	for (unsigned i = 0; i < PIXELS; i++) {
		const uint8_t *at = &pixels[(size_t)i * 4];
		if (at[3] >= ALPHA_MIN)
			points[clusters.point_count++] =
			    lab_of_linear(linear[at[0]], linear[at[1]], linear[at[2]]);
	}
	out->palette_count = 0;
	memset(out->palette, 0, sizeof(out->palette));
	if (clusters.point_count == 0)
		return;
	seed(&clusters);
	for (unsigned i = 0; i < ROUNDS; i++)
		refine(&clusters);
	unite_equals(&clusters);
	while (clusters.count > 0) {
		unsigned best = 0;
		for (unsigned i = 1; i < clusters.count; i++)
			if (clusters.sizes[i] > clusters.sizes[best])
				best = i;
		unsigned percent = (clusters.sizes[best] * 200 / clusters.point_count + 1) / 2;
		if (percent == 0)
			break;
		struct image_colour colour = colour_of_lab(&clusters.centres[best]);
		colour.percent = (uint8_t)percent;
		out->palette[out->palette_count++] = colour;
		clusters.count--;
		clusters.centres[best] = clusters.centres[clusters.count];
		clusters.sizes[best] = clusters.sizes[clusters.count];
	}
}

/* ---- Names ---- */

enum {
	BLACK, WHITE, GREY, RED, ORANGE, YELLOW, GREEN, TEAL, BLUE, PURPLE, PINK, BROWN,
};

const char *colour_name(unsigned index)
{
	static const char *const names[COLOUR_NAMES] = {"black", "white", "grey", "red", "orange",
	    "yellow", "green", "teal", "blue", "purple", "pink", "brown"};
	return index < COLOUR_NAMES ? names[index] : NULL;
}

/* By hue, in degrees of OKLab's circle. */
static unsigned hue_name(float hue, float light, float chroma)
{
	if (hue < 10 || hue >= 325)
		return light > 0.5f || hue >= 345 ? PINK : PURPLE;
	if (hue < 42)
		return light > 0.72f && chroma < 0.14f ? PINK : light < 0.35f ? BROWN : RED;
	if (hue < 80)
		return light < 0.62f && (chroma < 0.15f || light < 0.5f) ? BROWN
		    : hue < 46 && light < 0.66f                           ? RED
		                                                          : ORANGE;
	if (hue < 116)
		return light < 0.55f ? BROWN : YELLOW;
	if (hue < 165)
		return GREEN;
	if (hue < 215)
		return TEAL;
	return hue < 285 ? BLUE : PURPLE;
}

unsigned colour_of(uint8_t red, uint8_t green, uint8_t blue)
{
	struct lab lab = lab_of_linear(linear_of(red), linear_of(green), linear_of(blue));
	float chroma = sqrtf(lab.a * lab.a + lab.b * lab.b);
	float hue = atan2f(lab.b, lab.a) * (float)(180 / M_PI);
	if (lab.l < 0.22f || (lab.l < 0.32f && chroma < 0.03f))
		return BLACK;
	if (chroma < 0.03f || (lab.l > 0.94f && chroma < 0.04f))
		return lab.l > 0.9f ? WHITE : GREY;
	return hue_name(hue < 0 ? hue + 360 : hue, lab.l, chroma);
}

uint32_t palette_mask(const struct image_analysis *analysis)
{
	uint32_t mask = 0;
	for (unsigned i = 0; i < analysis->palette_count && i < PALETTE_MAX; i++) {
		const struct image_colour *colour = &analysis->palette[i];
		if (colour->percent >= COLOUR_PERCENT_MIN || i == 0)
			mask |= 1U << colour_of(colour->red, colour->green, colour->blue);
	}
	return analysis->state == ANALYSIS_DONE ? mask : 0;
}

/* image/transform.c: the options of IMG.GET, parsed; see transform.h. What they mean for one
 * image is in resolve.c. */
#include "image/transform.h"

#include "base/number.h"

#include <stdio.h>

enum option {
	OPTION_WIDTH,
	OPTION_HEIGHT,
	OPTION_FIT,
	OPTION_DPR,
	OPTION_GRAVITY,
	OPTION_CROP,
	OPTION_FORMAT,
	OPTION_ACCEPT,
	OPTION_QUALITY,
	OPTION_STRIP,
	OPTION_ENLARGE,
	OPTION_ROTATE,
	OPTION_FLIP,
	OPTION_LATER,
};

static const struct {
	const char *name;
	uint8_t option;
	uint8_t values;
} option_table[] = {
    {"WIDTH", OPTION_WIDTH, 1},
    {"HEIGHT", OPTION_HEIGHT, 1},
    {"FIT", OPTION_FIT, 1},
    {"DPR", OPTION_DPR, 1},
    {"GRAVITY", OPTION_GRAVITY, 1},
    {"CROP", OPTION_CROP, 4},
    {"FORMAT", OPTION_FORMAT, 1},
    {"ACCEPT", OPTION_ACCEPT, 1},
    {"QUALITY", OPTION_QUALITY, 1},
    {"STRIP", OPTION_STRIP, 1},
    {"ENLARGE", OPTION_ENLARGE, 0},
    {"ROTATE", OPTION_ROTATE, 1},
    {"FLIP", OPTION_FLIP, 1},
    {"FOCAL", OPTION_LATER, 0},
    {"MAXBYTES", OPTION_LATER, 0},
    {"BLUR", OPTION_LATER, 0},
    {"SHARPEN", OPTION_LATER, 0},
    {"BACKGROUND", OPTION_LATER, 0},
    {"PRESET", OPTION_LATER, 0},
    {"FRAME", OPTION_LATER, 0},
};

enum { SIDE_ASKED_MAX = 1000000, DPR_MAX = 10 };

struct why {
	char *text;
	size_t bytes;
};

static enum err refuse(struct why why, enum err err, const char *text)
{
	snprintf(why.text, why.bytes, "%s", text);
	return err;
}

/* The place of `value` among `count` words; -1 if it is none of them. */
static int find_word(struct span value, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_is(value, words[i]))
			return (int)i;
	return -1;
}

static enum err parse_side(struct span value, uint32_t *out, struct why why)
{
	int64_t side;
	if (!number_parse_range(value, 1, SIDE_ASKED_MAX, &side))
		return refuse(
		    why, ERR_INVALID, "WIDTH and HEIGHT are whole numbers from 1 to 1000000");
	*out = (uint32_t)side;
	return OK;
}

static enum err parse_fit(struct transform *transform, struct span value, struct why why)
{
	static const char *const words[] = {"inside", "cover", "fill", "pad"};
	int at = find_word(value, words, ARRAY_COUNT(words));
	if (at < 0)
		return refuse(why, ERR_INVALID, "FIT is one of inside, cover, fill, pad");
	transform->fit = (enum transform_fit)at;
	return OK;
}

static enum err parse_gravity(struct transform *transform, struct span value, struct why why)
{
	static const char *const words[] = {
	    [GRAVITY_CENTRE] = "c",
	    [GRAVITY_N] = "n",
	    [GRAVITY_NE] = "ne",
	    [GRAVITY_E] = "e",
	    [GRAVITY_SE] = "se",
	    [GRAVITY_S] = "s",
	    [GRAVITY_SW] = "sw",
	    [GRAVITY_W] = "w",
	    [GRAVITY_NW] = "nw",
	    [GRAVITY_SMART] = "smart",
	};
	int at = find_word(value, words, ARRAY_COUNT(words));
	if (at < 0)
		return refuse(
		    why, ERR_INVALID, "GRAVITY is one of c, n, ne, e, se, s, sw, w, nw, smart");
	transform->gravity = (enum transform_gravity)at;
	return OK;
}

static enum err parse_crop(struct transform *transform, const struct span *values, struct why why)
{
	double number[4];
	for (unsigned i = 0; i < 4; i++) {
		if (!number_parse_double(values[i], &number[i]) ||
		    !(number[i] >= 0 && number[i] <= 1e9))
			return refuse(
			    why, ERR_INVALID, "CROP takes four numbers: x y width height");
	}
	if (number[2] <= 0 || number[3] <= 0)
		return refuse(why, ERR_INVALID, "CROP needs a width and a height above 0");
	transform->has_crop = true;
	transform->crop_x = number[0];
	transform->crop_y = number[1];
	transform->crop_w = number[2];
	transform->crop_h = number[3];
	return OK;
}

static enum err parse_format(struct transform *transform, struct span value, struct why why)
{
	transform->auto_format = span_is(value, "auto");
	if (transform->auto_format || span_is(value, "original"))
		return OK;
	enum image_format format = image_format_parse(value);
	if (format != IMAGE_JPEG && format != IMAGE_PNG && format != IMAGE_WEBP &&
	    format != IMAGE_AVIF)
		return refuse(
		    why, ERR_INVALID, "FORMAT is one of original, auto, jpeg, webp, avif, png");
	transform->format = format;
	return OK;
}

static enum err parse_number_option(
    struct transform *transform, enum option option, struct span value, struct why why)
{
	int64_t number;
	if (option == OPTION_QUALITY) {
		if (!number_parse_range(value, 1, 100, &number))
			return refuse(why, ERR_INVALID, "QUALITY is a whole number from 1 to 100");
		transform->quality = (uint8_t)number;
		return OK;
	}
	if (option == OPTION_ROTATE) {
		if (!number_parse_range(value, 0, 270, &number) || number % 90 != 0)
			return refuse(why, ERR_INVALID, "ROTATE is one of 0, 90, 180, 270");
		transform->rotate = (uint16_t)number;
		return OK;
	}
	ASSERT(option == OPTION_DPR);
	double dpr;
	if (!number_parse_double(value, &dpr) || !(dpr >= 0.1 && dpr <= DPR_MAX))
		return refuse(why, ERR_INVALID, "DPR is a number from 0.1 to 10");
	transform->dpr = dpr;
	return OK;
}

static enum err parse_strip(struct transform *transform, struct span value, struct why why)
{
	static const char *const words[] = {
	    [STRIP_COPYRIGHT] = "copyright",
	    [STRIP_ALL] = "all",
	    [STRIP_NONE] = "none",
	};
	int at = find_word(value, words, ARRAY_COUNT(words));
	if (at < 0)
		return refuse(why, ERR_INVALID, "STRIP is one of all, copyright, none");
	transform->strip = (enum transform_strip)at;
	return OK;
}

static enum err parse_flip(struct transform *transform, struct span value, struct why why)
{
	if (span_is(value, "h"))
		transform->flip = FLIP_HORIZONTAL;
	else if (span_is(value, "v"))
		transform->flip = FLIP_VERTICAL;
	else
		return refuse(why, ERR_INVALID, "FLIP is h or v");
	return OK;
}

static enum err parse_values(
    struct transform *transform, enum option option, const struct span *values, struct why why)
{
	switch (option) {
	case OPTION_WIDTH:
		return parse_side(values[0], &transform->width, why);
	case OPTION_HEIGHT:
		return parse_side(values[0], &transform->height, why);
	case OPTION_FIT:
		return parse_fit(transform, values[0], why);
	case OPTION_GRAVITY:
		return parse_gravity(transform, values[0], why);
	case OPTION_CROP:
		return parse_crop(transform, values, why);
	case OPTION_FORMAT:
		return parse_format(transform, values[0], why);
	case OPTION_ACCEPT:
		transform->accept = transform_accept(values[0]);
		return OK;
	case OPTION_STRIP:
		return parse_strip(transform, values[0], why);
	case OPTION_ENLARGE:
		transform->enlarge = true;
		return OK;
	case OPTION_FLIP:
		return parse_flip(transform, values[0], why);
	default:
		return parse_number_option(transform, option, values[0], why);
	}
}

enum err transform_parse(struct transform *transform, const struct span *argv, uint32_t argc,
    uint32_t *at, char *why_text, size_t why_bytes)
{
	struct why why = {why_text, why_bytes};
	ASSERT(*at < argc);
	ASSERT(why_bytes > 0);
	size_t i = 0;
	while (i < ARRAY_COUNT(option_table) && !span_is(argv[*at], option_table[i].name))
		i++;
	if (i == ARRAY_COUNT(option_table))
		return ERR_NOTFOUND;
	enum option option = option_table[i].option;
	if (option == OPTION_LATER) {
		snprintf(why.text, why.bytes, "%s is not available in this version",
		    option_table[i].name);
		return ERR_UNSUPPORTED;
	}
	uint32_t values = option_table[i].values;
	if ((transform->seen & 1U << option) != 0 || argc - *at - 1 < values)
		return refuse(why, ERR_INVALID, "syntax error");
	transform->seen |= 1U << option;
	enum err err = parse_values(transform, option, argv + *at + 1, why);
	if (err != OK)
		return err;
	*at += 1 + values;
	const uint32_t format = 1U << OPTION_FORMAT, accept = 1U << OPTION_ACCEPT;
	/* ACCEPT lets the server choose, unless FORMAT already chose. */
	if ((transform->seen & (accept | format)) == accept)
		transform->auto_format = true;
	/* FORMAT original alone is the original, whatever the client takes. */
	transform->any = (transform->seen & ~(accept | format)) != 0 || transform->auto_format ||
	    transform->format != IMAGE_UNKNOWN;
	return OK;
}

/* ---- Accept ---- */

static struct span trim(struct span text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = span_slice(text, 1, text.len);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Takes what stands before the next `mark` (or the end) off the front of *text. */
static struct span take_until(struct span *text, uint8_t mark)
{
	const uint8_t *found = text->len == 0 ? NULL : memchr(text->ptr, mark, text->len);
	size_t len = found == NULL ? text->len : (size_t)(found - text->ptr);
	struct span piece = span_slice(*text, 0, len);
	*text = span_slice(*text, found == NULL ? len : len + 1, text->len);
	return trim(piece);
}

/* q=0, q=0., q=0.000 */
static bool weight_is_zero(struct span parameter)
{
	if (parameter.len < 3 || !span_is(span_slice(parameter, 0, 2), "q="))
		return false;
	for (size_t i = 2; i < parameter.len; i++)
		if (parameter.ptr[i] != '0' && parameter.ptr[i] != '.')
			return false;
	return true;
}

static uint32_t type_bits(struct span type)
{
	const uint32_t common = 1U << IMAGE_JPEG | 1U << IMAGE_PNG | 1U << IMAGE_GIF;
	if (span_is(type, "*/*") || span_is(type, "image/*"))
		return common;
	if (type.len > 6 && span_is(span_slice(type, 0, 6), "image/"))
		type = span_slice(type, 6, type.len);
	enum image_format format = image_format_parse(type);
	return format == IMAGE_UNKNOWN ? 0 : 1U << format;
}

uint32_t transform_accept(struct span header)
{
	uint32_t taken = 0, refused = 0;
	while (header.len > 0) {
		struct span item = take_until(&header, ',');
		uint32_t bits = type_bits(take_until(&item, ';'));
		bool zero = false;
		while (item.len > 0)
			zero |= weight_is_zero(take_until(&item, ';'));
		if (zero)
			refused |= bits;
		else
			taken |= bits;
	}
	return taken & ~refused;
}

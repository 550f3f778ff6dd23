/* search/parse_field.c: what follows "@field:": ranges and places in [], tags in {}. */
#include "search/analyze.h"
#include "search/query.h"

#include "base/buf.h"
#include "base/date.h"
#include "base/number.h"

#include <math.h>

enum { RANGE_PARTS_MAX = 4 };

/* ---- [low high], [lon lat radius unit] ------------------------------------------------ */

struct range_part {
	struct span text;
	size_t      offset;
	bool        exclusive;
};

/* The words between '[' and ']', parameters replaced. */
static enum err range_split(struct parse *parse, struct range_part *parts, uint32_t *count)
{
	size_t start = parse->at++;
	*count = 0;
	for (;;) {
		while (parse_is_blank(parse_peek(parse)) || parse_peek(parse) == ',')
			parse->at++;
		int byte = parse_peek(parse);
		if (byte < 0)
			return parse_syntax(parse, start);
		if (byte == ']')
			break;
		if (*count == RANGE_PARTS_MAX)
			return parse_syntax(parse, parse->at);
		struct range_part *part = &parts[(*count)++];
		part->offset = parse->at;
		part->exclusive = byte == '(';
		parse->at += part->exclusive;
		if (parse_peek(parse) == '$') {
			enum err err = parse_param(parse, &part->text);
			if (err != OK)
				return err;
			continue;
		}
		size_t from = parse->at;
		while (parse_peek(parse) >= 0 && !parse_is_blank(parse_peek(parse)) &&
		    parse_peek(parse) != ',' && parse_peek(parse) != ']')
			parse->at++;
		part->text = span_slice(parse->text, from, parse->at - from);
	}
	parse->at++;
	return OK;
}

static bool part_infinity(struct span text, double *out)
{
	if (span_is(text, "inf") || span_is(text, "+inf"))
		*out = INFINITY;
	else if (span_is(text, "-inf"))
		*out = -INFINITY;
	else
		return false;
	return true;
}

/* The inclusive bound that `part` stands for among numbers. */
static bool part_number(const struct range_part *part, bool upper, double *out)
{
	struct span text = part->text;
	if (part_infinity(text, out))
		return true;
	if (text.len > 1 && text.ptr[0] == '+')
		text = span_slice(text, 1, text.len);
	if (!number_parse_double(text, out))
		return false;
	if (part->exclusive)
		*out = nextafter(*out, upper ? -INFINITY : INFINITY);
	return true;
}

/* The same among dates: a bound covers the whole of what it names. */
static bool part_date(const struct range_part *part, bool upper, double *out)
{
	int64_t first, last;
	if (part_infinity(part->text, out))
		return true;
	if (!date_parse(part->text, &first, &last))
		return false;
	if (upper)
		*out = part->exclusive ? (double)first - 1 : (double)last;
	else
		*out = part->exclusive ? (double)last + 1 : (double)first;
	return true;
}

static bool unit_metres(struct span unit, double *metres)
{
	static const struct { const char *name; double metres; } units[] = {
		{"m", 1}, {"km", 1000}, {"mi", 1609.34}, {"ft", 0.3048},
	};
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (span_is(unit, units[i].name)) {
			*metres = units[i].metres;
			return true;
		}
	}
	return false;
}

static enum err parse_geo(struct parse *parse, const struct range_part *parts, uint32_t count,
    struct query_node *node)
{
	double values[3], metres;
	if (count != 4)
		return parse_syntax(parse, parts[0].offset);
	for (uint32_t i = 0; i < 3; i++) {
		if (parts[i].exclusive || !number_parse_double(parts[i].text, &values[i]) ||
		    !isfinite(values[i]))
			return parse_fail(parse, ERR_INVALID, parts[i].offset, "Bad geo value");
	}
	if (fabs(values[0]) > 180 || fabs(values[1]) > 90)
		return parse_fail(parse, ERR_INVALID, parts[0].offset, "Invalid GeoFilter lat/lon");
	if (!(values[2] > 0))
		return parse_fail(parse, ERR_INVALID, parts[2].offset, "Invalid GeoFilter radius");
	if (!unit_metres(parts[3].text, &metres))
		return parse_fail(parse, ERR_INVALID, parts[3].offset, "Invalid GeoFilter unit");
	node->lon = values[0];
	node->lat = values[1];
	node->radius_m = values[2] * metres;
	return OK;
}

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* [64 hexadecimal digits, bits that may differ] */
static enum err parse_near(struct parse *parse, uint32_t *out)
{
	struct range_part parts[RANGE_PARTS_MAX];
	uint32_t count;
	int64_t distance;
	size_t start = parse->at;
	enum err err = range_split(parse, parts, &count);
	if (err != OK)
		return err;
	if (count != 2 || parts[0].exclusive || parts[1].exclusive)
		return parse_syntax(parse, start);
	uint32_t id = query_add_node(parse->query, QUERY_OUTSIDE);
	struct query_node *node = &parse->query->nodes[id];
	node->leaf = SEARCH_LEAF_NEAR;
	bool good = parts[0].text.len == 2 * SEARCH_HASH_BYTES;
	for (size_t i = 0; good && i < SEARCH_HASH_BYTES; i++) {
		int high = hex_digit(parts[0].text.ptr[2 * i]);
		int low = hex_digit(parts[0].text.ptr[2 * i + 1]);
		good = high >= 0 && low >= 0;
		node->hash[i] = (uint8_t)((good ? high << 4 | low : 0) & 0xff);
	}
	if (!good)
		return parse_fail(parse, ERR_INVALID, parts[0].offset,
		    "A perceptual hash is %d hexadecimal digits", 2 * SEARCH_HASH_BYTES);
	if (!number_parse_range(parts[1].text, 0, SEARCH_HASH_BITS, &distance))
		return parse_fail(parse, ERR_INVALID, parts[1].offset,
		    "A distance is 0 to %d bits", SEARCH_HASH_BITS);
	node->distance = (uint32_t)distance;
	*out = id;
	return OK;
}

static enum err parse_bounds(struct parse *parse, const struct range_part parts[2],
    uint8_t kinds, struct query_node *node)
{
	for (uint32_t i = 0; i < 2; i++) {
		double ignored;
		bool number =
		    (kinds & KIND_NUMERIC) != 0 && part_number(&parts[i], i == 1, &ignored);
		bool date = (kinds & KIND_DATE) != 0 && part_date(&parts[i], i == 1, &ignored);
		if (!number && !date)
			return parse_fail(parse, ERR_INVALID, parts[i].offset, kinds == KIND_DATE
			    ? "Bad date range" : "Bad numeric range");
	}
	node->has_numbers = (kinds & KIND_NUMERIC) != 0 &&
	    part_number(&parts[0], false, &node->low) && part_number(&parts[1], true, &node->high);
	node->has_dates = (kinds & KIND_DATE) != 0 &&
	    part_date(&parts[0], false, &node->date_low) &&
	    part_date(&parts[1], true, &node->date_high);
	if (!node->has_numbers && !node->has_dates)
		return parse_fail(parse, ERR_INVALID, parts[0].offset,
		    "Bad range: one bound is a number, the other a date");
	return OK;
}

enum err parse_range(struct parse *parse, struct span name, uint32_t *out)
{
	struct range_part parts[RANGE_PARTS_MAX];
	uint32_t count;
	size_t start = parse->at;
	uint8_t kinds = schema_kinds(name);
	ASSERT(parse_peek(parse) == '[');
	enum err err = parse_count_term(parse);
	if (err == OK && span_is(name, "phash"))
		return parse_near(parse, out);
	if (err == OK)
		err = range_split(parse, parts, &count);
	if (err != OK)
		return err;
	if ((kinds & (KIND_NUMERIC | KIND_DATE | KIND_GEO)) == 0)
		return parse_fail(parse, ERR_INVALID, start, "Field `%.*s` has no ranges",
		    (int)name.len, (const char *)name.ptr);
	if (count == 1 && kinds != KIND_GEO) {
		parts[1] = parts[0];
		count = 2;
	}
	if (kinds == KIND_ATTRIBUTE && count > 2)
		kinds = KIND_GEO;         /* one that was declared to be a place */
	uint32_t node = query_add_node(parse->query,
	    kinds == KIND_GEO ? QUERY_GEO : QUERY_RANGE);
	parse->query->nodes[node].field = query_add_text(parse->query, name);
	*out = node;
	if (count == 0 || (kinds != KIND_GEO && count != 2))
		return parse_syntax(parse, start);
	if (kinds == KIND_GEO)
		return parse_geo(parse, parts, count, &parse->query->nodes[node]);
	return parse_bounds(parse, parts, kinds, &parse->query->nodes[node]);
}

/* ---- {tag|tag} -------------------------------------------------------------------------- */

enum err parse_wildcard(struct parse *parse, struct span *pattern)
{
	size_t offset = parse->at;
	parse->at += 2;
	ASSERT(parse->at <= parse->text.len);
	size_t from = parse->at;
	while (parse_peek(parse) >= 0 && parse_peek(parse) != '\'')
		parse->at += parse_peek(parse) == '\\' && parse->at + 1 < parse->text.len ? 2 : 1;
	if (parse_peek(parse) < 0)
		return parse_syntax(parse, offset);
	*pattern = span_slice(parse->text, from, parse->at - from);
	parse->at++;
	return OK;
}

/* One alternative: its text, unescaped, and stars before and behind it. */
struct tag_text {
	struct buf raw;
	bool       star_before, star_behind, wildcard;
};

static enum err tag_take(struct parse *parse, struct tag_text *tag)
{
	tag->star_before = tag->star_behind = tag->wildcard = false;
	buf_clear(&tag->raw);
	for (;;) {
		int byte = parse_peek(parse);
		if (byte < 0 || byte == '{')
			return parse_syntax(parse, parse->at);
		if (byte == '}' || byte == '|')
			return OK;
		if ((tag->star_behind || tag->wildcard) && !parse_is_blank(byte))
			return parse_syntax(parse, parse->at);
		struct span value;
		bool whole = false;
		if (byte == '$') {
			enum err err = parse_param(parse, &value);
			if (err != OK)
				return err;
			whole = true;
		} else if (tag->raw.len == 0 && !tag->star_before &&
		    span_is(span_slice(parse->text, parse->at, 2), "w'")) {
			enum err err = parse_wildcard(parse, &value);
			if (err != OK)
				return err;
			tag->wildcard = whole = true;
		}
		if (whole) {
			buf_append(&tag->raw, value);
			continue;
		}
		parse->at++;
		if (byte == '*' && tag->raw.len == 0 && !tag->star_before) {
			tag->star_before = true;
			continue;
		}
		if (byte == '*') {
			tag->star_behind = true;
			continue;
		}
		if (tag->raw.len == 0 && parse_is_blank(byte))
			continue;
		if (byte == '\\' && parse->at < parse->text.len)
			byte = parse->text.ptr[parse->at++];
		buf_append_u8(&tag->raw, (uint8_t)byte);
	}
}

static enum pattern_kind tag_kind(const struct tag_text *tag)
{
	if (tag->wildcard)
		return PATTERN_WILDCARD;
	if (tag->star_before)
		return tag->star_behind ? PATTERN_INFIX : PATTERN_SUFFIX;
	return tag->star_behind ? PATTERN_PREFIX : PATTERN_WORD;
}

static enum err tag_item(struct parse *parse, struct tag_text *tag, uint32_t node)
{
	uint8_t folded[SEARCH_TAG_BYTES_MAX];
	size_t start = parse->at;
	enum err err = parse_count_term(parse);
	if (err == OK)
		err = tag_take(parse, tag);
	if (err != OK)
		return err;
	enum pattern_kind kind = tag_kind(tag);
	size_t len = analyze_tag(buf_span(&tag->raw), folded);
	if (len == 0)
		return parse_syntax(parse, start);
	if (kind != PATTERN_WORD && parse->query->nodes[node].kind == QUERY_OUTSIDE)
		return parse_fail(parse, ERR_INVALID, start, "A colour is no pattern");
	if (kind != PATTERN_WORD && kind != PATTERN_WILDCARD &&
	    analyze_length(span_of(folded, len)) < 2)
		return parse_fail(
		    parse, ERR_INVALID, start, "A prefix needs at least 2 characters");
	query_add_item(parse->query, node, span_of(folded, len), kind);
	return OK;
}

enum err parse_tags(struct parse *parse, struct span name, uint32_t *out)
{
	struct tag_text tag;
	enum err err = OK;
	ASSERT(parse_peek(parse) == '{');
	bool palette = span_is(name, "palette");
	if ((schema_kinds(name) & KIND_TAG) == 0 || span_is(name, "phash"))
		return parse_fail(parse, ERR_INVALID, parse->at, "Field `%.*s` is not a tag field",
		    (int)name.len, (const char *)name.ptr);
	uint32_t node = query_add_node(parse->query, palette ? QUERY_OUTSIDE : QUERY_TAG);
	parse->query->nodes[node].leaf = SEARCH_LEAF_PALETTE;
	parse->query->nodes[node].field = query_add_text(parse->query, name);
	*out = node;
	buf_init(&tag.raw, parse->query->memory);
	do {
		parse->at++;              /* '{' or '|' */
		err = tag_item(parse, &tag, node);
	} while (err == OK && parse_peek(parse) == '|');
	buf_fini(&tag.raw);
	if (err == OK && palette && parse->query->nodes[node].item_count > SEARCH_NAMES_MAX)
		err = parse_fail(parse, ERR_TOOLARGE, parse->at, "More than %d colours",
		    SEARCH_NAMES_MAX);
	parse->at++;                      /* '}' */
	return err;
}

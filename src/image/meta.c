/* image/meta.c: the encoding of image metadata; see meta.h. */
#include "image/meta.h"

#include "base/endian.h"

enum { META_VERSION = 1 };

enum meta_tag {
	TAG_FORMAT = 1,
	TAG_WIDTH,
	TAG_HEIGHT,
	TAG_FRAMES,
	TAG_ORIENTATION,
	TAG_PROGRESSIVE,
	TAG_BYTES,
	TAG_ETAG,
	TAG_TAKEN,
	TAG_LOCATION,
	TAG_FOCAL,
	TAG_APERTURE,
	TAG_EXPOSURE,
	TAG_ISO,
	TAG_CAMERA,
	TAG_LENS,
	TAG_TITLE,
	TAG_CAPTION,
	TAG_TAG,
	TAG_ATTR,
	TAG_CREATED,
	TAG_ALPHA,
	TAG_ANALYSIS,
	TAG_QUIET,
};

static const struct { const char *name, *mime; } formats[IMAGE_FORMAT_COUNT] = {
	[IMAGE_UNKNOWN] = {"unknown", "application/octet-stream"},
	[IMAGE_JPEG] = {"jpeg", "image/jpeg"},
	[IMAGE_PNG] = {"png", "image/png"},
	[IMAGE_GIF] = {"gif", "image/gif"},
	[IMAGE_WEBP] = {"webp", "image/webp"},
	[IMAGE_AVIF] = {"avif", "image/avif"},
	[IMAGE_HEIF] = {"heif", "image/heif"},
	[IMAGE_TIFF] = {"tiff", "image/tiff"},
	[IMAGE_BMP] = {"bmp", "image/bmp"},
	[IMAGE_JXL] = {"jxl", "image/jxl"},
	[IMAGE_SVG] = {"svg", "image/svg+xml"},
};

const char *image_format_name(enum image_format format)
{
	ASSERT((unsigned)format < IMAGE_FORMAT_COUNT);
	return formats[format].name;
}

const char *image_mime_type(enum image_format format)
{
	ASSERT((unsigned)format < IMAGE_FORMAT_COUNT);
	return formats[format].mime;
}

enum image_format image_format_parse(struct span name)
{
	if (span_is(name, "jpg"))
		return IMAGE_JPEG;
	for (unsigned i = IMAGE_UNKNOWN + 1; i < IMAGE_FORMAT_COUNT; i++)
		if (span_is(name, formats[i].name))
			return (enum image_format)i;
	return IMAGE_UNKNOWN;
}

void image_displayed_size(const struct image_meta *meta, uint32_t *width, uint32_t *height)
{
	bool turned = meta->orientation >= 5 && meta->orientation <= 8;
	*width = turned ? meta->height : meta->width;
	*height = turned ? meta->width : meta->height;
}

/* ---- Encoding ---- */

static void put_varint(struct buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf_append_u8(out, (uint8_t)(value | 0x80));
	buf_append_u8(out, (uint8_t)value);
}

static void put_bytes(struct buf *out, enum meta_tag tag, struct span bytes)
{
	buf_append_u8(out, (uint8_t)tag);
	put_varint(out, bytes.len);
	buf_append(out, bytes);
}

static void put_text(struct buf *out, enum meta_tag tag, struct span text)
{
	if (text.len > 0)
		put_bytes(out, tag, text);
}

static void put_number(struct buf *out, enum meta_tag tag, uint64_t value)
{
	uint8_t bytes[8];
	size_t len = 0;
	for (; value > 0; value >>= 8)
		bytes[len++] = (uint8_t)value;
	put_bytes(out, tag, span_of(bytes, len));
}

static void put_double(struct buf *out, enum meta_tag tag, double value)
{
	uint8_t bytes[8];
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	store_le64(bytes, bits);
	put_bytes(out, tag, span_of(bytes, sizeof(bytes)));
}

static void put_photo(struct buf *out, const struct image_meta *meta)
{
	uint8_t place[16];
	uint64_t bits[2];
	if (meta->has & IMAGE_HAS_TAKEN)
		put_number(out, TAG_TAKEN, (uint64_t)meta->taken_ms);
	if (meta->has & IMAGE_HAS_LOCATION) {
		memcpy(&bits[0], &meta->lon, 8);
		memcpy(&bits[1], &meta->lat, 8);
		store_le64(place, bits[0]);
		store_le64(place + 8, bits[1]);
		put_bytes(out, TAG_LOCATION, span_of(place, sizeof(place)));
	}
	if (meta->has & IMAGE_HAS_FOCAL)
		put_double(out, TAG_FOCAL, meta->focal_mm);
	if (meta->has & IMAGE_HAS_APERTURE)
		put_double(out, TAG_APERTURE, meta->aperture);
	if (meta->has & IMAGE_HAS_EXPOSURE)
		put_double(out, TAG_EXPOSURE, meta->exposure_s);
	if (meta->has & IMAGE_HAS_ISO)
		put_double(out, TAG_ISO, meta->iso);
	put_text(out, TAG_CAMERA, meta->camera);
	put_text(out, TAG_LENS, meta->lens);
}

static void put_attr(struct buf *out, const struct image_attr *attr)
{
	buf_append_u8(out, TAG_ATTR);
	put_varint(out, 1 + attr->name.len + attr->value.len);
	buf_append_u8(out, (uint8_t)attr->name.len);
	buf_append(out, attr->name);
	buf_append(out, attr->value);
}

void image_meta_mark_quiet(struct buf *encoded, uint64_t lsn)
{
	ASSERT(lsn != 0);
	put_number(encoded, TAG_QUIET, lsn);
}

void image_meta_add_analysis(const struct image_analysis *analysis, struct buf *encoded)
{
	struct buf bytes;
	buf_init(&bytes, encoded->memory);
	analysis_encode(analysis, &bytes);
	ASSERT(bytes.len <= ANALYSIS_ENCODED_MAX);
	put_bytes(encoded, TAG_ANALYSIS, buf_span(&bytes));
	buf_fini(&bytes);
}

enum err image_meta_encode(const struct image_meta *meta, struct buf *out)
{
	size_t from = out->len;
	_Static_assert(ATTR_NAME_MAX < 256, "its length is one byte");
	buf_append_u8(out, META_VERSION);
	put_number(out, TAG_FORMAT, meta->format);
	put_number(out, TAG_WIDTH, meta->width);
	put_number(out, TAG_HEIGHT, meta->height);
	put_number(out, TAG_FRAMES, meta->frames);
	put_number(out, TAG_ORIENTATION, meta->orientation);
	if (meta->progressive)
		put_number(out, TAG_PROGRESSIVE, 1);
	if (meta->alpha)
		put_number(out, TAG_ALPHA, 1);
	put_number(out, TAG_BYTES, meta->bytes);
	put_bytes(out, TAG_ETAG, span_of(meta->etag.bytes, sizeof(meta->etag.bytes)));
	put_number(out, TAG_CREATED, (uint64_t)meta->created_ms);
	put_photo(out, meta);
	put_text(out, TAG_TITLE, meta->title);
	put_text(out, TAG_CAPTION, meta->caption);
	for (uint32_t i = 0; i < meta->tag_count; i++)
		put_text(out, TAG_TAG, meta->tags[i]);
	for (uint32_t i = 0; i < meta->attr_count; i++)
		put_attr(out, &meta->attrs[i]);
	if (meta->analysis.state != ANALYSIS_NONE)
		image_meta_add_analysis(&meta->analysis, out);
	return out->len - from > META_BYTES_MAX ? ERR_TOOLARGE : OK;
}

/* ---- Decoding ---- */

static bool take_varint(struct span *bytes, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 35 && bytes->len > 0; shift += 7) {
		uint8_t byte = bytes->ptr[0];
		*bytes = span_slice(*bytes, 1, bytes->len);
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static uint64_t field_number(struct span field)
{
	uint64_t value = 0;
	for (size_t i = 0; i < field.len && i < 8; i++)
		value |= (uint64_t)field.ptr[i] << (8 * i);
	return value;
}

static double field_double(const uint8_t *at)
{
	uint64_t bits = load_le64(at);
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static bool decode_measure(struct image_meta *meta, uint8_t tag, struct span field)
{
	if (field.len != 8)
		return false;
	double value = field_double(field.ptr);
	if (tag == TAG_FOCAL) {
		meta->focal_mm = value;
		meta->has |= IMAGE_HAS_FOCAL;
	} else if (tag == TAG_APERTURE) {
		meta->aperture = value;
		meta->has |= IMAGE_HAS_APERTURE;
	} else if (tag == TAG_EXPOSURE) {
		meta->exposure_s = value;
		meta->has |= IMAGE_HAS_EXPOSURE;
	} else {
		meta->iso = value;
		meta->has |= IMAGE_HAS_ISO;
	}
	return true;
}

static bool decode_attr(struct image_meta *meta, struct span field)
{
	if (field.len < 1 || field.ptr[0] > field.len - 1 || meta->attr_count == ATTRS_MAX)
		return false;
	size_t name = field.ptr[0];
	meta->attrs[meta->attr_count++] = (struct image_attr){
		span_slice(field, 1, name), span_slice(field, 1 + name, field.len),
	};
	return true;
}

static bool decode_text(struct image_meta *meta, uint8_t tag, struct span field)
{
	switch (tag) {
	case TAG_CAMERA:
		meta->camera = field;
		return true;
	case TAG_LENS:
		meta->lens = field;
		return true;
	case TAG_TITLE:
		meta->title = field;
		return true;
	case TAG_CAPTION:
		meta->caption = field;
		return true;
	case TAG_TAG:
		if (meta->tag_count == TAGS_MAX)
			return false;
		meta->tags[meta->tag_count++] = field;
		return true;
	case TAG_ATTR:
		return decode_attr(meta, field);
	case TAG_ETAG:
		if (field.len != sizeof(meta->etag.bytes))
			return false;
		memcpy(meta->etag.bytes, field.ptr, field.len);
		return true;
	case TAG_LOCATION:
		if (field.len != 16)
			return false;
		meta->lon = field_double(field.ptr);
		meta->lat = field_double(field.ptr + 8);
		meta->has |= IMAGE_HAS_LOCATION;
		return true;
	default:
		return true;              /* a newer server's field */
	}
}

static bool decode_field(struct image_meta *meta, uint8_t tag, struct span field)
{
	uint64_t number = field_number(field);
	switch (tag) {
	case TAG_FORMAT:
		meta->format =
		    number < IMAGE_FORMAT_COUNT ? (enum image_format)number : IMAGE_UNKNOWN;
		return field.len <= 8;
	case TAG_WIDTH:
		meta->width = (uint32_t)number;
		return field.len <= 4;
	case TAG_HEIGHT:
		meta->height = (uint32_t)number;
		return field.len <= 4;
	case TAG_FRAMES:
		meta->frames = (uint32_t)number;
		return field.len <= 4;
	case TAG_ORIENTATION:
		meta->orientation = (uint8_t)number;
		return number <= 8;
	case TAG_PROGRESSIVE:
		meta->progressive = number != 0;
		return true;
	case TAG_ALPHA:
		meta->alpha = number != 0;
		return true;
	case TAG_ANALYSIS:
		return analysis_decode(field, &meta->analysis) == OK;
	case TAG_QUIET:
		return field.len <= 8;
	case TAG_BYTES:
		meta->bytes = number;
		return field.len <= 8;
	case TAG_CREATED:
		meta->created_ms = (int64_t)number;
		return field.len <= 8;
	case TAG_TAKEN:
		meta->taken_ms = (int64_t)number;
		meta->has |= IMAGE_HAS_TAKEN;
		return field.len <= 8;
	case TAG_FOCAL:
	case TAG_APERTURE:
	case TAG_EXPOSURE:
	case TAG_ISO:
		return decode_measure(meta, tag, field);
	default:
		return decode_text(meta, tag, field);
	}
}

enum err image_meta_decode(struct span bytes, struct image_meta *out)
{
	/* The arrays stay as they are: their counts say what of them is valid. */
	memset(out, 0, offsetof(struct image_meta, tags));
	out->created_ms = 0;
	if (bytes.len < 1 || bytes.len > META_BYTES_MAX || bytes.ptr[0] != META_VERSION)
		return ERR_CORRUPT;
	bytes = span_slice(bytes, 1, bytes.len);
	while (bytes.len > 0) {
		uint64_t len;
		uint8_t tag = bytes.ptr[0];
		bytes = span_slice(bytes, 1, bytes.len);
		if (!take_varint(&bytes, &len) || len > bytes.len)
			return ERR_CORRUPT;
		if (!decode_field(out, tag, span_slice(bytes, 0, (size_t)len)))
			return ERR_CORRUPT;
		bytes = span_slice(bytes, (size_t)len, bytes.len);
	}
	return OK;
}

uint64_t image_meta_quiet_lsn(struct span encoded)
{
	uint64_t lsn = 0;
	if (encoded.len < 1 || encoded.ptr[0] != META_VERSION)
		return 0;
	encoded = span_slice(encoded, 1, encoded.len);
	while (encoded.len > 0) {
		uint64_t len;
		uint8_t tag = encoded.ptr[0];
		encoded = span_slice(encoded, 1, encoded.len);
		if (!take_varint(&encoded, &len) || len > encoded.len)
			return 0;
		if (tag == TAG_QUIET)
			lsn = field_number(span_slice(encoded, 0, (size_t)len));
		encoded = span_slice(encoded, (size_t)len, encoded.len);
	}
	return lsn;
}

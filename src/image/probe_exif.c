/* image/probe_exif.c: EXIF (CIPA DC-008): orientation, camera, lens, exposure, time, place. */
#include "image/probing.h"

#include "base/date.h"

#include <math.h>

enum {
	TAG_MAKE = 0x010f,
	TAG_MODEL = 0x0110,
	TAG_ORIENTATION = 0x0112,
	TAG_CHANGED = 0x0132,
	TAG_PHOTO = 0x8769,
	TAG_GPS = 0x8825,
	TAG_EXPOSURE = 0x829a,
	TAG_APERTURE = 0x829d,
	TAG_ISO = 0x8827,
	TAG_TAKEN = 0x9003,
	TAG_TAKEN_ZONE = 0x9011,
	TAG_FOCAL = 0x920a,
	TAG_LENS = 0xa434,
	TAG_LAT_REF = 1,
	TAG_LAT = 2,
	TAG_LON_REF = 3,
	TAG_LON = 4,
	TYPE_ASCII = 2,
	ENTRIES_MAX = 512, /* of one directory; cameras write about 60 */
	TEXT_MAX = 512,
};

struct exif {
	struct tiff tiff;
	uint32_t photo, gps; /* directories; 0: none */
	struct span make, model, lens, changed, taken, zone;
	double place[2]; /* degrees: latitude, longitude */
	bool has_place[2], negative[2];
};

static struct span entry_text(const struct tiff_entry *entry)
{
	return entry->type == TYPE_ASCII ? span_slice(entry->value, 0, TEXT_MAX) : (struct span){0};
}

static void main_entry(struct exif *exif, const struct tiff_entry *entry)
{
	uint32_t number;
	switch (entry->tag) {
	case TAG_MAKE:
		exif->make = entry_text(entry);
		break;
	case TAG_MODEL:
		exif->model = entry_text(entry);
		break;
	case TAG_CHANGED:
		exif->changed = entry_text(entry);
		break;
	case TAG_ORIENTATION:
		if (tiff_integer(&exif->tiff, entry, &number) && number >= 1 && number <= 8)
			exif->tiff.probe->meta->orientation = (uint8_t)number;
		break;
	case TAG_PHOTO:
		if (tiff_integer(&exif->tiff, entry, &number))
			exif->photo = number;
		break;
	case TAG_GPS:
		if (tiff_integer(&exif->tiff, entry, &number))
			exif->gps = number;
		break;
	default:
		break;
	}
}

static void set_measure(struct image_meta *meta, uint32_t flag, double *place, double value)
{
	if (!(value > 0 && value < 1e9))
		return;
	*place = value;
	meta->has |= flag;
}

static void photo_entry(struct exif *exif, const struct tiff_entry *entry)
{
	struct image_meta *meta = exif->tiff.probe->meta;
	double value;
	uint32_t number;
	switch (entry->tag) {
	case TAG_TAKEN:
		exif->taken = entry_text(entry);
		break;
	case TAG_TAKEN_ZONE:
		exif->zone = entry_text(entry);
		break;
	case TAG_LENS:
		exif->lens = entry_text(entry);
		break;
	case TAG_ISO:
		if (tiff_integer(&exif->tiff, entry, &number))
			set_measure(meta, IMAGE_HAS_ISO, &meta->iso, number);
		break;
	case TAG_EXPOSURE:
		if (tiff_rational(&exif->tiff, entry, 0, &value))
			set_measure(meta, IMAGE_HAS_EXPOSURE, &meta->exposure_s, value);
		break;
	case TAG_APERTURE:
		if (tiff_rational(&exif->tiff, entry, 0, &value))
			set_measure(meta, IMAGE_HAS_APERTURE, &meta->aperture, value);
		break;
	case TAG_FOCAL:
		if (tiff_rational(&exif->tiff, entry, 0, &value))
			set_measure(meta, IMAGE_HAS_FOCAL, &meta->focal_mm, value);
		break;
	default:
		break;
	}
}

/* Degrees, minutes, seconds; the later two may be missing. */
static bool parse_degrees(const struct tiff *tiff, const struct tiff_entry *entry, double *out)
{
	double part[3] = {0};
	if (!tiff_rational(tiff, entry, 0, &part[0]))
		return false;
	for (uint32_t i = 1; i < 3; i++)
		if (!tiff_rational(tiff, entry, i, &part[i]))
			part[i] = 0;
	*out = part[0] + part[1] / 60 + part[2] / 3600;
	return *out >= 0;
}

static void gps_entry(struct exif *exif, const struct tiff_entry *entry)
{
	struct span text;
	switch (entry->tag) {
	case TAG_LAT_REF:
	case TAG_LON_REF:
		text = entry_text(entry);
		exif->negative[entry->tag == TAG_LON_REF] =
		    text.len > 0 && (text.ptr[0] == (entry->tag == TAG_LON_REF ? 'W' : 'S'));
		break;
	case TAG_LAT:
	case TAG_LON:
		exif->has_place[entry->tag == TAG_LON] =
		    parse_degrees(&exif->tiff, entry, &exif->place[entry->tag == TAG_LON]);
		break;
	default:
		break;
	}
}

static void walk(struct exif *exif, uint32_t offset,
    void (*each)(struct exif *exif, const struct tiff_entry *entry))
{
	struct tiff_entry entry;
	uint32_t next;
	uint32_t count = tiff_directory(&exif->tiff, offset, &next);
	for (uint32_t i = 0; i < count && i < ENTRIES_MAX; i++)
		if (tiff_entry(&exif->tiff, offset, i, &entry))
			each(exif, &entry);
}

/* ---- What it comes to ---- */

/* "2024:06:01 12:30:00", with a zone such as "+02:00" if there is one. */
static bool parse_time(struct span text, struct span zone, int64_t *out_ms)
{
	enum { TIME_BYTES = 19, ZONE_BYTES = 6 };
	uint8_t iso[TIME_BYTES + ZONE_BYTES];
	int64_t last;
	size_t len = TIME_BYTES;
	if (text.len < TIME_BYTES)
		return false;
	memcpy(iso, text.ptr, TIME_BYTES);
	if (iso[4] != ':' || iso[7] != ':')
		return false;
	iso[4] = iso[7] = '-';
	if (zone.len >= ZONE_BYTES && (zone.ptr[0] == '+' || zone.ptr[0] == '-')) {
		memcpy(iso + TIME_BYTES, zone.ptr, ZONE_BYTES);
		len += ZONE_BYTES;
	}
	if (date_parse(span_of(iso, len), out_ms, &last))
		return true;
	return len > TIME_BYTES && date_parse(span_of(iso, TIME_BYTES), out_ms, &last);
}

static void finish_time(struct exif *exif)
{
	struct image_meta *meta = exif->tiff.probe->meta;
	const struct span none = {0};
	/* Cameras whose clock was never set write zeros, which are no date. */
	if (parse_time(exif->taken, exif->zone, &meta->taken_ms) ||
	    parse_time(exif->changed, none, &meta->taken_ms))
		meta->has |= IMAGE_HAS_TAKEN;
}

static void finish_place(struct exif *exif)
{
	struct image_meta *meta = exif->tiff.probe->meta;
	double lat = exif->negative[0] ? -exif->place[0] : exif->place[0];
	double lon = exif->negative[1] ? -exif->place[1] : exif->place[1];
	if (!exif->has_place[0] || !exif->has_place[1] || fabs(lat) > 90 || fabs(lon) > 180)
		return;
	meta->lat = lat;
	meta->lon = lon;
	meta->has |= IMAGE_HAS_LOCATION;
}

static bool begins_alike(struct span text, struct span with)
{
	if (with.len == 0 || text.len < with.len)
		return false;
	for (size_t i = 0; i < with.len; i++)
		if ((text.ptr[i] | 0x20) != (with.ptr[i] | 0x20))
			return false;
	return true;
}

/* "Make Model", without saying the maker twice. */
static void finish_camera(struct exif *exif)
{
	struct probe *probe = exif->tiff.probe;
	struct span make = probe_text(probe, exif->make);
	if (make.len > 0 && probe->scratch_used < PROBE_SCRATCH_BYTES) {
		probe->scratch[probe->scratch_used++] = ' ';
	}
	struct span model = probe_text(probe, exif->model);
	if (model.len == 0)
		probe->meta->camera = make;
	else if (make.len == 0 || begins_alike(model, make))
		probe->meta->camera = model;
	else
		probe->meta->camera = span_of(make.ptr, (size_t)(model.ptr + model.len - make.ptr));
	probe->meta->lens = probe_text(probe, exif->lens);
}

void probe_exif(struct probe *probe, struct span bytes)
{
	struct exif exif = {0};
	if (!tiff_open(&exif.tiff, probe, bytes))
		return;
	walk(&exif, tiff_u32(&exif.tiff, bytes.ptr + 4), main_entry);
	if (exif.photo != 0)
		walk(&exif, exif.photo, photo_entry);
	if (exif.gps != 0)
		walk(&exif, exif.gps, gps_entry);
	finish_time(&exif);
	finish_place(&exif);
	finish_camera(&exif);
}

void probe_exif_block(struct probe *probe, struct span block)
{
	if (span_equal(span_slice(block, 0, 6), span_of("Exif\0\0", 6)))
		block = span_slice(block, 6, block.len);
	probe_exif(probe, block);
}

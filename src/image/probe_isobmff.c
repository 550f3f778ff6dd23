/* image/probe_isobmff.c: HEIF and AVIF (ISO/IEC 23008-12, AV1 Image File Format).
 *
 *   ftyp, meta { pitm, iinf { infe... }, iloc, iprp { ipco { ispe, irot, clap, auxC... }, ipma } }
 *
 * The primary item's properties give the size; irot and clap, which every decoder applies,
 * are applied here too, so that EXIF's orientation has no say (it would turn twice).
 */
#include "image/probing.h"

enum { PROPERTIES_MAX = 256 };

struct box {
	struct span type;
	uint64_t at, end; /* of its payload */
};

struct property {
	struct span type;
	uint64_t at, end;
};

struct heif {
	struct probe *probe;
	struct box iinf, iloc, ipco, ipma;
	uint32_t primary, exif; /* item ids; 0: none */
	uint32_t property_count;
	struct property properties[PROPERTIES_MAX];
};

/* The box at *at, which moves behind it; it must end by `end`. */
static bool take_box(struct probe *probe, uint64_t *at, uint64_t end, struct box *out)
{
	struct span head;
	if (*at >= end || !probe_at(probe, *at, 8, &head))
		return false;
	uint64_t len = load_be32(head.ptr), header = 8;
	out->type = span_slice(head, 4, 4);
	if (len == 1) {
		if (!probe_at(probe, *at, 16, &head))
			return false;
		len = load_be64(head.ptr + 8);
		header = 16;
	} else if (len == 0) {
		len = end - *at;
	}
	if (len < header || len > end - *at)
		return false;
	out->at = *at + header;
	out->end = *at + len;
	*at = out->end;
	return true;
}

static bool box_is(const struct box *box, const char *type)
{
	return memcmp(box->type.ptr, type, 4) == 0;
}

/* `len` bytes of the box's payload from `offset`. */
static bool box_at(
    struct probe *probe, const struct box *box, uint64_t offset, size_t len, struct span *out)
{
	return box->at + offset <= box->end && len <= box->end - box->at - offset &&
	    probe_at(probe, box->at + offset, len, out);
}

/* A big-endian number of 0, 1, 2, 4 or 8 bytes; moves *offset. */
static bool box_number(
    struct probe *probe, const struct box *box, uint64_t *offset, unsigned bytes, uint64_t *out)
{
	struct span span;
	*out = 0;
	if (bytes == 0)
		return true;
	if (!box_at(probe, box, *offset, bytes, &span))
		return false;
	for (unsigned i = 0; i < bytes; i++)
		*out = *out << 8 | span.ptr[i];
	*offset += bytes;
	return true;
}

static void parse_meta(struct heif *heif, const struct box *meta)
{
	struct box box, inner;
	struct span bytes;
	struct probe *probe = heif->probe;
	for (uint64_t at = meta->at + 4; take_box(probe, &at, meta->end, &box);) {
		if (box_is(&box, "iinf")) {
			heif->iinf = box;
		} else if (box_is(&box, "iloc")) {
			heif->iloc = box;
		} else if (box_is(&box, "pitm")) {
			if (!box_at(probe, &box, 0, 6, &bytes))
				continue;
			heif->primary = load_be16(bytes.ptr + 4);
			if (bytes.ptr[0] != 0 && box_at(probe, &box, 4, 4, &bytes))
				heif->primary = load_be32(bytes.ptr);
		} else if (box_is(&box, "iprp")) {
			for (uint64_t from = box.at; take_box(probe, &from, box.end, &inner);) {
				if (box_is(&inner, "ipco"))
					heif->ipco = inner;
				else if (box_is(&inner, "ipma"))
					heif->ipma = inner;
			}
		}
	}
}

static void list_properties(struct heif *heif)
{
	struct box box;
	uint64_t at = heif->ipco.at;
	while (heif->property_count < PROPERTIES_MAX &&
	    take_box(heif->probe, &at, heif->ipco.end, &box))
		heif->properties[heif->property_count++] =
		    (struct property){box.type, box.at, box.end};
}

/* ---- The size ---- */

static bool is_alpha(struct heif *heif, const struct box *box)
{
	static const char av1[] = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
	                  hevc[] = "urn:mpeg:hevc:2015:auxid:1";
	struct span bytes;
	return (box_at(heif->probe, box, 4, sizeof(av1), &bytes) &&
	           memcmp(bytes.ptr, av1, sizeof(av1)) == 0) ||
	    (box_at(heif->probe, box, 4, sizeof(hevc), &bytes) &&
	        memcmp(bytes.ptr, hevc, sizeof(hevc)) == 0);
}

/* Tiles, alpha planes and thumbnails are pictures that a decoder makes room for too. */
static void look_at_all(struct heif *heif)
{
	struct span bytes;
	for (uint32_t i = 0; i < heif->property_count; i++) {
		const struct property *property = &heif->properties[i];
		struct box box = {property->type, property->at, property->end};
		if (box_is(&box, "ispe") && box_at(heif->probe, &box, 4, 8, &bytes)) {
			uint64_t pixels = (uint64_t)load_be32(bytes.ptr) * load_be32(bytes.ptr + 4);
			if (pixels > heif->probe->pixels)
				heif->probe->pixels = pixels;
		} else if (box_is(&box, "auxC") && is_alpha(heif, &box)) {
			heif->probe->meta->alpha = true;
		}
	}
}

static uint32_t aperture_side(const uint8_t *at, uint32_t side)
{
	uint32_t above = load_be32(at), below = load_be32(at + 4);
	if (below == 0 || above / below == 0 || above / below > side)
		return side;
	return above / below;
}

/* One property of the primary item, in the order in which they apply. */
static void apply_property(struct heif *heif, uint32_t number)
{
	struct span bytes;
	struct image_meta *meta = heif->probe->meta;
	if (number == 0 || number > heif->property_count)
		return;
	const struct property *property = &heif->properties[number - 1];
	struct box box = {property->type, property->at, property->end};
	if (box_is(&box, "ispe") && box_at(heif->probe, &box, 4, 8, &bytes)) {
		meta->width = load_be32(bytes.ptr);
		meta->height = load_be32(bytes.ptr + 4);
	} else if (box_is(&box, "clap") && box_at(heif->probe, &box, 0, 32, &bytes)) {
		meta->width = aperture_side(bytes.ptr, meta->width);
		meta->height = aperture_side(bytes.ptr + 8, meta->height);
	} else if (box_is(&box, "irot") && box_at(heif->probe, &box, 0, 1, &bytes) &&
	    (bytes.ptr[0] & 1) != 0) {
		uint32_t width = meta->width;
		meta->width = meta->height;
		meta->height = width;
	}
}

static void parse_associations(struct heif *heif)
{
	struct probe *probe = heif->probe;
	const struct box *box = &heif->ipma;
	uint64_t at = 0, head, entries, item, count, number;
	if (!box_number(probe, box, &at, 4, &head) || !box_number(probe, box, &at, 4, &entries))
		return;
	bool wide_items = head >> 24 != 0, wide_numbers = (head & 1) != 0;
	for (uint64_t i = 0; i < entries; i++) {
		if (!box_number(probe, box, &at, wide_items ? 4 : 2, &item) ||
		    !box_number(probe, box, &at, 1, &count))
			return;
		if (item != heif->primary) {
			at += count * (wide_numbers ? 2 : 1);
			continue;
		}
		for (uint64_t k = 0; k < count; k++) {
			if (!box_number(probe, box, &at, wide_numbers ? 2 : 1, &number))
				return;
			apply_property(heif, (uint32_t)number & (wide_numbers ? 0x7fff : 0x7f));
		}
		return;
	}
}

/* ---- EXIF ---- */

static void find_exif(struct heif *heif)
{
	struct box infe;
	struct span bytes;
	if (heif->iinf.end == 0 || !box_at(heif->probe, &heif->iinf, 0, 4, &bytes))
		return;
	uint64_t at = heif->iinf.at + (bytes.ptr[0] == 0 ? 6 : 8);
	while (heif->exif == 0 && take_box(heif->probe, &at, heif->iinf.end, &infe)) {
		if (!box_at(heif->probe, &infe, 0, 12, &bytes) || bytes.ptr[0] < 2)
			continue;
		bool wide = bytes.ptr[0] > 2;
		uint32_t item = wide ? load_be32(bytes.ptr + 4) : load_be16(bytes.ptr + 4);
		if (wide && !box_at(heif->probe, &infe, 2, 12, &bytes))
			continue;
		if (span_equal(span_slice(bytes, 8, 4), SPAN_LIT("Exif")))
			heif->exif = item;
	}
}

struct location_form {
	unsigned version, offset_bytes, length_bytes, base_bytes, index_bytes;
};

/* One item's place; *found if it lies in the file itself, in one piece. */
static bool take_location(
    struct heif *heif, const struct location_form *form, uint64_t *at, struct box *found)
{
	struct probe *probe = heif->probe;
	const struct box *box = &heif->iloc;
	uint64_t item, method = 0, skip, base, extents, offset = 0, len = 0;
	if (!box_number(probe, box, at, form->version < 2 ? 2 : 4, &item) ||
	    (form->version > 0 && !box_number(probe, box, at, 2, &method)) ||
	    !box_number(probe, box, at, 2, &skip) ||
	    !box_number(probe, box, at, form->base_bytes, &base) ||
	    !box_number(probe, box, at, 2, &extents))
		return false;
	for (uint64_t i = 0; i < extents; i++)
		if (!box_number(probe, box, at, form->index_bytes, &skip) ||
		    !box_number(probe, box, at, form->offset_bytes, &offset) ||
		    !box_number(probe, box, at, form->length_bytes, &len))
			return false;
	uint64_t size = probe->file.len;
	if (item == heif->exif && extents == 1 && (method & 15) == 0 && base <= size &&
	    offset <= size - base && len <= size - base - offset)
		*found = (struct box){.at = base + offset, .end = base + offset + len};
	return true;
}

static void parse_exif_item(struct heif *heif)
{
	struct probe *probe = heif->probe;
	struct span bytes;
	struct box found = {0};
	uint64_t at = 4, items;
	if (heif->exif == 0 || heif->iloc.end == 0 || !box_at(probe, &heif->iloc, 0, 8, &bytes))
		return;
	struct location_form form = {
	    .version = bytes.ptr[0],
	    .offset_bytes = bytes.ptr[4] >> 4,
	    .length_bytes = bytes.ptr[4] & 15,
	    .base_bytes = bytes.ptr[5] >> 4,
	};
	form.index_bytes = form.version > 0 ? bytes.ptr[5] & 15 : 0;
	at += 2;
	if (form.version > 2 || form.offset_bytes > 8 || form.length_bytes > 8 ||
	    form.base_bytes > 8 || form.index_bytes > 8 ||
	    !box_number(probe, &heif->iloc, &at, form.version < 2 ? 2 : 4, &items))
		return;
	for (uint64_t i = 0; i < items && found.end == 0; i++)
		if (!take_location(heif, &form, &at, &found))
			return;
	/* Four bytes say how far behind them the TIFF header lies. */
	if (found.end - found.at < 4 ||
	    !probe_at(probe, found.at, (size_t)(found.end - found.at), &bytes))
		return;
	uint64_t from = 4 + (uint64_t)load_be32(bytes.ptr);
	if (from >= bytes.len)
		return;
	uint8_t orientation = probe->meta->orientation;
	probe_exif_block(probe, span_slice(bytes, (size_t)from, bytes.len));
	probe->meta->orientation = orientation;
}

/* ---- Frames of an image sequence ---- */

/* The first box of this type in *box becomes *box. */
static bool enter(struct probe *probe, struct box *box, const char *type)
{
	struct box inner;
	for (uint64_t at = box->at; take_box(probe, &at, box->end, &inner);) {
		if (!box_is(&inner, type))
			continue;
		*box = inner;
		return true;
	}
	return false;
}

static void parse_movie(struct probe *probe, struct box box)
{
	static const char *const path[] = {"trak", "mdia", "minf", "stbl", "stsz"};
	struct span bytes;
	for (size_t i = 0; i < ARRAY_COUNT(path); i++)
		if (!enter(probe, &box, path[i]))
			return;
	if (box_at(probe, &box, 0, 12, &bytes) && load_be32(bytes.ptr + 8) > 0)
		probe->meta->frames = load_be32(bytes.ptr + 8);
}

enum err probe_isobmff(struct probe *probe)
{
	struct heif heif = {.probe = probe};
	struct box box, meta = {0}, movie = {0};
	uint64_t at = 0;
	while (take_box(probe, &at, probe->file.len, &box)) {
		if (box_is(&box, "meta") && meta.end == 0)
			meta = box;
		else if (box_is(&box, "moov") && movie.end == 0)
			movie = box;
	}
	if (at < probe->file.len)
		return probe_ended(probe);
	if (meta.end == 0)
		return probe_invalid(probe, "the file has no image item");
	parse_meta(&heif, &meta);
	if (heif.ipco.end == 0 || heif.ipma.end == 0 || heif.primary == 0)
		return probe_invalid(probe, "the image item has no properties");
	list_properties(&heif);
	look_at_all(&heif);
	parse_associations(&heif);
	if (probe->meta->width == 0 || probe->meta->height == 0)
		return probe_invalid(probe, "the image item has no size");
	find_exif(&heif);
	parse_exif_item(&heif);
	if (movie.end != 0)
		parse_movie(probe, movie);
	return OK;
}

/* commands/image.h: what the IMG commands share. */
#pragma once
#include "commands/handlers.h"
#include "engine/image.h"

/* The image at this key: NULL after a reply (nil, or -WRONGTYPE). */
struct entry *image_entry(struct call *call, struct span key, bool for_writing);

/* AT time | AT LSN n | LSN n at argv[*at], moved behind it. False: an error was replied. */
bool is_moment_word(struct span word);
bool parse_moment(struct call *call, uint32_t *at, struct moment *moment);
/* What the key was then. False: a reply was written: nil, or -NOHISTORY. */
bool call_past(
    struct call *call, struct span key, const struct moment *moment, struct past_found *found);

/* TITLE, CAPTION, TAGS, ATTR, LOCATION, TAKEN at argv[*at], moved behind it, into `meta`,
 * whose spans then point into argv. ERR_NOTFOUND: another word; ERR_INVALID: an error was
 * replied. `seen` collects which options came, so that duplicates are refused. */
enum { SEEN_TITLE = 1, SEEN_CAPTION = 2, SEEN_TAGS = 4, SEEN_LOCATION = 8, SEEN_TAKEN = 16 };
MUST_CHECK enum err parse_meta_option(
    struct call *call, uint32_t *at, struct image_meta *meta, unsigned *seen);

/* Splits "a, b,c" into tags without blanks at their ends; empty ones are dropped. False: too
 * many or too long; an error was replied. */
bool split_tags(struct call *call, struct span text, struct span *tags, uint32_t *count);

/* One field of IMG.INFO, or of a search result. False: no such field, or it has no value. */
struct info_source {
	struct engine           *engine;
	const struct image_meta *meta;
	enum tier                tier;
	uint64_t                 stored_bytes;
	uint32_t                 accessed_s;
	uint32_t                 versions;
};
extern const char *const info_fields[];
extern const size_t info_field_count;
/* Writes the value; always writes something when it returns true. */
bool reply_info_field(struct reply *reply, struct span name, const struct info_source *source);
/* As a search shows it: text, numbers as text, tags joined by commas, attributes by name. */
bool reply_search_field(struct reply *reply, struct span name, const struct info_source *source);
void info_source_of_entry(struct engine *engine, struct entry *entry, struct info_source *source);

/* TIER's word. False: an error was replied (cold, or no warm tier). */
bool parse_tier(struct call *call, struct span word, enum tier *tier);
/* The image just put shall go to another tier soon; nothing is replied. */
void image_wants_tier(struct call *call, struct span key, enum tier tier);

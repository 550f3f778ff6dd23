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

/* The perceptual hash of the image at this key. False: a reply was written: nil, -WRONGTYPE, or
 * -NOHASH if there is none (yet). */
bool image_phash(struct call *call, struct span key, uint8_t hash[PHASH_BYTES]);

/* A query of which a command sees every match (image_scan.c): it runs in slices and replies at
 * its end. Embedded first in the command's own job. */
struct image_scan {
	struct engine     *engine;
	struct call       *call;          /* NULL once deferred */
	struct slot       *slot;
	struct search_task task;
	uint8_t            db, resp;
	struct profile    *profile;       /* ft_profile_of */
	/* the command's: */
	search_visit      *visit;         /* its ctx is the scan; sets task.err to end it */
	enum err         (*work)(struct image_scan *scan, const struct search_budget *budget);
	/* NULL, or what is left to do before the reply, when the search has ended: OK, an error, or
	 * ERR_AGAIN: image_scan_finish will be called. */
	enum err         (*after)(struct image_scan *scan);
	void             (*reply)(struct image_scan *scan, struct reply *reply);
	/* An error that the command knows better; NULL: the usual text. */
	const char      *(*explain)(struct image_scan *scan, enum err err);
	void             (*free)(struct image_scan *scan);
};
struct image_scan_words {
	struct span               query;
	uint64_t                  timeout_ms;     /* 0: none */
	const struct query_param *params;
	size_t                    param_count;
	bool                      with_scores;
	bool                      verbatim;       /* without synonyms and stems */
	bool                      no_query;       /* nothing to visit: only work() runs */
};
/* The caller has filled visit, work (may be NULL), reply, explain (may be NULL) and free, which
 * runs at the end, whatever happens. */
void image_scan_run(
    struct call *call, struct image_scan *scan, const struct image_scan_words *words);
/* Replies; the scan is over. */
void image_scan_finish(struct image_scan *scan, enum err err);
/* The reply comes later. */
void image_scan_defer(struct image_scan *scan);
/* IMG.SUGGEST with the prefix at argv[at] and options behind it; FT.SUGGET has more of them. */
void image_suggest_run(struct call *call, uint32_t at, bool ft);
enum { IMAGE_PARAMS_MAX = 64 };
/* IMG.AGGREGATE with the query at argv[query]; `ft`: the reply is FT.AGGREGATE's. */
void image_aggregate_run(struct call *call, uint32_t query, bool ft);
/* ft_search.c. The index of FT commands: false: an error was replied. */
bool ft_index_is_known(struct call *call, struct span name);
/* ft_profile.c. NULL unless the command runs for FT.PROFILE, which is told how long it took to
 * get ready, and of the search when it has ended and still is there. */
struct profile *ft_profile_of(const struct call *call);
void ft_profile_ready(struct profile *profile, uint64_t parse_us, uint64_t bind_us);
void ft_profile_ended(struct profile *profile, const struct search_task *task);
/* FT.SEARCH with the query at argv[query] and its words behind it. */
void ft_search_run(struct call *call, uint32_t query);
/* The error text for how a search ended. */
const char *search_error_text(enum err err);

/* TIER's word. False: an error was replied (cold, or no warm tier). */
bool parse_tier(struct call *call, struct span word, enum tier *tier);
/* The image just put shall go to another tier soon; nothing is replied. */
void image_wants_tier(struct call *call, struct span key, enum tier tier);

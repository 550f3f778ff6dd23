/* commands/collection.h: what the commands of hashes, lists, sets and sorted sets share. */
#pragma once
#include "commands/handlers.h"
#include "engine/collection/collection.h"
#include "engine/pubsub.h"

/* After a commit: the event, and "del" if nothing was left. */
void edit_tell(const struct edit *edit, unsigned class, const char *event);

/* An integer argument. False: `error` was replied, or the usual text if it is NULL. */
bool parse_integer(struct call *call, struct span text, int64_t *out, const char *error);
/* The same within [low, INT64_MAX]; NULL: the text for what must not be negative. */
bool parse_at_least(struct call *call, struct span text, int64_t low, int64_t *out, const char *error);
/* [count [word]] from argv[2] on, of HRANDFIELD and its kin: *count may be negative. `word` NULL: there
 * is none. False: an error was replied. */
bool parse_random_words(struct call *call, const char *word, int64_t *count, bool *with_word);
/* numkeys key ... <first_end>|<last_end> [COUNT n] at argv[at], of LMPOP and its kin. False: an error was
 * replied. */
struct mpop {
	uint32_t first, count;            /* keys in argv */
	bool     last;                    /* which end */
	uint64_t most;
};
bool parse_mpop(struct call *call, uint32_t at, const char *first_end, const char *last_end,
    struct mpop *words);
/* The value that a command made becomes that of `key`; an empty one deletes it. Replies how many members
 * it has, and tells of `event`. */
void store_made(struct call *call, struct span key, struct value *made, unsigned class, const char *event);

/* HSCAN and its kin: argv[2] is the cursor. `pairs`: with data or score. */
void reply_value_scan(struct call *call, enum entry_type type, bool pairs);

/* `count` different members of the value, or all if there are fewer, each as likely as any other. `each`
 * must not change the value. */
typedef void pick_each(void *ctx, const struct item *name, const struct item *data, double score);
void value_pick(struct call *call, const struct value *value, uint64_t count, pick_each *each, void *ctx);

/* As INCRBYFLOAT computes: long double, 17 digits behind the point, trailing zeros cut. */
enum { LONG_DOUBLE_TEXT_MAX = 5200 };
bool long_double_parse(struct span text, long double *out);
size_t long_double_format(long double value, char *out, size_t bytes);
/* As Redis reads a score: what strtod takes, without blanks and NaN. */
bool score_parse(struct span text, double *out);

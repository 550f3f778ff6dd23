/* commands/shared.h: what several files of this folder share. */
#pragma once
#include "base/glob.h"
#include "commands/commands.h"

/* The line of CLIENT LIST. */
void client_line(const struct session *session, struct buf *out);
/* Checks and sets the connection's name. False: an error was replied. */
bool session_set_name(struct call *call, struct span name);
/* What the GETs of a SORT with STORE find, at most, as things are now: EXEC makes room for it. */
uint64_t sort_store_bytes(struct call *exec, const struct request *request);
/* A cursor of SCAN and its kin. */
bool parse_cursor(struct span text, uint64_t *out);
/* [MATCH pattern] [COUNT n] and, for SCAN alone, [TYPE name], from argv[at] on. False: an error was
 * replied. */
struct scan_words {
	struct span pattern, type;        /* type.ptr NULL: any */
	bool        all;                  /* the pattern matches everything */
	int64_t     count;                /* 1 at least */
};
bool parse_scan_words(struct call *call, uint32_t at, bool has_type, struct scan_words *words);
static inline bool scan_matches(const struct scan_words *words, struct span name)
{
	return words->all || glob_match(words->pattern, name, false);
}
/* The number of a database, into the inner one that it stands for. False: an error was replied. */
bool parse_database(struct call *call, struct span word, uint8_t *db);
/* -ERR syntax error, and the other texts that Redis repeats. */
void reply_syntax_error(struct call *call);
/* Of a container: the subcommand is there, and its arguments are not right. */
void reply_subcommand_syntax(struct call *call);
/* What OBJECT ENCODING says. */
const char *encoding_name(struct entry *entry);
void reply_wrong_type(struct call *call);
void reply_not_integer(struct call *call);
/* EX s | PX ms | EXAT s | PXAT ms at argv[*at], moving *at behind it. False: an error was
 * replied. *at_ms becomes Unix ms. */
bool parse_expiry(struct call *call, uint32_t *at, int64_t *at_ms);
bool is_expiry_word(struct span word);
/* Relative or absolute, seconds or milliseconds, into Unix ms, with Redis's checks. */
bool expiry_to_ms(struct call *call, int64_t value, bool seconds, bool relative, int64_t *at_ms);

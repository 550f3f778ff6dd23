/* commands/acl.h: what users may do: the rules of ACL SETUSER, as Redis 7.2 has them.
 *
 * A user is a root selector and any number of further ones, each with commands (one bit for
 * each row of the table), key patterns (for reading, for writing) and channel patterns. A
 * command is allowed if one selector allows it with all its keys and channels. Nothing is
 * allowed unless a rule says so.
 *
 * The rules are made from the user's text (engine/users.h) when they are first needed, and
 * again after a change. ACL SETUSER changes a copy, which becomes the text when all of it is right.
 */
#pragma once
#include "commands/commands.h"
#include "engine/users.h"

enum { ACL_COMMANDS_MAX = 1024, KEY_READ = 1, KEY_WRITE = 2 };

struct acl_pattern {
	unsigned    access;               /* KEY_READ | KEY_WRITE; of channels 0 */
	struct span text;                 /* a copy */
};

struct acl_patterns {
	struct acl_pattern *at;
	uint32_t            count, cap;
	bool                all;
};

struct acl_selector {
	uint64_t            commands[ACL_COMMANDS_MAX / 64];
	bool                all_commands;         /* "+@all" came last; those to come, too */
	struct acl_patterns keys, channels;
	struct buf          words;        /* the command rules since then: "+get -@write" */
};

struct acl_rules {
	struct engine *engine;
	bool           is_on, no_password, skips_sanitizing;
	char         (*passwords)[PASSWORD_HEX + 1];
	uint32_t       password_count, password_cap;
	struct acl_selector *selectors;   /* the first is the root */
	uint32_t       selector_count, selector_cap;
};

/* ---- acl_rules.c ---- */

/* A new user's: off, nothing allowed. */
struct acl_rules *acl_rules_new(struct engine *engine);
void acl_rules_free(struct memory *memory, struct acl_rules *rules);
/* One word of SETUSER (a selector in parentheses is one). False: *why says what is wrong. */
MUST_CHECK bool acl_rules_set(struct acl_rules *rules, struct span word, const char **why);
/* A whole text, as acl_describe writes it. */
MUST_CHECK bool acl_rules_parse(struct acl_rules *rules, struct span text, const char **why);
/* The user's text, ACL LIST's without "user NAME ". */
void acl_describe(const struct acl_rules *rules, struct buf *out);
void acl_describe_commands(const struct acl_selector *selector, struct buf *out);
void acl_describe_patterns(const struct acl_patterns *patterns, char sign, struct buf *out);
/* The words of SETUSER: selectors that were cut at spaces are put together. False: the parenthesis
 * of *bad is never closed. `out` gets one span each, borrowed from `words` or from `joined`. */
MUST_CHECK bool acl_join_words(
    const struct span *words, uint32_t count, struct buf *joined, struct buf *out, struct span *bad);
unsigned acl_category(struct span name);               /* its bit, or 0 */
const char *acl_category_name(unsigned at);            /* NULL behind the last */
unsigned command_categories(const struct command *command);

/* ---- acl_check.c ---- */

enum acl_verdict { ACL_ALLOWED, ACL_NO_COMMAND, ACL_NO_KEY, ACL_NO_CHANNEL };

/* The rules of a user, made if need be. */
const struct acl_rules *acl_rules_of(struct engine *engine, struct user *user);
/* May this user run this? `at`: the argument that is not allowed. */
enum acl_verdict acl_check(const struct acl_rules *rules, const struct command *command,
    const struct span *argv, uint32_t argc, uint32_t *at);
/* The same for the call's user; otherwise an error is replied and ACL LOG knows. */
bool acl_allows(struct call *call);
/* May it (still) hear this channel? */
bool acl_hears(const struct acl_rules *rules, struct span channel, bool is_pattern);
/* True, and the session is this user's. */
bool acl_authenticate(struct call *call, struct span name, struct span password);

/* Sessions of this user that hear what it may not hear any more; all of its sessions. */
void acl_close_listeners(struct engine *engine, struct user *user);
void acl_close_sessions(struct engine *engine, const struct user *user);

/* "user NAME rules". */
void acl_user_line(const struct user *user, struct buf *out);

/* ---- acl_file.c ---- */

enum { ACL_WHY_MAX = 800 };
/* ERR_INVALID, ...: `why` (ACL_WHY_MAX bytes) says what is wrong, and nothing was changed. */
MUST_CHECK enum err acl_load_file(struct engine *engine, char *why, uint64_t *lsn);

/* ---- acl_log.c ---- */

enum acl_reason { ACL_REASON_COMMAND, ACL_REASON_KEY, ACL_REASON_CHANNEL, ACL_REASON_AUTH };
void acl_log_note(struct call *call, enum acl_reason reason, struct span object, struct span user);
void acl_log_clear(struct engine *engine);

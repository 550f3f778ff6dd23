/* engine/users.h: the users, as texts in the log. What a text means is the commands folder's
 * (commands/acl.h): it is what ACL LIST shows behind "user NAME ".
 *
 * Each user is one SETTING record, "user:NAME". The user "default" is always there; it has a
 * record once it was changed. `requirepass`, if it is set, is the password of "default" from the start on, and
 * whenever it is set again; that is not logged.
 */
#pragma once
#include "engine/engine.h"

#define USER_SETTING "user:"              /* the key of a SETTING begins so */
enum { USER_NAME_MAX = 512, USER_TEXT_MAX = 1 << 20, USERS_MAX = 100000 };

/* What commands/acl.h makes of the text. */
struct acl_rules;

struct user {
	struct list       link;
	struct span       name, text;     /* copies */
	struct place      place;
	uint32_t          refs;           /* sessions, and the registry */
	bool              is_open;        /* on, and without a password: who comes is in */
	struct acl_rules *rules;          /* made when they are needed; NULL: not yet */
	bool              is_unlimited;   /* they allow everything; set with them */
};

struct users {
	struct engine *engine;
	struct list    all;               /* by name */
	struct user   *first;             /* "default" */
	uint64_t       count;
	/* commands/acl.c's. */
	void         (*free_rules)(struct memory *memory, struct acl_rules *rules);
	struct acl_log *log;              /* freed by `free_log`, if it is there */
	void         (*free_log)(struct engine *engine);
};

void users_new(struct engine *engine);
void users_free(struct engine *engine);
struct user *users_find(const struct engine *engine, struct span name);       /* NULL */
struct user *user_ref(struct user *user);
void user_unref(struct engine *engine, struct user *user);

/* Logs it and makes it so; the session's reply must wait for *lsn. ERR_FULL: too many users. */
MUST_CHECK enum err users_set(struct engine *engine, struct span name, struct span text, uint64_t *lsn);
/* Logs all of them once more, as they are: for a follower that may lack some. */
MUST_CHECK enum err users_log_again(struct engine *engine);
/* Never of "default". */
MUST_CHECK enum err users_delete(struct engine *engine, struct user *user, uint64_t *lsn);
/* requirepass was set, or the server starts. */
void users_require_password(struct engine *engine);
/* The log was read: who came before that, and is let in no more, has to say who it is. */
void users_opened(struct engine *engine);
/* SHA-256 as 64 lower-case hex digits and a NUL. */
enum { PASSWORD_HEX = 64 };
void password_hex(struct span password, char out[PASSWORD_HEX + 1]);

/* SETTING records in the log and in checkpoints, as fields.h has them. */
bool users_setting(struct engine *engine, const struct record *record);
bool users_setting_follow(struct engine *engine, const struct record *record);
bool users_setting_relocated(struct engine *engine, struct place from, struct place to);
bool users_setting_is_live(const struct engine *engine, const struct record *record);
void users_clear(struct engine *engine);
void users_dump(const struct engine *engine, struct buf *out);
bool users_load(struct engine *engine, struct span name, struct span text, struct place place);

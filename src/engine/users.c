/* engine/users.c: see users.h. */
#include "engine/users.h"

#include "engine/chunk.h"
#include "engine/internal.h"

#include <openssl/sha.h>

static const struct span key_prefix = {(const uint8_t *)USER_SETTING, sizeof(USER_SETTING) - 1};
static const struct span first_name = {(const uint8_t *)"default", 7};
static const struct span first_text = {
    (const uint8_t *)"on nopass sanitize-payload ~* &* +@all", 38};

void password_hex(struct span password, char out[PASSWORD_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[SHA256_DIGEST_LENGTH];
	_Static_assert(2 * SHA256_DIGEST_LENGTH == PASSWORD_HEX, "hex digits");
	SHA256(password.ptr, password.len, raw);
	for (size_t i = 0; i < sizeof(raw); i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[PASSWORD_HEX] = 0;
}

static struct span copy_of(struct engine *engine, struct span text)
{
	uint8_t *copy = memory_alloc(&engine->memory.engine, text.len + 1);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return span_of(copy, text.len);
}

static void copy_free(struct engine *engine, struct span text)
{
	memory_free(&engine->memory.engine, (void *)(uintptr_t)text.ptr, text.len + 1);
}

/* ---- The registry ---- */

struct user *users_find(const struct engine *engine, struct span name)
{
	const struct list *all = &engine->users->all;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct user *user = LIST_OF(at, struct user, link);
		if (span_equal(user->name, name))
			return user;
	}
	return NULL;
}

struct user *user_ref(struct user *user)
{
	user->refs++;
	return user;
}

static void user_drop_rules(struct engine *engine, struct user *user)
{
	if (user->rules != NULL)
		engine->users->free_rules(&engine->memory.engine, user->rules);
	user->rules = NULL;
	user->is_unlimited = false;
}

void user_unref(struct engine *engine, struct user *user)
{
	ASSERT(user->refs > 0);
	if (--user->refs > 0)
		return;
	user_drop_rules(engine, user);
	copy_free(engine, user->name);
	copy_free(engine, user->text);
	memory_free(&engine->memory.engine, user, sizeof(*user));
}

static void user_set_text(struct engine *engine, struct user *user, struct span text)
{
	const struct span open = SPAN_LIT("on nopass ");
	struct span old = user->text;
	user->text = copy_of(engine, text);
	user->is_open = span_equal(span_slice(text, 0, open.len), open);
	user_drop_rules(engine, user);
	if (old.ptr != NULL)
		copy_free(engine, old);
}

static struct user *user_add(struct engine *engine, struct span name)
{
	struct users *users = engine->users;
	struct user *user = memory_zalloc(&engine->memory.engine, sizeof(*user));
	struct list *at = users->all.next;
	user->name = copy_of(engine, name);
	user->refs = 1;
	while (at != &users->all && span_compare(LIST_OF(at, struct user, link)->name, name) < 0)
		at = at->next;
	list_append(at, &user->link);         /* before it */
	users->count++;
	return user;
}

static struct user *user_install(
    struct engine *engine, struct span name, struct span text, struct place place)
{
	struct user *user = users_find(engine, name);
	if (user == NULL)
		user = user_add(engine, name);
	if (user->place.segment != 0)
		store_release(engine->store, user->place);
	user->place = place;
	user_set_text(engine, user, text);
	return user;
}

static void user_remove(struct engine *engine, struct user *user)
{
	ASSERT(user != engine->users->first);
	if (user->place.segment != 0)
		store_release(engine->store, user->place);
	user->place = (struct place){0};
	list_remove(&user->link);
	engine->users->count--;
	user_unref(engine, user);
}

/* ---- Changes ---- */

static enum err log_user(
    struct engine *engine, struct span name, struct span text, struct record *record)
{
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	buf_append(&key, key_prefix);
	buf_append(&key, name);
	*record = (struct record){.type = RECORD_SETTING, .db = RECORD_ALL_DBS,
	    .key = buf_span(&key), .value = text, .sync = SYNC_ALWAYS};
	enum err err = engine_append(engine, record);
	record->key = (struct span){0};
	buf_fini(&key);
	return err;
}

enum err users_set(struct engine *engine, struct span name, struct span text, uint64_t *lsn)
{
	struct record record;
	ASSERT(name.len <= USER_NAME_MAX && text.len > 0 && text.len <= USER_TEXT_MAX);
	if (engine->users->count >= USERS_MAX && users_find(engine, name) == NULL)
		return ERR_FULL;
	enum err err = log_user(engine, name, text, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	(void)user_install(engine, name, text, record.place);
	return OK;
}

enum err users_log_again(struct engine *engine)
{
	const struct list *all = &engine->users->all;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct user *user = LIST_OF(at, struct user, link);
		struct record record;
		if (user->place.segment == 0)
			continue;             /* as it is without a record: the default one */
		enum err err = log_user(engine, user->name, user->text, &record);
		if (err != OK)
			return err;
		store_release(engine->store, user->place);
		user->place = record.place;
	}
	return OK;
}

enum err users_delete(struct engine *engine, struct user *user, uint64_t *lsn)
{
	struct record record;
	enum err err = log_user(engine, user->name, (struct span){0}, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	user_remove(engine, user);
	return OK;
}

/* The words in front of the first pattern or command: "on", "nopass", "#...", "sanitize-payload". */
static struct span first_word(struct span text)
{
	const uint8_t *space = text.len == 0 ? NULL : memchr(text.ptr, ' ', text.len);
	return space == NULL ? text : span_slice(text, 0, (size_t)(space - text.ptr));
}

void users_require_password(struct engine *engine)
{
	struct user *user = engine->users->first;
	const char *password = engine->settings->requirepass;
	char hex[PASSWORD_HEX + 1];
	struct buf text;
	struct span rest = user->text;
	buf_init(&text, &engine->memory.engine);
	buf_append(&text, first_word(rest));
	password_hex(span_text(password), hex);
	if (password[0] != 0)
		buf_printf(&text, " #%s", hex);
	else
		buf_append_text(&text, " nopass");
	for (rest = span_slice(rest, first_word(rest).len, rest.len); rest.len > 0;) {
		rest = span_slice(rest, 1, rest.len);
		struct span word = first_word(rest);
		rest = span_slice(rest, word.len, rest.len);
		if (word.len == 0 || word.ptr[0] == '#' || span_equal(word, SPAN_LIT("nopass")))
			continue;
		buf_append_u8(&text, ' ');
		buf_append(&text, word);
	}
	user_set_text(engine, user, buf_span(&text));
	buf_fini(&text);
}

void users_opened(struct engine *engine)
{
	const struct user *first = engine->users->first;
	if (engine->settings->requirepass[0] != 0)
		users_require_password(engine);
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (session->user == first && !first->is_open)
			session->authenticated = false;
	}
}

/* ---- Recovery ---- */

static bool parse_key(struct span key, struct span *name)
{
	if (!span_equal(span_slice(key, 0, key_prefix.len), key_prefix))
		return false;
	*name = span_slice(key, key_prefix.len, key.len);
	return name->len <= USER_NAME_MAX;
}

static void user_reset(struct engine *engine, struct user *user)
{
	if (user != engine->users->first) {
		user_remove(engine, user);
		return;
	}
	if (user->place.segment != 0)
		store_release(engine->store, user->place);
	user->place = (struct place){0};
	user_set_text(engine, user, first_text);
}

bool users_setting(struct engine *engine, const struct record *record)
{
	struct span name, text = record->body != NULL ? body_span(record->body) : record->value;
	if (!parse_key(record->key, &name))
		return false;
	struct user *old = users_find(engine, name);
	if (text.len > 0)
		(void)user_install(engine, name, text, record->place);
	else if (old != NULL)
		user_reset(engine, old);
	return true;
}

bool users_setting_follow(struct engine *engine, const struct record *record)
{
	struct span name;
	bool is_mark = record->value.len == 0 && record->body == NULL;
	struct user *user = NULL;
	if (!is_mark && parse_key(record->key, &name))
		user = users_find(engine, name);
	if (user == NULL || user->place.segment == 0)
		return false;
	store_release(engine->store, user->place);
	user->place = record->place;
	return true;
}

static struct user *find_place(const struct engine *engine, struct place place)
{
	const struct list *all = &engine->users->all;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct user *user = LIST_OF(at, struct user, link);
		if (user->place.segment != 0 && place_equal(user->place, place))
			return user;
	}
	return NULL;
}

bool users_setting_relocated(struct engine *engine, struct place from, struct place to)
{
	struct user *user = find_place(engine, from);
	if (user != NULL)
		user->place = to;
	return user != NULL;
}

bool users_setting_is_live(const struct engine *engine, const struct record *record)
{
	return find_place(engine, record->place) != NULL;
}

/* Without a word to the store. */
void users_clear(struct engine *engine)
{
	struct users *users = engine->users;
	for (struct list *at = users->all.next; at != &users->all;) {
		struct user *user = LIST_OF(at, struct user, link);
		at = at->next;
		user->place = (struct place){0};
		user_reset(engine, user);
	}
}

/* {0 'u' name, place, text}; "default" only if it was changed. */
void users_dump(const struct engine *engine, struct buf *out)
{
	const struct list *all = &engine->users->all;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct user *user = LIST_OF(at, struct user, link);
		struct buf name;
		if (user->place.segment == 0)
			continue;
		buf_init(&name, out->memory);
		buf_append_u8(&name, 0);
		buf_append_u8(&name, 'u');
		buf_append(&name, user->name);
		put_setting(out, buf_span(&name), user->place, user->text);
		buf_fini(&name);
	}
}

bool users_load(struct engine *engine, struct span name, struct span text, struct place place)
{
	if (name.len < 2 || name.ptr[0] != 0 || name.ptr[1] != 'u')
		return false;
	(void)user_install(engine, span_slice(name, 2, name.len), text, place);
	return true;
}

/* ---- Birth and death ---- */

void users_new(struct engine *engine)
{
	struct users *users = memory_zalloc(&engine->memory.engine, sizeof(*users));
	users->engine = engine;
	list_init(&users->all);
	engine->users = users;
	users->first = user_install(engine, first_name, first_text, (struct place){0});
	users_require_password(engine);
}

void users_free(struct engine *engine)
{
	struct users *users = engine->users;
	if (users == NULL)
		return;
	if (users->log != NULL)
		users->free_log(engine);
	while (!list_is_empty(&users->all)) {
		struct user *user = LIST_OF(users->all.next, struct user, link);
		list_remove(&user->link);
		ASSERT(user->refs == 1);
		user_unref(engine, user);
	}
	memory_free(&engine->memory.engine, users, sizeof(*users));
	engine->users = NULL;
}

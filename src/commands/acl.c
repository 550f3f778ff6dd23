/* commands/acl.c: the ACL family. */
#include "commands/acl.h"

#include "base/number.h"
#include "commands/handlers.h"
#include "engine/pubsub.h"

#include <stdio.h>

static void gate(struct call *call, uint64_t lsn)
{
	if (call->gate < lsn)
		call->gate = lsn;
}

void cmd_acl_whoami(struct call *call)
{
	reply_bulk(call->reply, call->session->user->name);
}

void cmd_acl_users(struct call *call)
{
	const struct users *users = call->engine->users;
	reply_array(call->reply, users->count);
	for (struct list *at = users->all.next; at != &users->all; at = at->next)
		reply_bulk(call->reply, LIST_OF(at, struct user, link)->name);
}

void acl_user_line(const struct user *user, struct buf *out)
{
	buf_append_text(out, "user ");
	buf_append(out, user->name);
	buf_append_u8(out, ' ');
	buf_append(out, user->text);
}

void cmd_acl_list(struct call *call)
{
	const struct users *users = call->engine->users;
	struct buf line;
	buf_init(&line, &call->engine->memory.replies);
	reply_array(call->reply, users->count);
	for (struct list *at = users->all.next; at != &users->all; at = at->next) {
		buf_clear(&line);
		acl_user_line(LIST_OF(at, struct user, link), &line);
		reply_bulk(call->reply, buf_span(&line));
	}
	buf_fini(&line);
}

/* ---- CAT, GENPASS ---- */

static void cat_commands(struct call *call, unsigned bit)
{
	size_t count = 0;
	char name[80];
	for (size_t i = 0; i < commands_count; i++)
		count += (command_categories(&commands_table[i]) & bit) != 0;
	reply_array(call->reply, count);
	for (size_t i = 0; i < commands_count; i++) {
		if ((command_categories(&commands_table[i]) & bit) == 0)
			continue;
		command_full_name(&commands_table[i], name, sizeof(name));
		reply_text(call->reply, name);
	}
}

void cmd_acl_cat(struct call *call)
{
	unsigned count = 0;
	if (call->argc > 3) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 3) {
		struct span name = call->argv[2];
		unsigned bit = acl_category(name);
		if (bit == 0)
			call_error(call, "ERR Unknown category '%.*s'",
			    (int)(name.len < 128 ? name.len : 128), (const char *)name.ptr);
		else
			cat_commands(call, bit);
		return;
	}
	while (acl_category_name(count) != NULL)
		count++;
	reply_array(call->reply, count);
	for (unsigned i = 0; i < count; i++)
		reply_text(call->reply, acl_category_name(i));
}

void cmd_acl_genpass(struct call *call)
{
	enum { BITS_MAX = 4096 };
	int64_t bits = 256;
	uint8_t raw[BITS_MAX / 8];
	char hex[2 * sizeof(raw) + 1] = "";
	if (call->argc > 3) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 3 && !number_parse_i64(call->argv[2], &bits)) {
		reply_not_integer(call);
		return;
	}
	if (bits <= 0 || bits > BITS_MAX) {
		call_error(call, "ERR ACL GENPASS argument must be the number of bits for the output password, "
		    "a positive number up to %d", BITS_MAX);
		return;
	}
	io_random(call->engine->io, raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(hex + 2 * i, 3, "%02x", raw[i]);
	reply_bulk(call->reply, span_of(hex, (size_t)(bits + 3) / 4));
}

/* ---- GETUSER ---- */

static void reply_described(struct call *call, const struct acl_selector *selector)
{
	struct buf text;
	buf_init(&text, &call->engine->memory.replies);
	reply_text(call->reply, "commands");
	acl_describe_commands(selector, &text);
	reply_bulk(call->reply, buf_span(&text));
	buf_clear(&text);
	reply_text(call->reply, "keys");
	acl_describe_patterns(&selector->keys, '~', &text);
	reply_bulk(call->reply, buf_span(&text));
	buf_clear(&text);
	reply_text(call->reply, "channels");
	acl_describe_patterns(&selector->channels, '&', &text);
	reply_bulk(call->reply, buf_span(&text));
	buf_fini(&text);
}

void cmd_acl_getuser(struct call *call)
{
	struct user *user = users_find(call->engine, call->argv[2]);
	if (user == NULL) {
		reply_null(call->reply);
		return;
	}
	const struct acl_rules *rules = acl_rules_of(call->engine, user);
	struct reply *reply = call->reply;
	reply_map(reply, 6);
	reply_text(reply, "flags");
	reply_set(reply, 2U + rules->no_password);
	reply_text(reply, rules->is_on ? "on" : "off");
	if (rules->no_password)
		reply_text(reply, "nopass");
	reply_text(reply, rules->skips_sanitizing ? "skip-sanitize-payload" : "sanitize-payload");
	reply_text(reply, "passwords");
	reply_array(reply, rules->password_count);
	for (uint32_t i = 0; i < rules->password_count; i++)
		reply_text(reply, rules->passwords[i]);
	reply_described(call, &rules->selectors[0]);
	reply_text(reply, "selectors");
	reply_array(reply, rules->selector_count - 1);
	for (uint32_t i = 1; i < rules->selector_count; i++) {
		reply_map(reply, 3);
		reply_described(call, &rules->selectors[i]);
	}
}

/* ---- SETUSER, DELUSER ---- */

static bool hears(const void *ctx, enum channel_kind kind, struct span name)
{
	return acl_hears(ctx, name, kind == CHANNEL_PATTERN);
}

void acl_close_listeners(struct engine *engine, struct user *user)
{
	const struct acl_rules *rules = acl_rules_of(engine, user);
	for (struct list *at = engine->sessions.next; at != &engine->sessions;) {
		struct session *session = LIST_OF(at, struct session, link);
		at = at->next;
		if (session->user == user && !session->closing && !pubsub_all(session, hears, rules))
			session->ops->close(session);
	}
}

void acl_close_sessions(struct engine *engine, const struct user *user)
{
	for (struct list *at = engine->sessions.next; at != &engine->sessions;) {
		struct session *session = LIST_OF(at, struct session, link);
		at = at->next;
		if (session->user != user || session->closing)
			continue;
		if (session == engine->running)
			session->close_after_reply = true;
		else
			session->ops->close(session);
	}
}

/* NULL: an error was replied. */
static struct acl_rules *changed_rules(struct call *call, const struct user *user)
{
	const char *why;
	struct span bad;
	struct buf joined, words;
	struct acl_rules *rules = acl_rules_new(call->engine);
	buf_init(&joined, &call->engine->memory.engine);
	buf_init(&words, &call->engine->memory.engine);
	bool fine = user == NULL || acl_rules_parse(rules, user->text, &why);
	ASSERT(fine || user != NULL);
	fine = acl_join_words(call->argv + 3, call->argc - 3, &joined, &words, &bad);
	if (!fine)
		call_error(call, "ERR Unmatched parenthesis in acl selector starting at '%.*s'.",
		    (int)(bad.len < 128 ? bad.len : 128), (const char *)bad.ptr);
	for (size_t at = 0; fine && at < words.len; at += sizeof(struct span)) {
		struct span word;
		memcpy(&word, words.ptr + at, sizeof(word));
		fine = acl_rules_set(rules, word, &why);
		if (!fine)
			call_error(call, "ERR Error in ACL SETUSER modifier '%.*s': %s",
			    (int)(word.len < 128 ? word.len : 128), (const char *)word.ptr, why);
	}
	buf_fini(&joined);
	buf_fini(&words);
	if (fine)
		return rules;
	acl_rules_free(&call->engine->memory.engine, rules);
	return NULL;
}

void cmd_acl_setuser(struct call *call)
{
	struct engine *engine = call->engine;
	struct span name = call->argv[2];
	uint64_t lsn = 0;
	struct buf text;
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] > ' ' && name.ptr[i] != 0x7f)
			continue;
		call_error(call, "ERR Usernames can't contain spaces or null characters");
		return;
	}
	if (name.len > USER_NAME_MAX) {
		call_error(call, "TOOLARGE names of users have at most %d bytes", USER_NAME_MAX);
		return;
	}
	struct acl_rules *rules = changed_rules(call, users_find(engine, name));
	if (rules == NULL)
		return;
	buf_init(&text, &engine->memory.engine);
	acl_describe(rules, &text);
	acl_rules_free(&engine->memory.engine, rules);
	enum err err = text.len > USER_TEXT_MAX ? ERR_TOOLARGE
	                                        : users_set(engine, name, buf_span(&text), &lsn);
	buf_fini(&text);
	if (err != OK) {
		call_fail(call, err, name);
		return;
	}
	gate(call, lsn);
	acl_close_listeners(engine, users_find(engine, name));
	reply_ok(call->reply);
}

void cmd_acl_deluser(struct call *call)
{
	struct engine *engine = call->engine;
	int64_t deleted = 0;
	for (uint32_t i = 2; i < call->argc; i++) {
		if (span_equal(call->argv[i], SPAN_LIT("default"))) {
			call_error(call, "ERR The 'default' user cannot be removed");
			return;
		}
	}
	for (uint32_t i = 2; i < call->argc; i++) {
		uint64_t lsn;
		struct user *user = users_find(engine, call->argv[i]);
		if (user == NULL)
			continue;
		user_ref(user);
		enum err err = users_delete(engine, user, &lsn);
		if (err == OK)
			acl_close_sessions(engine, user);
		user_unref(engine, user);
		if (err != OK) {
			call_fail(call, err, call->argv[i]);
			return;
		}
		gate(call, lsn);
		deleted++;
	}
	reply_int(call->reply, deleted);
}

/* ---- DRYRUN ---- */

void cmd_acl_dryrun(struct call *call)
{
	struct engine *engine = call->engine;
	struct user *user = users_find(engine, call->argv[2]);
	char name[80], text[400];
	uint32_t at;
	if (user == NULL) {
		call_error(call, "ERR User '%.*s' not found", (int)call->argv[2].len,
		    (const char *)call->argv[2].ptr);
		return;
	}
	const struct span *argv = call->argv + 3;
	uint32_t argc = call->argc - 3;
	const struct command *command = command_find(engine, argv, argc);
	if (command == NULL) {
		call_error(call, "ERR Command '%.*s' not found", (int)argv[0].len, (const char *)argv[0].ptr);
		return;
	}
	command_full_name(command, name, sizeof(name));
	if (!command_arity_fits(command, argc)) {
		call_error(call, "ERR wrong number of arguments for '%s' command", name);
		return;
	}
	enum acl_verdict verdict = acl_check(acl_rules_of(engine, user), command, argv, argc, &at);
	int user_len = (int)(user->name.len < 128 ? user->name.len : 128);
	int word_len = (int)(argv[at].len < 128 ? argv[at].len : 128);
	if (verdict == ACL_ALLOWED) {
		reply_ok(call->reply);
		return;
	}
	if (verdict == ACL_NO_COMMAND)
		snprintf(text, sizeof(text), "User %.*s has no permissions to run the '%s' command", user_len,
		    (const char *)user->name.ptr, name);
	else
		snprintf(text, sizeof(text), "User %.*s has no permissions to access the '%.*s' %s", user_len,
		    (const char *)user->name.ptr, word_len, (const char *)argv[at].ptr,
		    verdict == ACL_NO_KEY ? "key" : "channel");
	reply_text(call->reply, text);
}

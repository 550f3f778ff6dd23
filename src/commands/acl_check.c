/* commands/acl_check.c: may this user do that? See acl.h. */
#include "commands/acl.h"

#include "base/glob.h"
#include "commands/handlers.h"

static void free_rules(struct memory *memory, struct acl_rules *rules)
{
	acl_rules_free(memory, rules);
}

static bool is_unlimited(const struct acl_rules *rules)
{
	const struct acl_selector *root = &rules->selectors[0];
	return root->all_commands && root->words.len == 0 && root->keys.all && root->channels.all;
}

const struct acl_rules *acl_rules_of(struct engine *engine, struct user *user)
{
	const char *why;
	if (LIKELY(user->rules != NULL))
		return user->rules;
	engine->users->free_rules = free_rules;
	user->rules = acl_rules_new(engine);
	/* A text of another version: what is understood counts, the rest is not allowed. */
	bool fine = acl_rules_parse(user->rules, user->text, &why);
	user->is_unlimited = fine && is_unlimited(user->rules);
	if (!fine)
		log_warning(engine->log, "user %.*s: %s", (int)user->name.len,
		    (const char *)user->name.ptr, why);
	return user->rules;
}

static bool patterns_allow(const struct acl_patterns *patterns, struct span text, unsigned access)
{
	if (patterns->all)
		return true;
	for (uint32_t i = 0; i < patterns->count; i++) {
		const struct acl_pattern *pattern = &patterns->at[i];
		if ((pattern->access & access) == access && glob_match(pattern->text, text, false))
			return true;
	}
	return false;
}

/* May it read whatever is there? */
static bool reads_every_key(const struct acl_patterns *keys)
{
	for (uint32_t i = 0; i < keys->count; i++)
		if ((keys->at[i].access & KEY_READ) != 0 && span_equal(keys->at[i].text, SPAN_LIT("*")))
			return true;
	return keys->all;
}

struct key_walk {
	const struct acl_selector *selector;
	const struct span *argv;
	uint32_t bad;                     /* 0: none */
};

static void check_key(void *ctx, uint32_t at, unsigned access)
{
	struct key_walk *walk = ctx;
	if (walk->bad == 0 && !patterns_allow(&walk->selector->keys, walk->argv[at], access))
		walk->bad = at;
}

/* Of a literal channel, or of a pattern, which must stand among the rules itself. */
static bool channels_allow(const struct acl_patterns *channels, struct span name, bool is_pattern)
{
	if (!is_pattern || channels->all)
		return patterns_allow(channels, name, 0);
	for (uint32_t i = 0; i < channels->count; i++)
		if (span_equal(channels->at[i].text, name))
			return true;
	return false;
}

/* The first argument that is a channel that may not be used, or 0. */
static uint32_t check_channels(const struct acl_selector *selector, const struct command *command,
    const struct span *argv, uint32_t argc)
{
	bool patterns = command->run == cmd_psubscribe;
	bool publishes = command->run == cmd_publish || command->run == cmd_spublish;
	if (!patterns && !publishes && command->run != cmd_subscribe && command->run != cmd_ssubscribe)
		return 0;
	for (uint32_t i = 1; i < (publishes ? 2 : argc); i++)
		if (!channels_allow(&selector->channels, argv[i], patterns))
			return i;
	return 0;
}

static enum acl_verdict check_selector(const struct acl_selector *selector,
    const struct command *command, const struct span *argv, uint32_t argc, uint32_t *at)
{
	size_t row = (size_t)(command - commands_table);
	bool allowed = (selector->commands[row / 64] >> row % 64 & 1) != 0;
	*at = 0;
	if (!allowed && !(command->flags & CMD_NO_AUTH))
		return ACL_NO_COMMAND;
	/* A search tells of all images, not of a key that could be compared. */
	if ((command->flags & CMD_INDEX) != 0 && !reads_every_key(&selector->keys)) {
		*at = 1;
		return ACL_NO_KEY;
	}
	struct key_walk walk = {.selector = selector, .argv = argv};
	if (!selector->keys.all)
		(void)command_keys_access(command, argv, argc, check_key, &walk);
	*at = walk.bad;
	if (walk.bad != 0)
		return ACL_NO_KEY;
	*at = selector->channels.all ? 0 : check_channels(selector, command, argv, argc);
	return *at != 0 ? ACL_NO_CHANNEL : ACL_ALLOWED;
}

enum acl_verdict acl_check(const struct acl_rules *rules, const struct command *command,
    const struct span *argv, uint32_t argc, uint32_t *at)
{
	enum acl_verdict worst = ACL_NO_COMMAND;
	uint32_t where;
	*at = 0;
	for (uint32_t i = 0; i < rules->selector_count; i++) {
		enum acl_verdict verdict =
		    check_selector(&rules->selectors[i], command, argv, argc, &where);
		if (verdict == ACL_ALLOWED)
			return ACL_ALLOWED;
		/* The selector that came furthest says why not. */
		if (verdict > worst || (verdict == worst && where > *at)) {
			worst = verdict;
			*at = where;
		}
	}
	return worst;
}

bool acl_hears(const struct acl_rules *rules, struct span channel, bool is_pattern)
{
	for (uint32_t i = 0; i < rules->selector_count; i++)
		if (channels_allow(&rules->selectors[i].channels, channel, is_pattern))
			return true;
	return false;
}

bool acl_allows(struct call *call)
{
	const struct command *command = call->command;
	struct user *user = call->session->user;
	const struct acl_rules *rules = acl_rules_of(call->engine, user);
	uint32_t at;
	enum acl_verdict verdict = acl_check(rules, command, call->argv, call->argc, &at);
	char name[80];
	switch (verdict) {
	case ACL_ALLOWED:
		return true;
	case ACL_NO_COMMAND:
		command_full_name(command, name, sizeof(name));
		acl_log_note(call, ACL_REASON_COMMAND, span_text(name), user->name);
		call_error(call, "NOPERM User %.*s has no permissions to run the '%s' command",
		    (int)user->name.len, (const char *)user->name.ptr, name);
		return false;
	case ACL_NO_KEY:
		acl_log_note(call, ACL_REASON_KEY, call->argv[at], user->name);
		call_error(call, "NOPERM No permissions to access a key");
		return false;
	case ACL_NO_CHANNEL:
		acl_log_note(call, ACL_REASON_CHANNEL, call->argv[at], user->name);
		call_error(call, "NOPERM No permissions to access a channel");
		return false;
	}
	return false;
}

/* Compares all of both, whatever it finds on the way. */
static bool hash_equal(const char *a, const char *b)
{
	unsigned differs = 0;
	for (size_t i = 0; i < PASSWORD_HEX; i++)
		differs |= (unsigned)(a[i] ^ b[i]);
	return differs == 0;
}

bool acl_authenticate(struct call *call, struct span name, struct span password)
{
	struct engine *engine = call->engine;
	struct user *user = users_find(engine, name);
	const struct acl_rules *rules = user == NULL ? NULL : acl_rules_of(engine, user);
	char hex[PASSWORD_HEX + 1];
	password_hex(password, hex);
	bool right = rules != NULL && rules->no_password;
	for (uint32_t i = 0; rules != NULL && i < rules->password_count; i++)
		right |= hash_equal(rules->passwords[i], hex);
	if (rules == NULL || !rules->is_on || !right) {
		acl_log_note(call, ACL_REASON_AUTH, span_text(call->command->name), name);
		call_error(call, "WRONGPASS invalid username-password pair or user is disabled.");
		return false;
	}
	user_ref(user);
	user_unref(engine, call->session->user);
	call->session->user = user;
	call->session->authenticated = true;
	return true;
}

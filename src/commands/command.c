/* commands/command.c: the COMMAND family: the table, as clients and tools read it. */
#include "commands/acl.h"
#include "commands/handlers.h"

#include "base/glob.h"

#include <stdio.h>

struct word {
	unsigned    bit;
	const char *name;
};

static const struct word flag_words[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_MOVABLEKEYS, "movablekeys"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_BLOCKING, "blocking"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
};

static const struct word tip_words[] = {
    {TIP_ALL_NODES, "request_policy:all_nodes"},
    {TIP_ALL_SHARDS, "request_policy:all_shards"},
    {TIP_MULTI_SHARD, "request_policy:multi_shard"},
    {TIP_SPECIAL, "request_policy:special"},
    {TIP_ALL_SUCCEEDED, "response_policy:all_succeeded"},
    {TIP_ONE_SUCCEEDED, "response_policy:one_succeeded"},
    {TIP_SUM, "response_policy:agg_sum"},
    {TIP_MIN, "response_policy:agg_min"},
    {TIP_AND, "response_policy:agg_logical_and"},
    {TIP_MERGE, "response_policy:special"},
    {TIP_ANY_OUTPUT, "nondeterministic_output"},
    {TIP_ANY_ORDER, "nondeterministic_output_order"},
};

static void reply_words(struct call *call, const struct word *words, size_t count, unsigned bits)
{
	size_t set = 0;
	for (size_t i = 0; i < count; i++)
		set += (bits & words[i].bit) != 0;
	reply_set(call->reply, set);
	for (size_t i = 0; i < count; i++)
		if (bits & words[i].bit)
			reply_status(call->reply, words[i].name);
}

static void reply_categories(struct call *call, unsigned bits)
{
	char word[32];
	size_t set = 0;
	const char *name;
	for (unsigned i = 0; (name = acl_category_name(i)) != NULL; i++)
		set += (bits & acl_category(span_text(name))) != 0;
	reply_set(call->reply, set);
	for (unsigned i = 0; (name = acl_category_name(i)) != NULL; i++) {
		if ((bits & acl_category(span_text(name))) == 0)
			continue;
		snprintf(word, sizeof(word), "@%s", name);
		reply_status(call->reply, word);
	}
}

void command_full_name(const struct command *command, char *out, size_t bytes)
{
	if (command->parent == NULL)
		snprintf(out, bytes, "%s", command->name);
	else
		snprintf(out, bytes, "%s|%s", command->parent, command->name);
}

static void reply_full_name(struct call *call, const struct command *command)
{
	char name[80];
	command_full_name(command, name, sizeof(name));
	reply_text(call->reply, name);
}

static size_t children(const struct command *parent)
{
	size_t count = 0;
	for (size_t i = 0; i < commands_count; i++)
		count += commands_table[i].parent != NULL &&
		    strcmp(commands_table[i].parent, parent->name) == 0;
	return count;
}

/* What proxies may know: how to spread it over servers, and whether replies can be compared. */
static void reply_tips(struct call *call, unsigned tips)
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(tip_words); i++)
		count += (tips & tip_words[i].bit) != 0;
	reply_array(call->reply, count);
	for (size_t i = 0; i < ARRAY_COUNT(tip_words); i++)
		if (tips & tip_words[i].bit)
			reply_text(call->reply, tip_words[i].name);
}

/* The ten elements of COMMAND INFO, without those of the subcommands. */
static void reply_info_head(struct call *call, const struct command *command)
{
	reply_array(call->reply, 10);
	reply_full_name(call, command);
	reply_int(call->reply, command->arity);
	reply_words(call, flag_words, ARRAY_COUNT(flag_words), command->flags);
	reply_int(call->reply, command->first_key);
	reply_int(call->reply, command->last_key);
	reply_int(call->reply, command->key_step);
	reply_categories(call, command_categories(command));
	reply_tips(call, command->tips);
	reply_key_specs(call, command);
}

static void reply_info(struct call *call, const struct command *command)
{
	reply_info_head(call, command);
	reply_array(call->reply, children(command));
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *child = &commands_table[i];
		if (child->parent == NULL || strcmp(child->parent, command->name) != 0)
			continue;
		reply_info_head(call, child);
		reply_array(call->reply, 0);
	}
}

static size_t top_level(void)
{
	size_t count = 0;
	for (size_t i = 0; i < commands_count; i++)
		count += commands_table[i].parent == NULL;
	return count;
}

static void reply_all(struct call *call)
{
	reply_array(call->reply, top_level());
	for (size_t i = 0; i < commands_count; i++)
		if (commands_table[i].parent == NULL)
			reply_info(call, &commands_table[i]);
}

void cmd_command(struct call *call)
{
	ASSERT(call->argc == 1);
	reply_all(call);
}

void cmd_command_count(struct call *call)
{
	reply_int(call->reply, (int64_t)top_level());
}

/* "get", or "client|kill". */
static const struct command *find_by_name(struct call *call, struct span name)
{
	struct span words[2] = {name, {0}};
	const uint8_t *bar = memchr(name.ptr, '|', name.len);
	if (bar == NULL)
		return command_find(call->engine, words, 1);
	words[0].len = (size_t)(bar - name.ptr);
	words[1] = span_slice(name, words[0].len + 1, name.len);
	const struct command *command = command_find(call->engine, words, 2);
	return command != NULL && command->parent != NULL ? command : NULL;
}

void cmd_command_info(struct call *call)
{
	if (call->argc == 2) {
		reply_all(call);
		return;
	}
	reply_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct command *command =
		    call->argv[i].len == 0 ? NULL : find_by_name(call, call->argv[i]);
		if (command == NULL)
			reply_null(call->reply);
		else
			reply_info(call, command);
	}
}

static void reply_doc(struct call *call, const struct command *command)
{
	size_t subs = children(command), arguments = command->syntax[0] != 0;
	reply_full_name(call, command);
	reply_map(call->reply, 4 + arguments + (subs > 0));
	reply_text(call->reply, "summary");
	reply_text(call->reply, command->summary);
	reply_text(call->reply, "since");
	reply_text(call->reply, command->since);
	reply_text(call->reply, "group");
	reply_text(call->reply, command->group);
	reply_text(call->reply, "syntax");
	reply_text(call->reply, command->syntax);
	if (arguments > 0) {
		reply_text(call->reply, "arguments");
		reply_arguments(call, command->syntax);
	}
	if (subs == 0)
		return;
	reply_text(call->reply, "subcommands");
	reply_map(call->reply, subs);
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *child = &commands_table[i];
		if (child->parent == NULL || strcmp(child->parent, command->name) != 0)
			continue;
		reply_full_name(call, child);
		reply_map(call->reply, 3 + (child->syntax[0] != 0));
		reply_text(call->reply, "summary");
		reply_text(call->reply, child->summary);
		reply_text(call->reply, "since");
		reply_text(call->reply, child->since);
		reply_text(call->reply, "group");
		reply_text(call->reply, child->group);
		if (child->syntax[0] == 0)
			continue;
		reply_text(call->reply, "arguments");
		reply_arguments(call, child->syntax);
	}
}

void cmd_command_docs(struct call *call)
{
	size_t count = 0;
	if (call->argc == 2) {
		reply_map(call->reply, top_level());
		for (size_t i = 0; i < commands_count; i++)
			if (commands_table[i].parent == NULL)
				reply_doc(call, &commands_table[i]);
		return;
	}
	for (uint32_t i = 2; i < call->argc; i++)
		count += call->argv[i].len > 0 && find_by_name(call, call->argv[i]) != NULL;
	reply_map(call->reply, count);
	for (uint32_t i = 2; i < call->argc; i++) {
		const struct command *command =
		    call->argv[i].len == 0 ? NULL : find_by_name(call, call->argv[i]);
		if (command != NULL)
			reply_doc(call, command);
	}
}

/* Which commands COMMAND LIST shows. */
struct list_filter {
	struct span pattern;
	unsigned    acl;
	bool        by_pattern, by_acl, nothing;
};

static bool parse_list_filter(struct call *call, struct list_filter *filter)
{
	if (call->argc == 2)
		return true;
	if (call->argc != 5 || !span_is(call->argv[2], "FILTERBY")) {
		reply_syntax_error(call);
		return false;
	}
	if (span_is(call->argv[3], "MODULE")) {
		filter->nothing = true;       /* there are no modules */
	} else if (span_is(call->argv[3], "PATTERN")) {
		filter->by_pattern = true;
		filter->pattern = call->argv[4];
	} else if (span_is(call->argv[3], "ACLCAT")) {
		filter->by_acl = true;
		filter->acl = acl_category(call->argv[4]);
		filter->nothing = filter->acl == 0;
	} else {
		reply_syntax_error(call);
		return false;
	}
	return true;
}

static bool filter_shows(const struct list_filter *filter, const struct command *command)
{
	char name[80];
	if (filter->nothing)
		return false;
	if (filter->by_acl)
		return (command_categories(command) & filter->acl) != 0;
	command_full_name(command, name, sizeof(name));
	return !filter->by_pattern || glob_match(filter->pattern, span_text(name), true);
}

void cmd_command_list(struct call *call)
{
	struct list_filter filter = {0};
	size_t count = 0;
	if (!parse_list_filter(call, &filter))
		return;
	for (size_t i = 0; i < commands_count; i++)
		count += filter_shows(&filter, &commands_table[i]);
	reply_array(call->reply, count);
	for (size_t i = 0; i < commands_count; i++)
		if (filter_shows(&filter, &commands_table[i]))
			reply_full_name(call, &commands_table[i]);
}

static void count_key(void *ctx, uint32_t at)
{
	UNUSED(at);
	++*(size_t *)ctx;
}

static void reply_key(void *ctx, uint32_t at)
{
	struct call *call = ctx;
	reply_bulk(call->reply, call->argv[2 + at]);
}

/* The command that argv[2] and on make, if its keys can be told. NULL: an error was replied. */
static const struct command *keys_command(struct call *call)
{
	const struct command *command = command_find(call->engine, call->argv + 2, call->argc - 2);
	if (command == NULL) {
		call_error(call, "ERR Invalid command specified");
		return NULL;
	}
	if (!command_has_keys(command) || (command->keys & KEYS_NOT_KEY) != 0) {
		call_error(call, "ERR The command has no key arguments");
		return NULL;
	}
	if (!command_arity_fits(command, call->argc - 2)) {
		call_error(call, "ERR Invalid number of arguments specified for command");
		return NULL;
	}
	return command;
}

/* Of each key of that command, what `reply` writes. */
static void reply_keys(struct call *call, void (*reply)(void *ctx, uint32_t at))
{
	size_t count = 0;
	const struct command *command = keys_command(call);
	if (command == NULL)
		return;
	if (!command_keys(command, call->argv + 2, call->argc - 2, count_key, &count)) {
		call_error(call, "ERR Invalid arguments specified for command");
		return;
	}
	reply_array(call->reply, count);
	(void)command_keys(command, call->argv + 2, call->argc - 2, reply, call);
}

void cmd_command_getkeys(struct call *call)
{
	reply_keys(call, reply_key);
}

static void reply_key_and_flags(void *ctx, uint32_t at)
{
	struct call *call = ctx;
	const struct command *command = command_find(call->engine, call->argv + 2, call->argc - 2);
	reply_array(call->reply, 2);
	reply_key(call, at);
	reply_key_flags(call, command_key_flags(command, call->argv + 2, call->argc - 2, at));
}

void cmd_command_getkeysandflags(struct call *call)
{
	reply_keys(call, reply_key_and_flags);
}

/* commands/keyspec.c: which arguments of a command are keys, and what it does to each. */
#include "commands/acl.h"
#include "commands/handlers.h"

#include "base/number.h"

/* Keys that follow their number. */
static bool counted_keys(const struct span *argv, uint32_t argc, uint32_t at,
    void (*each)(void *ctx, uint32_t at), void *ctx)
{
	int64_t count;
	if (argc <= at || !number_parse_range(argv[at], 1, (int64_t)argc - at - 1, &count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		each(ctx, at + 1 + i);
	return true;
}

/* The last STORE counts; what follows BY, GET and LIMIT is no word. */
static void sort_keys(const struct span *argv, uint32_t argc, void (*each)(void *ctx, uint32_t at), void *ctx)
{
	uint32_t store = 0;
	for (uint32_t i = 2; i < argc; i++) {
		if (span_is(argv[i], "LIMIT"))
			i += 2;
		else if (span_is(argv[i], "BY") || span_is(argv[i], "GET"))
			i++;
		else if (span_is(argv[i], "STORE") && i + 1 < argc)
			store = ++i;
	}
	if (store != 0)
		each(ctx, store);
}

bool command_keys(const struct command *command, const struct span *argv, uint32_t argc,
    void (*each)(void *ctx, uint32_t at), void *ctx)
{
	if (!command_has_keys(command))
		return false;
	int64_t last =
	    command->last_key < 0 ? (int64_t)argc + command->last_key : command->last_key;
	for (int64_t at = command->first_key; at > 0 && at <= last && at < argc; at += command->key_step)
		each(ctx, (uint32_t)at);
	if ((command->flags & CMD_KEYS_AT_1) != 0)
		return counted_keys(argv, argc, 1, each, ctx);
	if ((command->flags & CMD_KEYS_AT_2) != 0)
		return counted_keys(argv, argc, 2, each, ctx);
	if ((command->flags & CMD_KEYS_SORT) != 0)
		sort_keys(argv, argc, each, ctx);
	return true;
}

/* SET tells what was there only if it is asked; what BITFIELD does not write it only reads. */
static unsigned flags_by_options(const struct command *command, const struct span *argv, uint32_t argc)
{
	bool is_set = command->run == cmd_set;
	for (uint32_t i = is_set ? 3 : 2; i < argc; i++) {
		if (is_set && span_is(argv[i], "GET"))
			return KEYS_RW | KEYS_ACCESS | KEYS_UPDATE;
		if (!is_set && (span_is(argv[i], "SET") || span_is(argv[i], "INCRBY")))
			return KEYS_RW | KEYS_ACCESS | KEYS_UPDATE;
	}
	return is_set ? KEYS_OW | KEYS_UPDATE : KEYS_RO | KEYS_ACCESS;
}

unsigned command_key_flags(const struct command *command, const struct span *argv, uint32_t argc, uint32_t at)
{
	bool behind = at > (uint32_t)command->first_key;       /* of LMOVE and RENAME that is the last one */
	unsigned flags = command->keys;
	if (flags & KEYS_VARIABLE)
		return flags_by_options(command, argv, argc);
	return behind && flags >> KEYS_SHIFT != 0 ? flags >> KEYS_SHIFT : flags & KEYS_MASK;
}

struct access_walk {
	const struct command *command;
	const struct span *argv;
	uint32_t argc;
	void   (*each)(void *ctx, uint32_t at, unsigned access);
	void    *ctx;
};

/* Whoever only asks how long a value is, or of which type, needs no more than a pattern for the key. */
static void tell_access(void *ctx, uint32_t at)
{
	const struct access_walk *walk = ctx;
	unsigned flags = command_key_flags(walk->command, walk->argv, walk->argc, at);
	unsigned access = (flags & KEYS_ACCESS) ? KEY_READ : 0;
	if (flags & (KEYS_UPDATE | KEYS_INSERT | KEYS_DELETE))
		access |= KEY_WRITE;
	if ((flags & KEYS_NOT_KEY) == 0)
		walk->each(walk->ctx, at, access);
}

bool command_keys_access(const struct command *command, const struct span *argv, uint32_t argc,
    void (*each)(void *ctx, uint32_t at, unsigned access), void *ctx)
{
	struct access_walk walk = {
	    .command = command, .argv = argv, .argc = argc, .each = each, .ctx = ctx};
	return command_keys(command, argv, argc, tell_access, &walk);
}

/* ---- As COMMAND INFO tells it ---- */

static const struct {
	unsigned    bit;
	const char *name;
} flag_words[] = {
    {KEYS_RW, "RW"},
    {KEYS_RO, "RO"},
    {KEYS_OW, "OW"},
    {KEYS_RM, "RM"},
    {KEYS_ACCESS, "access"},
    {KEYS_UPDATE, "update"},
    {KEYS_INSERT, "insert"},
    {KEYS_DELETE, "delete"},
    {KEYS_NOT_KEY, "not_key"},
    {KEYS_VARIABLE, "variable_flags"},
};

void reply_key_flags(struct call *call, unsigned flags)
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(flag_words); i++)
		count += (flags & flag_words[i].bit) != 0;
	reply_set(call->reply, count);
	for (size_t i = 0; i < ARRAY_COUNT(flag_words); i++)
		if (flags & flag_words[i].bit)
			reply_status(call->reply, flag_words[i].name);
}

static void reply_named_int(struct call *call, const char *name, int64_t value)
{
	reply_text(call->reply, name);
	reply_int(call->reply, value);
}

/* "begin_search" or "find_keys": a type, and then what that type needs, in a map of `fields`. */
static void reply_spec_part(struct call *call, const char *name, const char *type, size_t fields)
{
	reply_text(call->reply, name);
	reply_map(call->reply, 2);
	reply_text(call->reply, "type");
	reply_text(call->reply, type);
	reply_text(call->reply, "spec");
	reply_map(call->reply, fields);
}

/* Where the keys begin, at argv[index]. */
static void reply_begin(struct call *call, unsigned flags, int64_t index)
{
	reply_map(call->reply, 3);
	reply_text(call->reply, "flags");
	reply_key_flags(call, flags);
	reply_spec_part(call, "begin_search", "index", 1);
	reply_named_int(call, "index", index);
}

static void reply_range(struct call *call, unsigned flags, int first, int last, int step)
{
	reply_begin(call, flags, first);
	reply_spec_part(call, "find_keys", "range", 3);
	reply_named_int(call, "lastkey", last < 0 ? last : last - first);
	reply_named_int(call, "keystep", step);
	reply_named_int(call, "limit", 0);
}

static void reply_counted(struct call *call, const struct command *command, unsigned flags)
{
	reply_begin(call, flags, (command->flags & CMD_KEYS_AT_1) != 0 ? 1 : 2);
	reply_spec_part(call, "find_keys", "keynum", 3);
	reply_named_int(call, "keynumidx", 0);
	reply_named_int(call, "firstkey", 1);
	reply_named_int(call, "keystep", 1);
}

/* Keys whose names, or place, stand only in what SORT is given. */
static void reply_unknown_keys(struct call *call, unsigned flags)
{
	reply_map(call->reply, 3);
	reply_text(call->reply, "flags");
	reply_key_flags(call, flags);
	reply_spec_part(call, "begin_search", "unknown", 0);
	reply_spec_part(call, "find_keys", "unknown", 0);
}

void reply_key_specs(struct call *call, const struct command *command)
{
	int first = command->first_key, last = command->last_key, step = command->key_step;
	unsigned flags = command->keys & KEYS_MASK, then = command->keys >> KEYS_SHIFT;
	bool counted = (command->flags & (CMD_KEYS_AT_1 | CMD_KEYS_AT_2)) != 0;
	bool stores = (command->flags & CMD_KEYS_SORT) != 0;
	bool sorts = stores || command->run == cmd_sort_ro;
	bool two = then != 0 && !stores && !counted;
	reply_array(call->reply, (size_t)(first != 0) + two + counted + sorts + stores);
	if (first != 0)
		reply_range(call, flags, first, two ? first : last, step);
	if (two)
		reply_range(call, then, first + step, last, step);
	if (counted)
		reply_counted(call, command, then != 0 ? then : flags);
	if (sorts)
		reply_unknown_keys(call, flags);
	if (stores)
		reply_unknown_keys(call, then);
}

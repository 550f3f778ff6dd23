/* commands/commands.h: the commands, as one table.
 *
 * Each command is one row: name, arity, flags, ACL categories, key positions, summary.
 * Dispatch, COMMAND INFO/DOCS/GETKEYS, HELP and the README's table are made from the rows.
 * A row with a parent is a subcommand ("client" + "kill").
 */
#pragma once
#include "engine/engine.h"

#define TINTYPE_VERSION "0.1.0"
#define REPLY_OOM "OOM command not allowed when used memory > 'maxmemory'."
#define REDIS_VERSION "7.2.4"             /* whose commands and replies are spoken */

enum {
	CMD_WRITE = 1 << 0, CMD_READONLY = 1 << 1, CMD_DENYOOM = 1 << 2, CMD_ADMIN = 1 << 3,
	CMD_NOSCRIPT = 1 << 4, CMD_LOADING = 1 << 5, CMD_STALE = 1 << 6, CMD_FAST = 1 << 7,
	CMD_NO_AUTH = 1 << 8, CMD_MOVABLEKEYS = 1 << 9, CMD_CONTAINER = 1 << 10,
	CMD_SKIP_SLOWLOG = 1 << 11, CMD_POOL_BODY = 1 << 12,
	CMD_NOT_QUEUED = 1 << 13,         /* runs at once, also after MULTI */
	CMD_NO_MULTI = 1 << 14,           /* refused after MULTI */
	CMD_GROWS = 1 << 15,              /* writes what was there again, and more */
	CMD_NEEDS_META = 1 << 16,         /* of images: their metadata is read first */
	CMD_LISTENS = 1 << 17,            /* for those, too, that have subscribed in RESP2 */
	CMD_PUBSUB = 1 << 18,
	CMD_MAY_WRITE = 1 << 21,          /* waits for a pause of writes, too */
	CMD_NO_PAUSE = 1 << 22,           /* waits for none */
	CMD_ALLOW_BUSY = 1 << 26, CMD_NO_ASYNC_LOADING = 1 << 30,       /* told by COMMAND INFO */
	CMD_BLOCKING = 1 << 29,           /* may wait for a key to have something */
	CMD_WHOLE = 1 << 19,              /* waits until all of a checkpoint is loaded */
	CMD_INDEX = 1 << 20,              /* searches: refused while the index is being made again */
	/* Keys besides those between first_key and last_key: a number of them stands at argv[1] or
	 * argv[2], and they follow it; or they are what STORE of a SORT names. */
	CMD_KEYS_AT_1 = 1 << 23, CMD_KEYS_AT_2 = 1 << 24, CMD_KEYS_SORT = 1 << 25,
	CMD_KEYS_MORE = CMD_KEYS_AT_1 | CMD_KEYS_AT_2 | CMD_KEYS_SORT,
};

enum {
	ACL_KEYSPACE = 1 << 0, ACL_READ = 1 << 1, ACL_WRITE = 1 << 2, ACL_STRING = 1 << 3,
	ACL_ADMIN = 1 << 4, ACL_FAST = 1 << 5, ACL_SLOW = 1 << 6, ACL_DANGEROUS = 1 << 7,
	ACL_CONNECTION = 1 << 8, ACL_IMAGE = 1 << 9, ACL_TRANSACTION = 1 << 10,
	ACL_PUBSUB = 1 << 11, ACL_BITMAP = 1 << 12, ACL_HASH = 1 << 13, ACL_LIST = 1 << 14,
	ACL_SET = 1 << 15, ACL_SORTEDSET = 1 << 16, ACL_BLOCKING = 1 << 17, ACL_SCRIPTING = 1 << 18,
	ACL_HYPERLOGLOG = 1 << 19, ACL_GEO = 1 << 20, ACL_STREAM = 1 << 21,
};

/* What a command does to its keys: one of the first four, and what it learns or changes of a value.
 * KEYS_THEN(): the same of the keys behind the destination, or of the last of two. */
enum {
	KEYS_RW = 1 << 0, KEYS_RO = 1 << 1, KEYS_OW = 1 << 2, KEYS_RM = 1 << 3,
	KEYS_ACCESS = 1 << 4, KEYS_UPDATE = 1 << 5, KEYS_INSERT = 1 << 6, KEYS_DELETE = 1 << 7,
	KEYS_NOT_KEY = 1 << 8,            /* a channel, which only stands where keys do */
	KEYS_VARIABLE = 1 << 9,           /* the options decide */
	KEYS_SHIFT = 12, KEYS_MASK = (1 << KEYS_SHIFT) - 1,
};
#define KEYS_THEN(flags) ((flags) << KEYS_SHIFT)

enum {
	TIP_ANY_OUTPUT = 1 << 0, TIP_ANY_ORDER = 1 << 1, TIP_ALL_NODES = 1 << 2,
	TIP_ALL_SHARDS = 1 << 3, TIP_MULTI_SHARD = 1 << 4, TIP_SPECIAL = 1 << 5, TIP_ALL_SUCCEEDED = 1 << 6,
	TIP_ONE_SUCCEEDED = 1 << 7, TIP_SUM = 1 << 8, TIP_MIN = 1 << 9, TIP_AND = 1 << 10,
	TIP_MERGE = 1 << 11,
};

struct command {
	const char *name;                 /* lower case */
	const char *parent;               /* NULL, or the container's name */
	void      (*run)(struct call *call);
	int         arity;                /* arguments with the name; negative: at least */
	unsigned    flags, acl;
	int         first_key, last_key, key_step;      /* as Redis counts them; 0: no keys */
	unsigned    keys;                 /* KEYS_*: what it does to them (keyspec.c) */
	unsigned    tips;                 /* TIP_*: what COMMAND INFO tells a proxy */
	const char *group, *since, *syntax, *summary;
};

extern const struct command commands_table[];
extern const size_t commands_count;

/* What a server keeps of each command: an index of names and counters. */
enum { LATENCY_BUCKETS = 28 };
struct command_counters {
	uint64_t calls, us, rejected, failed;
	uint64_t buckets[LATENCY_BUCKETS];      /* calls of up to 2^i microseconds */
};
struct command_state;
struct command_state *command_state_new(struct memory *memory);
void command_state_free(struct memory *memory, struct command_state *state);
struct cursors *command_cursors(struct engine *engine);       /* cursor.h */
struct command_counters *command_counters_of(struct engine *engine, const struct command *command);

/* The row for these words, or NULL; a subcommand if argv[1] names one. */
const struct command *command_find(
    const struct engine *engine, const struct span *argv, uint32_t argc);

/* Runs one request: checks everything that stands in the table, then the command. False:
 * the session was parked and the request must run again. */
bool command_execute(struct session *session, const struct request *request);

bool command_arity_fits(const struct command *command, uint32_t argc);
/* Everything that can refuse a command before it runs. False: an error was replied. */
bool command_is_allowed(struct call *call);
/* In place of the command, after MULTI (multi.c). */
void multi_queue(struct call *call);
/* A command that is not queued was refused, and the reply from `at` on says why: EXEC will fail, or is what
 * was refused, and then that ends the transaction. */
void multi_refuse(struct call *call, size_t at);
/* The commands that EXEC announced, each through `execute`. */
void exec_run(struct session *session, void (*execute)(struct session *, const struct request *));

/* Is argument `at` of this command the data of an image (received into the shared pool)? */
bool command_takes_pool_body(const struct engine *engine, struct span name, uint32_t at);

static inline bool command_has_keys(const struct command *command)
{
	return command->first_key != 0 || (command->flags & CMD_KEYS_MORE) != 0;
}
/* Calls `each` with the index of every key argument. False: the command has none, or says how many in a way
 * that makes no sense. */
bool command_keys(const struct command *command, const struct span *argv, uint32_t argc,
    void (*each)(void *ctx, uint32_t at), void *ctx);

/* The same, with what is done to it: KEY_READ, KEY_WRITE of acl.h. */
bool command_keys_access(const struct command *command, const struct span *argv, uint32_t argc,
    void (*each)(void *ctx, uint32_t at, unsigned access), void *ctx);
/* What it does to the key at argument `at` (KEYS_*); of options, those in argv count. */
unsigned command_key_flags(
    const struct command *command, const struct span *argv, uint32_t argc, uint32_t at);
/* COMMAND INFO's key specifications, and the words for such flags. */
void reply_key_specs(struct call *call, const struct command *command);
void reply_key_flags(struct call *call, unsigned flags);

/* COMMAND DOCS's tree of arguments (docs.c). */
void reply_arguments(struct call *call, const char *syntax);

/* "client|kill". */
void command_full_name(const struct command *command, char *out, size_t bytes);

/* The text of INFO for these sections (none: the default ones). */
void info_write(
    struct engine *engine, const struct span *sections, uint32_t count, struct buf *out);

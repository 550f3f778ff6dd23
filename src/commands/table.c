/* commands/table.c: the one table of commands. */
#include "commands/commands.h"

#include "commands/handlers.h"
#include "commands/replication.h"

#define W CMD_WRITE
#define R CMD_READONLY
#define M CMD_DENYOOM
#define F CMD_FAST
#define A CMD_ADMIN
#define L (CMD_LOADING | CMD_STALE)
#define N CMD_NO_AUTH
#define C CMD_CONTAINER
#define NS CMD_NOSCRIPT
#define X CMD_INDEX
#define Q CMD_NOT_QUEUED
#define NM CMD_NO_MULTI
#define G CMD_GROWS
#define K1 (CMD_KEYS_AT_1 | CMD_MOVABLEKEYS)
#define K2 (CMD_KEYS_AT_2 | CMD_MOVABLEKEYS)
#define KS (CMD_KEYS_SORT | CMD_MOVABLEKEYS)
#define GM (CMD_GROWS | CMD_NEEDS_META)
#define TX ACL_TRANSACTION
#define PS ACL_PUBSUB
#define P CMD_PUBSUB
#define LI CMD_LISTENS
#define AB CMD_ALLOW_BUSY
#define NA CMD_NO_ASYNC_LOADING
#define B CMD_BLOCKING

/* Its keys: is it told what is there, and what comes of the value? */
#define LOOK KEYS_RO                          /* of length, type and the like only */
#define READ (KEYS_RO | KEYS_ACCESS)
#define MAKE (KEYS_OW | KEYS_UPDATE)
#define FRESH (KEYS_OW | KEYS_INSERT)         /* made if it was not there */
#define PUSH (KEYS_RW | KEYS_INSERT)
#define CHANGE (KEYS_RW | KEYS_UPDATE)
#define EDIT (KEYS_RW | KEYS_ACCESS | KEYS_UPDATE)
#define VARY KEYS_VARIABLE
#define TAKE (KEYS_RW | KEYS_ACCESS | KEYS_DELETE)
#define DROP (KEYS_RW | KEYS_DELETE)
#define REMOVE (KEYS_RM | KEYS_DELETE)
#define CHANNEL KEYS_NOT_KEY
#define THEN KEYS_THEN

#define T_ANY TIP_ANY_OUTPUT
#define T_ORDER TIP_ANY_ORDER
#define T_NODES TIP_ALL_NODES
#define T_SHARDS TIP_ALL_SHARDS
#define T_MULTI TIP_MULTI_SHARD
#define T_SPECIAL TIP_SPECIAL
#define T_EACH TIP_ALL_SUCCEEDED
#define T_ONE TIP_ONE_SUCCEEDED
#define T_SUM TIP_SUM
#define T_MIN TIP_MIN
#define T_AND TIP_AND
#define T_MERGE TIP_MERGE

#define KEY_R (ACL_KEYSPACE | ACL_READ)
#define KEY_W (ACL_KEYSPACE | ACL_WRITE)
#define STR_R (ACL_STRING | ACL_READ)
#define STR_W (ACL_STRING | ACL_WRITE)
#define BIT_R (ACL_BITMAP | ACL_READ)
#define BIT_W (ACL_BITMAP | ACL_WRITE)
#define IMG_R (ACL_IMAGE | ACL_READ)
#define IMG_W (ACL_IMAGE | ACL_WRITE)
#define HASH_R (ACL_HASH | ACL_READ)
#define HASH_W (ACL_HASH | ACL_WRITE)
#define LIST_R (ACL_LIST | ACL_READ)
#define LIST_W (ACL_LIST | ACL_WRITE)
#define SET_R (ACL_SET | ACL_READ)
#define SET_W (ACL_SET | ACL_WRITE)
#define ZSET_R (ACL_SORTEDSET | ACL_READ)
#define ZSET_W (ACL_SORTEDSET | ACL_WRITE)
#define CONN ACL_CONNECTION
#define ADM (ACL_ADMIN | ACL_DANGEROUS)

const struct command commands_table[] = {
/*	name, parent, handler, arity, flags, acl, first, last, step, keys, tips, group, since, syntax, summary */
	{"ping", NULL, cmd_ping, -1, F | LI, CONN, 0, 0, 0, 0, T_SHARDS | T_EACH, "connection", "1.0.0", "[message]", "Returns the server's liveliness response."},
	{"echo", NULL, cmd_echo, 2, F | L, CONN, 0, 0, 0, 0, 0, "connection", "1.0.0", "message", "Returns the given string."},
	{"auth", NULL, cmd_auth, -2, F | L | N | NS | AB, CONN, 0, 0, 0, 0, 0, "connection", "1.0.0", "[username] password", "Authenticates the connection."},
	{"hello", NULL, cmd_hello, -1, F | L | N | NS | AB, CONN, 0, 0, 0, 0, 0, "connection", "6.0.0", "[protover [AUTH username password] [SETNAME clientname]]", "Handshakes with the server."},
	{"select", NULL, cmd_select, 2, F | L, CONN, 0, 0, 0, 0, 0, "connection", "1.0.0", "index", "Changes the selected database."},
	{"quit", NULL, cmd_quit, -1, F | L | N | NS | Q | LI | AB, CONN, 0, 0, 0, 0, 0, "connection", "1.0.0", "", "Closes the connection."},
	{"reset", NULL, cmd_reset, 1, F | L | N | NS | Q | LI | AB, CONN, 0, 0, 0, 0, 0, "connection", "6.2.0", "", "Resets the connection."},
	{"client", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "connection", "2.4.0", "", "A container for client connection commands."},
	{"id", "client", cmd_client_id, 2, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "5.0.0", "", "Returns the unique client ID of the connection."},
	{"info", "client", cmd_client_info, 2, L | NS, CONN, 0, 0, 0, 0, T_ANY, "connection", "6.2.0", "", "Returns information about the connection."},
	{"list", "client", cmd_client_list, -2, A | L | NS, CONN | ADM, 0, 0, 0, 0, T_ANY, "connection", "2.4.0", "[TYPE normal|master|replica|pubsub] [ID id ...]", "Lists open connections."},
	{"getname", "client", cmd_client_getname, 2, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "2.6.9", "", "Returns the name of the connection."},
	{"setname", "client", cmd_client_setname, 3, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "2.6.9", "connection-name", "Sets the connection name."},
	{"setinfo", "client", cmd_client_setinfo, 4, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "7.2.0", "LIB-NAME libname | LIB-VER libver", "Sets information specific to the client or connection."},
	{"kill", "client", cmd_client_kill, -3, A | L | NS, CONN | ADM, 0, 0, 0, 0, 0, "connection", "2.4.0", "ip:port | [ID id] [TYPE type] [ADDR a] [LADDR a] [USER u] [SKIPME yes|no]", "Terminates open connections."},
	{"no-evict", "client", cmd_client_no_evict, 3, A | L | NS, CONN | ADM, 0, 0, 0, 0, 0, "connection", "7.0.0", "ON|OFF", "Sets the client eviction mode of the connection."},
	{"no-touch", "client", cmd_client_no_touch, 3, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "7.2.0", "ON|OFF", "Controls whether commands alter the LRU of the keys they access."},
	{"reply", "client", cmd_client_reply, 3, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "3.2.0", "ON|OFF|SKIP", "Instructs the server whether to reply to commands."},
	{"pause", "client", cmd_client_pause, -3, A | L | NS | CMD_NO_PAUSE, CONN | ADM, 0, 0, 0, 0, 0, "connection", "3.0.0", "timeout [WRITE|ALL]", "Suspends commands processing."},
	{"unpause", "client", cmd_client_unpause, 2, A | L | NS | CMD_NO_PAUSE, CONN | ADM, 0, 0, 0, 0, 0, "connection", "6.2.0", "", "Resumes processing commands from paused clients."},
	{"unblock", "client", cmd_client_unblock, -3, A | L | NS | CMD_NO_PAUSE, CONN | ADM, 0, 0, 0, 0, 0, "connection", "5.0.0", "client-id [TIMEOUT|ERROR]", "Unblocks a client blocked by a blocking command from a different connection."},
	{"getredir", "client", cmd_client_getredir, 2, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "6.0.0", "", "Returns the client ID to which the connection's tracking notifications are redirected."},
	{"tracking", "client", cmd_client_tracking, -3, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "6.0.0", "ON|OFF [REDIRECT client-id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", "Controls whether the connection is told of changes to the keys that it has read."},
	{"trackinginfo", "client", cmd_client_trackinginfo, 2, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "6.2.0", "", "Returns how the connection is told of changes."},
	{"caching", "client", cmd_client_caching, 3, L | NS, CONN, 0, 0, 0, 0, 0, "connection", "6.0.0", "YES|NO", "Says whether the keys of the next command are to be tracked."},
	{"help", "client", cmd_help, 2, L, CONN, 0, 0, 0, 0, 0, "connection", "5.0.0", "", "Returns helpful text about the different subcommands."},
	{"command", NULL, cmd_command, -1, C | L, CONN, 0, 0, 0, 0, T_ORDER, "server", "2.8.13", "", "Returns detailed information about all commands."},
	{"count", "command", cmd_command_count, 2, L, CONN, 0, 0, 0, 0, 0, "server", "2.8.13", "", "Returns a count of commands."},
	{"info", "command", cmd_command_info, -2, L, CONN, 0, 0, 0, 0, T_ORDER, "server", "2.8.13", "[command-name ...]", "Returns information about one, multiple or all commands."},
	{"docs", "command", cmd_command_docs, -2, L, CONN, 0, 0, 0, 0, T_ORDER, "server", "7.0.0", "[command-name ...]", "Returns documentary information about one, multiple or all commands."},
	{"list", "command", cmd_command_list, -2, L, CONN, 0, 0, 0, 0, T_ORDER, "server", "7.0.0", "[FILTERBY MODULE m | ACLCAT c | PATTERN p]", "Returns a list of command names."},
	{"getkeys", "command", cmd_command_getkeys, -3, L, CONN, 0, 0, 0, 0, 0, "server", "2.8.13", "command [arg ...]", "Extracts the key names from an arbitrary command."},
	{"help", "command", cmd_help, 2, L, CONN, 0, 0, 0, 0, 0, "server", "5.0.0", "", "Returns helpful text about the different subcommands."},

	{"info", NULL, cmd_info, -1, L, ACL_DANGEROUS, 0, 0, 0, 0, T_ANY | T_SHARDS | T_MERGE, "server", "1.0.0", "[section ...]", "Returns information and statistics about the server."},
	{"acl", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.0.0", "", "A container for commands about users and what they may do."},
	{"cat", "acl", cmd_acl_cat, -2, L | NS, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.0.0", "[category]", "Lists the categories of commands, or the commands of one."},
	{"deluser", "acl", cmd_acl_deluser, -3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "username [username ...]", "Deletes users and closes their connections."},
	{"dryrun", "acl", cmd_acl_dryrun, -4, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "7.0.0", "username command [arg ...]", "Tells whether a user may run a command, without running it."},
	{"genpass", "acl", cmd_acl_genpass, -2, L | NS, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.0.0", "[bits]", "Makes a random password."},
	{"getuser", "acl", cmd_acl_getuser, 3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "username", "Returns the rules of a user."},
	{"list", "acl", cmd_acl_list, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Lists the users and their rules, as in an ACL file."},
	{"load", "acl", cmd_acl_load, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Reads the users from the ACL file."},
	{"log", "acl", cmd_acl_log, -2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "[count | RESET]", "Lists what was refused lately."},
	{"save", "acl", cmd_acl_save, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Writes the users to the ACL file."},
	{"setuser", "acl", cmd_acl_setuser, -3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "username [rule [rule ...]]", "Makes a user, or changes its rules."},
	{"users", "acl", cmd_acl_users, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Lists the names of the users."},
	{"whoami", "acl", cmd_acl_whoami, 2, L | NS, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Returns the name of the connection's user."},
	{"help", "acl", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.0.0", "", "Returns helpful text about the different subcommands."},
	{"config", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "2.0.0", "", "A container for server configuration commands."},
	{"get", "config", cmd_config_get, -3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "2.0.0", "parameter [parameter ...]", "Returns the effective values of configuration parameters."},
	{"set", "config", cmd_config_set, -4, A | L | NS, ADM, 0, 0, 0, 0, T_NODES | T_EACH, "server", "2.0.0", "parameter value [parameter value ...]", "Sets configuration parameters in-flight."},
	{"rewrite", "config", cmd_config_rewrite, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "2.8.0", "", "Persists the effective configuration to file."},
	{"resetstat", "config", cmd_config_resetstat, 2, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "2.0.0", "", "Resets the server's statistics."},
	{"help", "config", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "5.0.0", "", "Returns helpful text about the different subcommands."},
	{"dbsize", NULL, cmd_dbsize, 1, R | F, KEY_R, 0, 0, 0, 0, T_SHARDS | T_SUM, "server", "1.0.0", "", "Returns the number of keys in the database."},
	{"time", NULL, cmd_time, 1, F | L, 0, 0, 0, 0, 0, T_ANY, "server", "2.6.0", "", "Returns the server time."},
	{"flushdb", NULL, cmd_flushdb, -1, W, KEY_W | ACL_DANGEROUS, 0, 0, 0, 0, T_SHARDS | T_EACH, "server", "1.0.0", "[ASYNC|SYNC]", "Removes all keys from the current database."},
	{"swapdb", NULL, cmd_swapdb, 3, W | F, KEY_W | ACL_DANGEROUS, 0, 0, 0, 0, 0, "server", "4.0.0", "index1 index2", "Swaps two databases: clients of one see the other's keys at once."},
	{"flushall", NULL, cmd_flushall, -1, W, KEY_W | ACL_DANGEROUS, 0, 0, 0, 0, T_SHARDS | T_EACH, "server", "1.0.0", "[ASYNC|SYNC]", "Removes all keys from all databases."},
	{"save", NULL, cmd_save, 1, A | NS | NM | NA, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "", "Writes a checkpoint and replies when it is durable; other clients are served meanwhile."},
	{"bgsave", NULL, cmd_bgsave, -1, A | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "[SCHEDULE]", "Starts to write a checkpoint in the background."},
	{"bgrewriteaof", NULL, cmd_bgrewriteaof, 1, A | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "", "Starts to write a checkpoint in the background; the log itself is cleaned all the time."},
	{"lastsave", NULL, cmd_lastsave, 1, F | L, ACL_ADMIN | ACL_FAST | ACL_DANGEROUS, 0, 0, 0, 0, T_ANY, "server", "1.0.0", "", "Returns the Unix time of the last checkpoint."},
	{"shutdown", NULL, cmd_shutdown, -1, A | L | NS | NM | AB, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "[NOSAVE|SAVE] [NOW] [FORCE]", "Makes the log durable and shuts down the server."},
	{"slowlog", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "2.2.12", "", "A container for slow log commands."},
	{"get", "slowlog", cmd_slowlog_get, -2, A | L, ADM, 0, 0, 0, 0, T_NODES | T_ANY, "server", "2.2.12", "[count]", "Returns the slow log's entries."},
	{"len", "slowlog", cmd_slowlog_len, 2, A | L, ADM, 0, 0, 0, 0, T_NODES | T_SUM | T_ANY, "server", "2.2.12", "", "Returns the number of entries in the slow log."},
	{"reset", "slowlog", cmd_slowlog_reset, 2, A | L, ADM, 0, 0, 0, 0, T_NODES | T_EACH, "server", "2.2.12", "", "Clears all entries from the slow log."},
	{"help", "slowlog", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "6.2.0", "", "Returns helpful text about the different subcommands."},
	{"latency", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "2.8.13", "", "A container for latency diagnostics commands."},
	{"latest", "latency", cmd_latency_latest, 2, A | L | NS, ADM, 0, 0, 0, 0, T_ANY | T_NODES | T_MERGE, "server", "2.8.13", "", "Returns the latest latency samples for all events."},
	{"history", "latency", cmd_latency_history, 3, A | L | NS, ADM, 0, 0, 0, 0, T_ANY | T_NODES | T_MERGE, "server", "2.8.13", "event", "Returns timestamp-latency samples for an event."},
	{"reset", "latency", cmd_latency_reset, -2, A | L | NS, ADM, 0, 0, 0, 0, T_NODES | T_EACH, "server", "2.8.13", "[event ...]", "Resets the latency data for one or more events."},
	{"histogram", "latency", cmd_latency_histogram, -2, A | L | NS, ADM, 0, 0, 0, 0, T_ANY | T_NODES | T_MERGE, "server", "7.0.0", "[command [command ...]]", "Returns how long commands took, as cumulative counts by powers of two of a microsecond."},
	{"graph", "latency", cmd_latency_graph, 3, A | L | NS, ADM, 0, 0, 0, 0, T_ANY | T_NODES | T_MERGE, "server", "2.8.13", "event", "Draws the samples of an event."},
	{"doctor", "latency", cmd_latency_doctor, 2, A | L | NS, ADM, 0, 0, 0, 0, T_ANY | T_NODES | T_MERGE, "server", "2.8.13", "", "Says in words what the samples show."},
	{"help", "latency", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "2.8.13", "", "Returns helpful text about the different subcommands."},
	{"debug", NULL, cmd_container, -2, A | C | L | NS, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "", "A container for debugging commands, behind enable-debug-command."},
	{"sleep", "debug", cmd_debug_sleep, 3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "seconds", "Stops the server for some seconds."},
	{"set-active-expire", "debug", cmd_debug_set_active_expire, 3, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "0|1", "With 0, keys whose time is up go only when somebody asks for them."},
	{"reload", "debug", cmd_debug_reload, -2, A | NS, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "[option ...]", "Is refused: a restart reads the log."},
	{"object", "debug", cmd_debug_object, 3, A | NS, ADM, 2, 2, 1, LOOK, 0, "server", "1.0.0", "key", "Shows how a key is kept."},
	{"stringmatch-len", "debug", cmd_debug_stringmatch_len, 4, A | L | NS, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "length pattern", "Matches a pattern against so many letters a."},
	{"help", "debug", cmd_help, 2, L, CONN, 0, 0, 0, 0, 0, "server", "1.0.0", "", "Returns helpful text about the different subcommands."},
	{"memory", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "4.0.0", "", "A container for memory diagnostics commands."},
	{"usage", "memory", cmd_memory_usage, -3, R, ACL_READ, 2, 2, 1, LOOK, 0, "server", "4.0.0", "key [SAMPLES count]", "Estimates the memory usage of a key."},
	{"stats", "memory", cmd_memory_stats, 2, 0, ACL_SLOW, 0, 0, 0, 0, T_ANY | T_SHARDS | T_MERGE, "server", "4.0.0", "", "Returns what memory is used for."},
	{"doctor", "memory", cmd_memory_doctor, 2, 0, ACL_SLOW, 0, 0, 0, 0, T_ANY | T_SHARDS | T_MERGE, "server", "4.0.0", "", "Says in words what is remarkable about memory."},
	{"malloc-stats", "memory", cmd_memory_malloc_stats, 2, 0, ACL_SLOW, 0, 0, 0, 0, T_ANY | T_SHARDS | T_MERGE, "server", "4.0.0", "", "Returns the allocator's own statistics."},
	{"purge", "memory", cmd_memory_purge, 2, 0, ACL_SLOW, 0, 0, 0, 0, T_SHARDS | T_EACH, "server", "4.0.0", "", "Gives free pages back to the machine."},
	{"help", "memory", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "4.0.0", "", "Returns helpful text about the different subcommands."},
	{"monitor", NULL, cmd_monitor, 1, A | L | NS | NM, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "", "Listens for all requests received by the server in real-time."},
	{"module", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "server", "4.0.0", "", "A container for module commands: there are no modules."},
	{"list", "module", cmd_module_list, 2, A | NS, ADM, 0, 0, 0, 0, T_ORDER, "server", "4.0.0", "", "Returns all loaded modules: none."},
	{"load", "module", cmd_no_modules, -3, A | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "4.0.0", "path [arg [arg ...]]", "Is refused: no modules can be loaded."},
	{"loadex", "module", cmd_no_modules, -3, A | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "7.0.0", "path [CONFIG name value ...] [ARGS arg ...]", "Is refused: no modules can be loaded."},
	{"unload", "module", cmd_no_modules, 3, A | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "4.0.0", "name", "Is refused: no modules can be loaded."},
	{"help", "module", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "server", "5.0.0", "", "Returns helpful text about the different subcommands."},
	{"cluster", NULL, cmd_no_cluster, -2, L, ACL_SLOW, 0, 0, 0, 0, 0, "cluster", "3.0.0", "subcommand [arg ...]", "Says that there is no cluster."},
	{"asking", NULL, cmd_no_cluster, 1, F, CONN, 0, 0, 0, 0, 0, "cluster", "3.0.0", "", "Says that there is no cluster."},
	{"readonly", NULL, cmd_no_cluster, 1, F | L, CONN, 0, 0, 0, 0, 0, "cluster", "3.0.0", "", "Says that there is no cluster."},
	{"readwrite", NULL, cmd_no_cluster, 1, F | L, CONN, 0, 0, 0, 0, 0, "cluster", "3.0.0", "", "Says that there is no cluster."},
	{"script", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "scripting", "2.6.0", "", "A container for Lua scripts management commands."},
	{"exists", "script", cmd_script_exists, -3, NS, ACL_SCRIPTING, 0, 0, 0, 0, T_SHARDS | T_AND, "scripting", "2.6.0", "sha1 [sha1 ...]", "Determines whether server-side Lua scripts exist in the script cache: none does."},
	{"flush", "script", cmd_script_flush, -2, NS, ACL_SCRIPTING, 0, 0, 0, 0, T_NODES | T_EACH, "scripting", "2.6.0", "[ASYNC|SYNC]", "Removes all server-side Lua scripts from the script cache, which is empty."},
	{"kill", "script", cmd_script_kill, 2, NS | AB, ACL_SCRIPTING, 0, 0, 0, 0, T_SHARDS | T_ONE, "scripting", "2.6.0", "", "Terminates a server-side Lua script during execution: none runs."},
	{"help", "script", cmd_help, 2, L, ACL_SCRIPTING, 0, 0, 0, 0, 0, "scripting", "5.0.0", "", "Returns helpful text about the different subcommands."},
	{"function", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "scripting", "7.0.0", "", "A container for function commands."},
	{"list", "function", cmd_function_list, -2, NS, ACL_SCRIPTING, 0, 0, 0, 0, T_ORDER, "scripting", "7.0.0", "[LIBRARYNAME library-name-pattern] [WITHCODE]", "Returns information about all libraries: there are none."},
	{"flush", "function", cmd_function_flush, -2, NS | W, ACL_SCRIPTING | ACL_WRITE, 0, 0, 0, 0, T_SHARDS | T_EACH, "scripting", "7.0.0", "[ASYNC|SYNC]", "Deletes all libraries and functions, of which there are none."},
	{"help", "function", cmd_help, 2, L, ACL_SCRIPTING, 0, 0, 0, 0, 0, "scripting", "7.0.0", "", "Returns helpful text about the different subcommands."},
	{"getkeysandflags", "command", cmd_command_getkeysandflags, -3, L, CONN, 0, 0, 0, 0, 0, "server", "7.0.0", "command [arg ...]", "Extracts the key names and access flags for an arbitrary command."},
	{"lolwut", NULL, cmd_lolwut, -1, R | F, ACL_READ, 0, 0, 0, 0, 0, "server", "5.0.0", "[VERSION version]", "Displays a photograph, after a fashion."},

	{"del", NULL, cmd_del, -2, W, KEY_W, 1, -1, 1, REMOVE, T_MULTI | T_SUM, "generic", "1.0.0", "key [key ...]", "Deletes one or more keys."},
	{"unlink", NULL, cmd_del, -2, W | F, KEY_W, 1, -1, 1, REMOVE, T_MULTI | T_SUM, "generic", "4.0.0", "key [key ...]", "Deletes one or more keys."},
	{"exists", NULL, cmd_exists, -2, R | F, KEY_R, 1, -1, 1, LOOK, T_MULTI | T_SUM, "generic", "1.0.0", "key [key ...]", "Determines whether one or more keys exist."},
	{"type", NULL, cmd_type, 2, R | F, KEY_R, 1, 1, 1, LOOK, 0, "generic", "1.0.0", "key", "Determines the type of value stored at a key."},
	{"touch", NULL, cmd_touch, -2, R | F, KEY_R, 1, -1, 1, LOOK, T_MULTI | T_SUM, "generic", "3.2.1", "key [key ...]", "Returns the number of existing keys, updating their access time."},
	{"expire", NULL, cmd_expire, -3, W | F, KEY_W, 1, 1, 1, CHANGE, 0, "generic", "1.0.0", "key seconds [NX|XX|GT|LT]", "Sets the expiration time of a key in seconds."},
	{"pexpire", NULL, cmd_pexpire, -3, W | F, KEY_W, 1, 1, 1, CHANGE, 0, "generic", "2.6.0", "key milliseconds [NX|XX|GT|LT]", "Sets the expiration time of a key in milliseconds."},
	{"expireat", NULL, cmd_expireat, -3, W | F, KEY_W, 1, 1, 1, CHANGE, 0, "generic", "1.2.0", "key unix-time-seconds [NX|XX|GT|LT]", "Sets the expiration time of a key to a Unix timestamp."},
	{"pexpireat", NULL, cmd_pexpireat, -3, W | F, KEY_W, 1, 1, 1, CHANGE, 0, "generic", "2.6.0", "key unix-time-milliseconds [NX|XX|GT|LT]", "Sets the expiration time of a key to a Unix milliseconds timestamp."},
	{"ttl", NULL, cmd_ttl, 2, R | F, KEY_R, 1, 1, 1, READ, T_ANY, "generic", "1.0.0", "key", "Returns the expiration time in seconds of a key."},
	{"pttl", NULL, cmd_pttl, 2, R | F, KEY_R, 1, 1, 1, READ, T_ANY, "generic", "2.6.0", "key", "Returns the expiration time in milliseconds of a key."},
	{"expiretime", NULL, cmd_expiretime, 2, R | F, KEY_R, 1, 1, 1, READ, 0, "generic", "7.0.0", "key", "Returns the expiration time of a key as a Unix timestamp."},
	{"pexpiretime", NULL, cmd_pexpiretime, 2, R | F, KEY_R, 1, 1, 1, READ, 0, "generic", "7.0.0", "key", "Returns the expiration time of a key as a Unix milliseconds timestamp."},
	{"persist", NULL, cmd_persist, 2, W | F, KEY_W, 1, 1, 1, CHANGE, 0, "generic", "2.2.0", "key", "Removes the expiration time of a key."},
	{"rename", NULL, cmd_rename, 3, W | GM, KEY_W, 1, 2, 1, TAKE | THEN(MAKE), 0, "generic", "1.0.0", "key newkey", "Renames a key and overwrites the destination."},
	{"renamenx", NULL, cmd_renamenx, 3, W | F | GM, KEY_W, 1, 2, 1, TAKE | THEN(FRESH), 0, "generic", "1.0.0", "key newkey", "Renames a key only when the target key name doesn't exist."},
	{"move", NULL, cmd_move, 3, W | F | GM, KEY_W, 1, 1, 1, EDIT, 0, "generic", "1.0.0", "key db", "Moves a key to another database."},
	{"copy", NULL, cmd_copy, -3, W | M | GM, KEY_W, 1, 2, 1, READ | THEN(MAKE), 0, "generic", "6.2.0", "source destination [DB destination-db] [REPLACE]", "Copies the value of a key to a new key."},
	{"scan", NULL, cmd_scan, -2, R, KEY_R, 0, 0, 0, 0, T_ANY | T_SPECIAL, "generic", "2.8.0", "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Iterates over the key names in the database."},
	{"keys", NULL, cmd_keys, 2, R, KEY_R | ACL_DANGEROUS, 0, 0, 0, 0, T_SHARDS | T_ORDER, "generic", "1.0.0", "pattern", "Returns all key names that match a pattern."},
	{"randomkey", NULL, cmd_randomkey, 1, R, KEY_R, 0, 0, 0, 0, T_SHARDS | T_ANY, "generic", "1.0.0", "", "Returns a random key name from the database."},
	{"wait", NULL, cmd_wait, 3, NS, CONN, 0, 0, 0, 0, T_SHARDS | T_MIN, "generic", "3.0.0", "numreplicas timeout", "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."},
	{"waitaof", NULL, cmd_waitaof, 4, NS, CONN, 0, 0, 0, 0, 0, "generic", "7.2.0", "numlocal numreplicas timeout", "Blocks until all of the preceding write commands sent by the connection are on the disk of this server and of replicas."},
	{"role", NULL, cmd_role, 1, L | F | NS, ADM, 0, 0, 0, 0, 0, "server", "2.8.12", "", "Returns the part that this server plays in replication."},
	{"replicaof", NULL, cmd_replicaof, 3, A | L | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "5.0.0", "<host port | NO ONE>", "Makes this server follow another one, or be a leader again."},
	{"slaveof", NULL, cmd_replicaof, 3, A | L | NS | NA, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "<host port | NO ONE>", "Makes this server follow another one, or be a leader again."},
	{"failover", NULL, cmd_failover, -1, A | NS | NM | CMD_STALE, ADM, 0, 0, 0, 0, 0, "server", "6.2.0", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]", "Hands over to one of the followers, which then leads."},
	{"psync", NULL, cmd_psync, -3, A | NS | NM | NA, ADM, 0, 0, 0, 0, 0, "server", "2.8.0", "replicationid offset", "Refused: followers of this server ask by IMG.SYNC."},
	{"sync", NULL, cmd_psync, 1, A | NS | NM | NA, ADM, 0, 0, 0, 0, 0, "server", "1.0.0", "", "Refused: followers of this server ask by IMG.SYNC."},
	{"replconf", NULL, cmd_replconf, -1, A | L | NS | Q | AB, ADM, 0, 0, 0, 0, 0, "server", "3.0.0", "", "What followers tell a leader about themselves."},
	{"img.quarantine", NULL, cmd_img_quarantine, -2, A | NS | NM, ADM, 0, 0, 0, 0, 0, "server", "0.2.0", "LIST | GET name | DISCARD name", "Lists stores that a leader could not go on with, tells where one lies, or removes it."},
	{"img.sync", NULL, cmd_img_sync, -8, A | NS | NM, ADM, 0, 0, 0, 0, 0, "server", "0.2.0", "lineage epoch lsn segment-bytes partial-lsn partial-bytes [COMPARE from base] check", "Turns the connection into one that follows this server's log."},
	{"object", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "generic", "2.2.3", "", "A container for object introspection commands."},
	{"encoding", "object", cmd_object_encoding, 3, R, KEY_R, 2, 2, 1, LOOK, T_ANY, "generic", "2.2.3", "key", "Returns the internal encoding of an object."},
	{"freq", "object", cmd_object_freq, 3, R, KEY_R, 2, 2, 1, LOOK, T_ANY, "generic", "4.0.0", "key", "Returns the logarithmic access frequency counter of an object."},
	{"idletime", "object", cmd_object_idletime, 3, R, KEY_R, 2, 2, 1, LOOK, T_ANY, "generic", "2.2.3", "key", "Returns the time since the last access to an object."},
	{"refcount", "object", cmd_object_refcount, 3, R, KEY_R, 2, 2, 1, LOOK, T_ANY, "generic", "2.2.3", "key", "Returns the reference count of a value of a key."},
	{"help", "object", cmd_help, 2, L, ACL_KEYSPACE, 0, 0, 0, 0, 0, "generic", "6.2.0", "", "Returns helpful text about the different subcommands."},

	{"get", NULL, cmd_get, 2, R | F, STR_R, 1, 1, 1, READ, 0, "string", "1.0.0", "key", "Returns the string value of a key."},
	{"set", NULL, cmd_set, -3, W | M, STR_W, 1, 1, 1, EDIT | VARY, 0, "string", "1.0.0", "key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]", "Sets the string value of a key."},
	{"getex", NULL, cmd_getex, -2, W | F, STR_W, 1, 1, 1, EDIT, 0, "string", "6.2.0", "key [EX s|PX ms|EXAT s|PXAT ms|PERSIST]", "Returns the string value of a key after setting its expiration time."},
	{"getdel", NULL, cmd_getdel, 2, W | F, STR_W, 1, 1, 1, TAKE, 0, "string", "6.2.0", "key", "Returns the string value of a key after deleting the key."},
	{"getset", NULL, cmd_getset, 3, W | M | F, STR_W, 1, 1, 1, EDIT, 0, "string", "1.0.0", "key value", "Returns the previous string value of a key after setting it to a new value."},
	{"mget", NULL, cmd_mget, -2, R | F, STR_R, 1, -1, 1, READ, T_MULTI, "string", "1.0.0", "key [key ...]", "Returns the string values of one or more keys."},
	{"mset", NULL, cmd_mset, -3, W | M, STR_W, 1, -1, 2, MAKE, T_MULTI | T_EACH, "string", "1.0.1", "key value [key value ...]", "Creates or modifies the string values of one or more keys, all or none."},
	{"msetnx", NULL, cmd_msetnx, -3, W | M, STR_W, 1, -1, 2, FRESH, T_MULTI | T_MIN, "string", "1.0.1", "key value [key value ...]", "Sets one or more keys only when all keys don't exist."},
	{"incr", NULL, cmd_incr, 2, W | M | F | G, STR_W, 1, 1, 1, EDIT, 0, "string", "1.0.0", "key", "Increments the integer value of a key by one."},
	{"decr", NULL, cmd_decr, 2, W | M | F | G, STR_W, 1, 1, 1, EDIT, 0, "string", "1.0.0", "key", "Decrements the integer value of a key by one."},
	{"incrby", NULL, cmd_incrby, 3, W | M | F | G, STR_W, 1, 1, 1, EDIT, 0, "string", "1.0.0", "key increment", "Increments the integer value of a key by a number."},
	{"decrby", NULL, cmd_decrby, 3, W | M | F | G, STR_W, 1, 1, 1, EDIT, 0, "string", "1.0.0", "key decrement", "Decrements the integer value of a key by a number."},
	{"incrbyfloat", NULL, cmd_incrbyfloat, 3, W | M | F | G, STR_W, 1, 1, 1, EDIT, 0, "string", "2.6.0", "key increment", "Increments the floating point value of a key by a number."},
	{"append", NULL, cmd_append, 3, W | M | F | G, STR_W, 1, 1, 1, PUSH, 0, "string", "2.0.0", "key value", "Appends a string to the value of a key."},
	{"strlen", NULL, cmd_strlen, 2, R | F, STR_R, 1, 1, 1, LOOK, 0, "string", "2.2.0", "key", "Returns the length of a string value."},
	{"getrange", NULL, cmd_getrange, 4, R, STR_R, 1, 1, 1, READ, 0, "string", "2.4.0", "key start end", "Returns a substring of the string stored at a key."},
	{"substr", NULL, cmd_getrange, 4, R, STR_R, 1, 1, 1, READ, 0, "string", "1.0.0", "key start end", "Returns a substring from a string value."},
	{"setrange", NULL, cmd_setrange, 4, W | M | G, STR_W, 1, 1, 1, CHANGE, 0, "string", "2.2.0", "key offset value", "Overwrites a part of a string value with another by an offset."},
	{"setex", NULL, cmd_setex, 4, W | M, STR_W, 1, 1, 1, MAKE, 0, "string", "2.0.0", "key seconds value", "Sets the string value and expiration time of a key."},
	{"psetex", NULL, cmd_psetex, 4, W | M, STR_W, 1, 1, 1, MAKE, 0, "string", "2.6.0", "key milliseconds value", "Sets the string value and expiration time in milliseconds of a key."},
	{"setnx", NULL, cmd_setnx, 3, W | M | F, STR_W, 1, 1, 1, FRESH, 0, "string", "1.0.0", "key value", "Sets the string value of a key only when the key doesn't exist."},

	{"setbit", NULL, cmd_setbit, 4, W | M | G, BIT_W, 1, 1, 1, EDIT, 0, "bitmap", "2.2.0", "key offset value", "Sets or clears the bit at offset of the string value."},
	{"getbit", NULL, cmd_getbit, 3, R | F, BIT_R, 1, 1, 1, READ, 0, "bitmap", "2.2.0", "key offset", "Returns a bit value by offset."},
	{"bitcount", NULL, cmd_bitcount, -2, R, BIT_R, 1, 1, 1, READ, 0, "bitmap", "2.6.0", "key [start end [BYTE|BIT]]", "Counts the number of set bits (population counting) in a string."},
	{"bitpos", NULL, cmd_bitpos, -3, R, BIT_R, 1, 1, 1, READ, 0, "bitmap", "2.8.7", "key bit [start [end [BYTE|BIT]]]", "Finds the first set (1) or clear (0) bit in a string."},
	{"bitop", NULL, cmd_bitop, -4, W | M | G, BIT_W, 2, -1, 1, MAKE | THEN(READ), 0, "bitmap", "2.6.0", "AND|OR|XOR|NOT destkey key [key ...]", "Performs bitwise operations on multiple strings, and stores the result."},
	{"bitfield", NULL, cmd_bitfield, -2, W | M | G, BIT_W, 1, 1, 1, EDIT | VARY, 0, "bitmap", "3.2.0", "key [GET encoding offset | [OVERFLOW WRAP|SAT|FAIL] SET encoding offset value | INCRBY encoding offset increment ...]", "Performs arbitrary bitfield integer operations on strings."},
	{"bitfield_ro", NULL, cmd_bitfield_ro, -2, R | F, BIT_R, 1, 1, 1, READ, 0, "bitmap", "6.0.0", "key [GET encoding offset ...]", "Performs arbitrary read-only bitfield integer operations on strings."},

	{"subscribe", NULL, cmd_subscribe, -2, P | L | NS | LI, PS, 0, 0, 0, 0, 0, "pubsub", "2.0.0", "channel [channel ...]", "Listens for messages published to channels."},
	{"psubscribe", NULL, cmd_psubscribe, -2, P | L | NS | LI, PS, 0, 0, 0, 0, 0, "pubsub", "2.0.0", "pattern [pattern ...]", "Listens for messages published to channels that match one or more patterns."},
	{"ssubscribe", NULL, cmd_ssubscribe, -2, P | L | NS | LI, PS, 1, -1, 1, CHANNEL, 0, "pubsub", "7.0.0", "shardchannel [shardchannel ...]", "Listens for messages published to shard channels."},
	{"unsubscribe", NULL, cmd_unsubscribe, -1, P | L | NS | LI, PS, 0, 0, 0, 0, 0, "pubsub", "2.0.0", "[channel [channel ...]]", "Stops listening to messages posted to channels."},
	{"punsubscribe", NULL, cmd_punsubscribe, -1, P | L | NS | LI, PS, 0, 0, 0, 0, 0, "pubsub", "2.0.0", "[pattern [pattern ...]]", "Stops listening to messages published to channels that match one or more patterns."},
	{"sunsubscribe", NULL, cmd_sunsubscribe, -1, P | L | NS | LI, PS, 1, -1, 1, CHANNEL, 0, "pubsub", "7.0.0", "[shardchannel [shardchannel ...]]", "Stops listening to messages posted to shard channels."},
	{"publish", NULL, cmd_publish, 3, P | L | F | CMD_MAY_WRITE, PS, 0, 0, 0, 0, 0, "pubsub", "2.0.0", "channel message", "Posts a message to a channel."},
	{"spublish", NULL, cmd_spublish, 3, P | L | F | CMD_MAY_WRITE, PS, 1, 1, 1, CHANNEL, 0, "pubsub", "7.0.0", "shardchannel message", "Posts a message to a shard channel."},
	{"pubsub", NULL, cmd_container, -2, C, ACL_SLOW, 0, 0, 0, 0, 0, "pubsub", "2.8.0", "", "A container for Pub/Sub commands."},
	{"channels", "pubsub", cmd_pubsub_channels, -2, P | L, PS, 0, 0, 0, 0, 0, "pubsub", "2.8.0", "[pattern]", "Returns the active channels."},
	{"numsub", "pubsub", cmd_pubsub_numsub, -2, P | L, PS, 0, 0, 0, 0, 0, "pubsub", "2.8.0", "[channel [channel ...]]", "Returns a count of subscribers to channels."},
	{"numpat", "pubsub", cmd_pubsub_numpat, 2, P | L, PS, 0, 0, 0, 0, 0, "pubsub", "2.8.0", "", "Returns a count of unique pattern subscriptions."},
	{"shardchannels", "pubsub", cmd_pubsub_shardchannels, -2, P | L, PS, 0, 0, 0, 0, 0, "pubsub", "7.0.0", "[pattern]", "Returns the active shard channels."},
	{"shardnumsub", "pubsub", cmd_pubsub_shardnumsub, -2, P | L, PS, 0, 0, 0, 0, 0, "pubsub", "7.0.0", "[shardchannel [shardchannel ...]]", "Returns the count of subscribers of shard channels."},
	{"help", "pubsub", cmd_help, 2, L, ACL_SLOW, 0, 0, 0, 0, 0, "pubsub", "6.2.0", "", "Returns helpful text about the different subcommands."},

	{"multi", NULL, cmd_multi, 1, F | L | NS | Q | AB, TX, 0, 0, 0, 0, 0, "transactions", "1.2.0", "", "Starts a transaction."},
	{"exec", NULL, cmd_exec, 1, L | NS | Q | CMD_SKIP_SLOWLOG | CMD_MAY_WRITE | CMD_WHOLE, TX, 0, 0, 0, 0, 0, "transactions", "1.2.0", "", "Executes all commands in a transaction."},
	{"discard", NULL, cmd_discard, 1, F | L | NS | Q | AB, TX, 0, 0, 0, 0, 0, "transactions", "2.0.0", "", "Discards a transaction."},
	{"watch", NULL, cmd_watch, -2, F | L | NS | Q | AB, TX, 1, -1, 1, LOOK, 0, "transactions", "2.2.0", "key [key ...]", "Monitors changes to keys to determine the execution of a transaction."},
	{"unwatch", NULL, cmd_unwatch, 1, F | L | NS | AB, TX, 0, 0, 0, 0, 0, "transactions", "2.2.0", "", "Forgets about watched keys of a transaction."},

	{"hset", NULL, cmd_hset, -4, W | M | F, HASH_W, 1, 1, 1, CHANGE, 0, "hash", "2.0.0", "key field value [field value ...]", "Sets fields of a hash; returns how many are new."},
	{"hsetnx", NULL, cmd_hsetnx, 4, W | M | F, HASH_W, 1, 1, 1, PUSH, 0, "hash", "2.0.0", "key field value", "Sets a field of a hash unless it is there."},
	{"hmset", NULL, cmd_hmset, -4, W | M | F, HASH_W, 1, 1, 1, CHANGE, 0, "hash", "2.0.0", "key field value [field value ...]", "Sets fields of a hash."},
	{"hget", NULL, cmd_hget, 3, R | F, HASH_R, 1, 1, 1, READ, 0, "hash", "2.0.0", "key field", "Returns a field of a hash."},
	{"hmget", NULL, cmd_hmget, -3, R | F, HASH_R, 1, 1, 1, READ, 0, "hash", "2.0.0", "key field [field ...]", "Returns fields of a hash."},
	{"hgetall", NULL, cmd_hgetall, 2, R, HASH_R, 1, 1, 1, READ, T_ORDER, "hash", "2.0.0", "key", "Returns all fields of a hash with their values."},
	{"hkeys", NULL, cmd_hkeys, 2, R, HASH_R, 1, 1, 1, READ, T_ORDER, "hash", "2.0.0", "key", "Returns the names of all fields of a hash."},
	{"hvals", NULL, cmd_hvals, 2, R, HASH_R, 1, 1, 1, READ, T_ORDER, "hash", "2.0.0", "key", "Returns the values of all fields of a hash."},
	{"hlen", NULL, cmd_hlen, 2, R | F, HASH_R, 1, 1, 1, LOOK, 0, "hash", "2.0.0", "key", "Returns the number of fields of a hash."},
	{"hexists", NULL, cmd_hexists, 3, R | F, HASH_R, 1, 1, 1, LOOK, 0, "hash", "2.0.0", "key field", "Tells whether a hash has a field."},
	{"hdel", NULL, cmd_hdel, -3, W | F, HASH_W, 1, 1, 1, DROP, 0, "hash", "2.0.0", "key field [field ...]", "Deletes fields of a hash, and the hash with the last."},
	{"hstrlen", NULL, cmd_hstrlen, 3, R | F, HASH_R, 1, 1, 1, LOOK, 0, "hash", "3.2.0", "key field", "Returns the length of a field's value."},
	{"hincrby", NULL, cmd_hincrby, 4, W | M | F, HASH_W, 1, 1, 1, EDIT, 0, "hash", "2.0.0", "key field increment", "Adds an integer to a field of a hash."},
	{"hincrbyfloat", NULL, cmd_hincrbyfloat, 4, W | M | F, HASH_W, 1, 1, 1, EDIT, 0, "hash", "2.6.0", "key field increment", "Adds a number to a field of a hash."},
	{"hrandfield", NULL, cmd_hrandfield, -2, R, HASH_R, 1, 1, 1, READ, T_ANY, "hash", "6.2.0", "key [count [WITHVALUES]]", "Returns fields of a hash by chance."},
	{"hscan", NULL, cmd_hscan, -3, R, HASH_R, 1, 1, 1, READ, T_ANY, "hash", "2.8.0", "key cursor [MATCH pattern] [COUNT count]", "Walks through the fields of a hash."},

	{"lpush", NULL, cmd_lpush, -3, W | M | F, LIST_W, 1, 1, 1, PUSH, 0, "list", "1.0.0", "key element [element ...]", "Puts elements before the first of a list, one after the other."},
	{"rpush", NULL, cmd_rpush, -3, W | M | F, LIST_W, 1, 1, 1, PUSH, 0, "list", "1.0.0", "key element [element ...]", "Puts elements behind the last of a list."},
	{"lpushx", NULL, cmd_lpushx, -3, W | M | F, LIST_W, 1, 1, 1, PUSH, 0, "list", "2.2.0", "key element [element ...]", "Puts elements before the first of a list that exists."},
	{"rpushx", NULL, cmd_rpushx, -3, W | M | F, LIST_W, 1, 1, 1, PUSH, 0, "list", "2.2.0", "key element [element ...]", "Puts elements behind the last of a list that exists."},
	{"lpop", NULL, cmd_lpop, -2, W | F, LIST_W, 1, 1, 1, TAKE, 0, "list", "1.0.0", "key [count]", "Takes the first elements off a list and returns them."},
	{"rpop", NULL, cmd_rpop, -2, W | F, LIST_W, 1, 1, 1, TAKE, 0, "list", "1.0.0", "key [count]", "Takes the last elements off a list and returns them."},
	{"lmpop", NULL, cmd_lmpop, -4, W | K1, LIST_W, 0, 0, 0, TAKE, 0, "list", "7.0.0", "numkeys key [key ...] LEFT|RIGHT [COUNT count]", "Takes elements off the first of several lists that has any."},
	{"lmove", NULL, cmd_lmove, 5, W | M | G, LIST_W, 1, 2, 1, TAKE | THEN(PUSH), 0, "list", "6.2.0", "source destination LEFT|RIGHT LEFT|RIGHT", "Moves an element from one end of a list to one end of another."},
	{"rpoplpush", NULL, cmd_rpoplpush, 3, W | M | G, LIST_W, 1, 2, 1, TAKE | THEN(PUSH), 0, "list", "1.2.0", "source destination", "Moves the last element of a list before the first of another."},
	{"blpop", NULL, cmd_blpop, -3, W | NS | B, LIST_W | ACL_BLOCKING, 1, -2, 1, TAKE, 0, "list", "2.0.0", "key [key ...] timeout", "Takes the first element off the first of these lists that has one; waits until one has."},
	{"brpop", NULL, cmd_brpop, -3, W | NS | B, LIST_W | ACL_BLOCKING, 1, -2, 1, TAKE, 0, "list", "2.0.0", "key [key ...] timeout", "Takes the last element off the first of these lists that has one; waits until one has."},
	{"blmpop", NULL, cmd_blmpop, -5, W | B | K2, LIST_W | ACL_BLOCKING, 0, 0, 0, TAKE, 0, "list", "7.0.0", "timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]", "Takes elements off the first of these lists that has any; waits until one has."},
	{"blmove", NULL, cmd_blmove, 6, W | M | NS | B | G, LIST_W | ACL_BLOCKING, 1, 2, 1, TAKE | THEN(PUSH), 0, "list", "6.2.0", "source destination LEFT|RIGHT LEFT|RIGHT timeout", "Moves an element from one list to another; waits until there is one."},
	{"brpoplpush", NULL, cmd_brpoplpush, 4, W | M | NS | B | G, LIST_W | ACL_BLOCKING, 1, 2, 1, TAKE | THEN(PUSH), 0, "list", "2.2.0", "source destination timeout", "Moves the last element of a list before the first of another; waits until there is one."},
	{"llen", NULL, cmd_llen, 2, R | F, LIST_R, 1, 1, 1, LOOK, 0, "list", "1.0.0", "key", "Returns the length of a list."},
	{"lrange", NULL, cmd_lrange, 4, R, LIST_R, 1, 1, 1, READ, 0, "list", "1.0.0", "key start stop", "Returns a range of a list."},
	{"lindex", NULL, cmd_lindex, 3, R, LIST_R, 1, 1, 1, READ, 0, "list", "1.0.0", "key index", "Returns one element of a list."},
	{"lpos", NULL, cmd_lpos, -3, R, LIST_R, 1, 1, 1, READ, 0, "list", "6.0.6", "key element [RANK rank] [COUNT num-matches] [MAXLEN len]", "Returns where in a list an element stands."},
	{"lset", NULL, cmd_lset, 4, W | M, LIST_W, 1, 1, 1, CHANGE, 0, "list", "1.0.0", "key index element", "Puts another element in the place of one of a list."},
	{"linsert", NULL, cmd_linsert, 5, W | M, LIST_W, 1, 1, 1, PUSH, 0, "list", "2.2.0", "key BEFORE|AFTER pivot element", "Puts an element before or behind another of a list."},
	{"lrem", NULL, cmd_lrem, 4, W, LIST_W, 1, 1, 1, DROP, 0, "list", "1.0.0", "key count element", "Removes elements of a list that are equal to one."},
	{"ltrim", NULL, cmd_ltrim, 4, W, LIST_W, 1, 1, 1, DROP, 0, "list", "1.0.0", "key start stop", "Removes all of a list but a range."},

	{"sadd", NULL, cmd_sadd, -3, W | M | F, SET_W, 1, 1, 1, PUSH, 0, "set", "1.0.0", "key member [member ...]", "Adds members to a set; returns how many are new."},
	{"srem", NULL, cmd_srem, -3, W | F, SET_W, 1, 1, 1, DROP, 0, "set", "1.0.0", "key member [member ...]", "Removes members of a set, and the set with the last."},
	{"smove", NULL, cmd_smove, 4, W | F, SET_W, 1, 2, 1, TAKE | THEN(PUSH), 0, "set", "1.0.0", "source destination member", "Moves a member from one set to another."},
	{"spop", NULL, cmd_spop, -2, W | F | G, SET_W, 1, 1, 1, TAKE, T_ANY, "set", "1.0.0", "key [count]", "Takes members off a set by chance and returns them."},
	{"srandmember", NULL, cmd_srandmember, -2, R, SET_R, 1, 1, 1, READ, T_ANY, "set", "1.0.0", "key [count]", "Returns members of a set by chance."},
	{"sismember", NULL, cmd_sismember, 3, R | F, SET_R, 1, 1, 1, LOOK, 0, "set", "1.0.0", "key member", "Tells whether a set has a member."},
	{"smismember", NULL, cmd_smismember, -3, R | F, SET_R, 1, 1, 1, READ, 0, "set", "6.2.0", "key member [member ...]", "Tells of several whether they are members of a set."},
	{"smembers", NULL, cmd_smembers, 2, R, SET_R, 1, 1, 1, READ, T_ORDER, "set", "1.0.0", "key", "Returns all members of a set."},
	{"scard", NULL, cmd_scard, 2, R | F, SET_R, 1, 1, 1, LOOK, 0, "set", "1.0.0", "key", "Returns the number of members of a set."},
	{"sinter", NULL, cmd_sinter, -2, R, SET_R, 1, -1, 1, READ, T_ORDER, "set", "1.0.0", "key [key ...]", "Returns what is in all of several sets."},
	{"sintercard", NULL, cmd_sintercard, -3, R | K1, SET_R, 0, 0, 0, READ, 0, "set", "7.0.0", "numkeys key [key ...] [LIMIT limit]", "Returns how many members are in all of several sets."},
	{"sinterstore", NULL, cmd_sinterstore, -3, W | M | G, SET_W, 1, -1, 1, CHANGE | THEN(READ), 0, "set", "1.0.0", "destination key [key ...]", "Makes a set of what is in all of several sets."},
	{"sunion", NULL, cmd_sunion, -2, R, SET_R, 1, -1, 1, READ, T_ORDER, "set", "1.0.0", "key [key ...]", "Returns what is in any of several sets."},
	{"sunionstore", NULL, cmd_sunionstore, -3, W | M | G, SET_W, 1, -1, 1, MAKE | THEN(READ), 0, "set", "1.0.0", "destination key [key ...]", "Makes a set of what is in any of several sets."},
	{"sdiff", NULL, cmd_sdiff, -2, R, SET_R, 1, -1, 1, READ, T_ORDER, "set", "1.0.0", "key [key ...]", "Returns what is in the first of several sets and in no other."},
	{"sdiffstore", NULL, cmd_sdiffstore, -3, W | M | G, SET_W, 1, -1, 1, MAKE | THEN(READ), 0, "set", "1.0.0", "destination key [key ...]", "Makes a set of what is in the first of several sets and in no other."},
	{"sscan", NULL, cmd_sscan, -3, R, SET_R, 1, 1, 1, READ, T_ANY, "set", "2.8.0", "key cursor [MATCH pattern] [COUNT count]", "Walks through the members of a set."},

	{"zadd", NULL, cmd_zadd, -4, W | M | F, ZSET_W, 1, 1, 1, CHANGE, 0, "sorted-set", "1.2.0", "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", "Adds members to a sorted set, or changes their scores."},
	{"zincrby", NULL, cmd_zincrby, 4, W | M | F, ZSET_W, 1, 1, 1, EDIT, 0, "sorted-set", "1.2.0", "key increment member", "Adds to the score of a member of a sorted set."},
	{"zrem", NULL, cmd_zrem, -3, W | F, ZSET_W, 1, 1, 1, DROP, 0, "sorted-set", "1.2.0", "key member [member ...]", "Removes members of a sorted set, and the set with the last."},
	{"zremrangebyrank", NULL, cmd_zremrangebyrank, 4, W | G, ZSET_W, 1, 1, 1, DROP, 0, "sorted-set", "2.0.0", "key start stop", "Removes the members of a sorted set within a range of ranks."},
	{"zremrangebyscore", NULL, cmd_zremrangebyscore, 4, W | G, ZSET_W, 1, 1, 1, DROP, 0, "sorted-set", "1.2.0", "key min max", "Removes the members of a sorted set within a range of scores."},
	{"zremrangebylex", NULL, cmd_zremrangebylex, 4, W | G, ZSET_W, 1, 1, 1, DROP, 0, "sorted-set", "2.8.9", "key min max", "Removes the members of a sorted set within a range of names."},
	{"zpopmin", NULL, cmd_zpopmin, -2, W | F | G, ZSET_W, 1, 1, 1, TAKE, 0, "sorted-set", "5.0.0", "key [count]", "Takes the members with the lowest scores off a sorted set and returns them."},
	{"zpopmax", NULL, cmd_zpopmax, -2, W | F | G, ZSET_W, 1, 1, 1, TAKE, 0, "sorted-set", "5.0.0", "key [count]", "Takes the members with the highest scores off a sorted set and returns them."},
	{"zmpop", NULL, cmd_zmpop, -4, W | K1 | G, ZSET_W, 0, 0, 0, TAKE, 0, "sorted-set", "7.0.0", "numkeys key [key ...] MIN|MAX [COUNT count]", "Takes members off the first of several sorted sets that has any."},
	{"bzpopmin", NULL, cmd_bzpopmin, -3, W | F | NS | B | G, ZSET_W | ACL_BLOCKING, 1, -2, 1, TAKE, 0, "sorted-set", "5.0.0", "key [key ...] timeout", "Takes the member with the lowest score off the first of these sorted sets that has one; waits until one has."},
	{"bzpopmax", NULL, cmd_bzpopmax, -3, W | F | NS | B | G, ZSET_W | ACL_BLOCKING, 1, -2, 1, TAKE, 0, "sorted-set", "5.0.0", "key [key ...] timeout", "Takes the member with the highest score off the first of these sorted sets that has one; waits until one has."},
	{"bzmpop", NULL, cmd_bzmpop, -5, W | B | K2 | G, ZSET_W | ACL_BLOCKING, 0, 0, 0, TAKE, 0, "sorted-set", "7.0.0", "timeout numkeys key [key ...] MIN|MAX [COUNT count]", "Takes members off the first of these sorted sets that has any; waits until one has."},
	{"zcard", NULL, cmd_zcard, 2, R | F, ZSET_R, 1, 1, 1, LOOK, 0, "sorted-set", "1.2.0", "key", "Returns the number of members of a sorted set."},
	{"zcount", NULL, cmd_zcount, 4, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.0.0", "key min max", "Counts the members of a sorted set within a range of scores."},
	{"zlexcount", NULL, cmd_zlexcount, 4, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.8.9", "key min max", "Counts the members of a sorted set within a range of names."},
	{"zscore", NULL, cmd_zscore, 3, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "1.2.0", "key member", "Returns the score of a member of a sorted set."},
	{"zmscore", NULL, cmd_zmscore, -3, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "6.2.0", "key member [member ...]", "Returns the scores of members of a sorted set."},
	{"zrank", NULL, cmd_zrank, -3, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.0.0", "key member [WITHSCORE]", "Returns the rank of a member of a sorted set, from the lowest score."},
	{"zrevrank", NULL, cmd_zrevrank, -3, R | F, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.0.0", "key member [WITHSCORE]", "Returns the rank of a member of a sorted set, from the highest score."},
	{"zrange", NULL, cmd_zrange, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "1.2.0", "key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]", "Returns the members of a sorted set within a range."},
	{"zrangestore", NULL, cmd_zrangestore, -5, W | M | G, ZSET_W, 1, 2, 1, MAKE | THEN(READ), 0, "sorted-set", "6.2.0", "dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]", "Makes a sorted set of the members of another within a range."},
	{"zrevrange", NULL, cmd_zrevrange, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "1.2.0", "key start stop [WITHSCORES]", "Returns the members of a sorted set within a range of ranks, from the highest score."},
	{"zrangebyscore", NULL, cmd_zrangebyscore, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "1.0.5", "key min max [WITHSCORES] [LIMIT offset count]", "Returns the members of a sorted set within a range of scores."},
	{"zrevrangebyscore", NULL, cmd_zrevrangebyscore, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.2.0", "key max min [WITHSCORES] [LIMIT offset count]", "Returns the members of a sorted set within a range of scores, from the highest."},
	{"zrangebylex", NULL, cmd_zrangebylex, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.8.9", "key min max [LIMIT offset count]", "Returns the members of a sorted set within a range of names."},
	{"zrevrangebylex", NULL, cmd_zrevrangebylex, -4, R, ZSET_R, 1, 1, 1, READ, 0, "sorted-set", "2.8.9", "key max min [LIMIT offset count]", "Returns the members of a sorted set within a range of names, from the last."},
	{"zrandmember", NULL, cmd_zrandmember, -2, R, ZSET_R, 1, 1, 1, READ, T_ANY, "sorted-set", "6.2.0", "key [count [WITHSCORES]]", "Returns members of a sorted set by chance."},
	{"zunion", NULL, cmd_zunion, -3, R | K1, ZSET_R, 0, 0, 0, READ, 0, "sorted-set", "6.2.0", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]", "Returns what is in any of several sorted sets."},
	{"zinter", NULL, cmd_zinter, -3, R | K1, ZSET_R, 0, 0, 0, READ, 0, "sorted-set", "6.2.0", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]", "Returns what is in all of several sorted sets."},
	{"zdiff", NULL, cmd_zdiff, -3, R | K1, ZSET_R, 0, 0, 0, READ, 0, "sorted-set", "6.2.0", "numkeys key [key ...] [WITHSCORES]", "Returns what is in the first of several sorted sets and in no other."},
	{"zunionstore", NULL, cmd_zunionstore, -4, W | M | G | K2, ZSET_W, 1, 1, 1, MAKE | THEN(READ), 0, "sorted-set", "2.0.0", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]", "Makes a sorted set of what is in any of several."},
	{"zinterstore", NULL, cmd_zinterstore, -4, W | M | G | K2, ZSET_W, 1, 1, 1, MAKE | THEN(READ), 0, "sorted-set", "2.0.0", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]", "Makes a sorted set of what is in all of several."},
	{"zdiffstore", NULL, cmd_zdiffstore, -4, W | M | G | K2, ZSET_W, 1, 1, 1, MAKE | THEN(READ), 0, "sorted-set", "6.2.0", "destination numkeys key [key ...]", "Makes a sorted set of what is in the first of several and in no other."},
	{"zintercard", NULL, cmd_zintercard, -3, R | K1, ZSET_R, 0, 0, 0, READ, 0, "sorted-set", "7.0.0", "numkeys key [key ...] [LIMIT limit]", "Returns how many members are in all of several sorted sets."},
	{"zscan", NULL, cmd_zscan, -3, R, ZSET_R, 1, 1, 1, READ, T_ANY, "sorted-set", "2.8.0", "key cursor [MATCH pattern] [COUNT count]", "Walks through the members of a sorted set."},

	{"sort", NULL, cmd_sort, -2, W | M | G | KS | CMD_WHOLE, ACL_WRITE | ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, 1, 1, 1, READ | THEN(MAKE), 0, "generic", "1.0.0", "key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA] [STORE destination]", "Sorts the elements of a list, a set or a sorted set, and may store the result."},
	{"sort_ro", NULL, cmd_sort_ro, -2, R | CMD_MOVABLEKEYS | CMD_WHOLE, ACL_READ | ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, 1, 1, 1, READ, 0, "generic", "7.0.0", "key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA]", "Returns the sorted elements of a list, a set or a sorted set."},
	{"lcs", NULL, cmd_lcs, -3, R, STR_R, 1, 2, 1, READ, 0, "string", "7.0.0", "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", "Finds the longest common subsequence of two strings."},

	{"dump", NULL, cmd_dump, 2, R, KEY_R, 1, 1, 1, READ, T_ANY, "generic", "2.6.0", "key", "Returns the value of a key as bytes that RESTORE takes, here and in Redis."},
	{"restore", NULL, cmd_restore, -4, W | M, KEY_W | ACL_DANGEROUS, 1, 1, 1, MAKE, 0, "generic", "2.6.0", "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", "Makes a key of the bytes that DUMP returned, here or in Redis."},

	{"img.put", NULL, cmd_img_put, -3, W | M | CMD_POOL_BODY, IMG_W, 1, 1, 1, MAKE, 0, "image", "0.1.0", "key data [NX|XX] [TITLE t] [CAPTION t] [TAGS a,b,c] [ATTR field value]... [LOCATION lon lat] [TAKEN time] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL] [TIER hot|warm]", "Stores an image and what is known of it; returns its ETag."},
	{"img.get", NULL, cmd_img_get, -2, R, IMG_R, 1, 1, 1, READ, 0, "image", "0.1.0", "key [WIDTH n] [HEIGHT n] [FIT inside|cover|fill|pad] [DPR x] [GRAVITY g] [CROP x y w h] [FORMAT f] [ACCEPT types] [QUALITY n] [STRIP all|copyright|none] [ENLARGE] [ROTATE n] [FLIP h|v] [IFNOTMATCH etag] [RANGE first last] [AT time | AT LSN n]", "Returns an image, as it was stored or transformed, now or at a moment of the past."},
	{"img.info", NULL, cmd_img_info, -2, R, IMG_R, 1, 1, 1, READ, 0, "image", "0.1.0", "key [field ...]", "Returns what is known of an image."},
	{"img.edit", NULL, cmd_img_edit, -3, W | M | GM, IMG_W, 1, 1, 1, CHANGE, 0, "image", "0.1.0", "key [TITLE t] [CAPTION t] [TAGS a,b] [ADDTAGS a,b] [REMTAGS a,b] [ATTR f v]... [DELATTR f]... [LOCATION lon lat] [TAKEN time]", "Changes what is known of an image."},
	{"img.search", NULL, cmd_img_search, -2, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "query [NOCONTENT] [VERBATIM] [NOSTOPWORDS] [RETURN n f...] [SORTBY f [ASC|DESC]] [LIMIT offset n] [WITHSCORES] [COUNT EXACT|FAST|NONE] [FACET n f...] [SIMILAR key [MAXDIST d]] [HIGHLIGHT [FIELDS n f...] [TAGS open close]] [INKEYS n k...] [TIMEOUT ms] [PARAMS n ...] [EXPLAIN|PROFILE]", "Searches the images of the selected database."},
	{"img.aggregate", NULL, cmd_img_aggregate, -2, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "query [LOAD n @f [AS name]...] [APPLY expr AS name]... [FILTER expr]... [GROUPBY n @f... [REDUCE function n arg... [AS name]]...]... [SORTBY n @f [ASC|DESC]... [MAX n]] [LIMIT offset n] [WITHCURSOR [COUNT n] [MAXIDLE ms]] [TIMEOUT ms] [PARAMS n ...]", "Groups, counts and calculates over the images that a query finds."},
	{"img.similar", NULL, cmd_img_similar, -2, R | X, IMG_R, 1, 1, 1, READ, 0, "image", "0.1.0", "key [MAXDIST d] [LIMIT offset n] [DIHEDRAL]", "Lists the images that look like one, nearest first, with their distances."},
	{"img.suggest", NULL, cmd_img_suggest, -2, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "prefix [FUZZY] [MAX n] [WITHSCORES]", "Completes words and tags as somebody types them, the most frequent first."},
	{"ft.search", NULL, cmd_ft_search, -3, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images query [NOCONTENT] [VERBATIM] [NOSTOPWORDS] [WITHSCORES] [FILTER f min max]... [GEOFILTER f lon lat radius unit]... [INKEYS n k...] [INFIELDS n f...] [RETURN n f...] [SORTBY f [ASC|DESC]] [LIMIT offset n] [TIMEOUT ms] [PARAMS n ...] [DIALECT d]", "Searches the images of the selected database, under the name that RediSearch has for it."},
	{"ft.aggregate", NULL, cmd_ft_aggregate, -3, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images query ...", "IMG.AGGREGATE, under the name that RediSearch has for it."},
	{"ft.cursor", NULL, cmd_container, -2, C, ACL_IMAGE, 0, 0, 0, 0, 0, "image", "0.1.0", "", "A container for commands about cursors of aggregations."},
	{"read", "ft.cursor", cmd_cursor_read, -4, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images id [COUNT n]", "Returns the next rows of an aggregation, and the id to go on with, or 0."},
	{"del", "ft.cursor", cmd_cursor_del, 4, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images id", "Drops the cursor and its rows."},
	{"ft.info", NULL, cmd_ft_info, 2, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images", "Returns the fields and figures of the index."},
	{"ft._list", NULL, cmd_ft_list, 1, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Lists the indexes: there is one, images."},
	{"ft.tagvals", NULL, cmd_ft_tagvals, 3, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images field", "Returns the distinct values of a tag field or attribute."},
	{"ft.explain", NULL, cmd_ft_explain, -3, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images query ...", "Returns the parsed query as a tree."},
	{"ft.profile", NULL, cmd_ft_profile, -5, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images SEARCH|AGGREGATE [LIMITED] QUERY query ...", "Runs a query and says what it took."},
	{"ft.sugget", NULL, cmd_ft_sugget, -3, R | X, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "images prefix [FUZZY] [WITHSCORES] [WITHPAYLOADS] [MAX n]", "IMG.SUGGEST, under the name that RediSearch has for it."},
	{"img.index", NULL, cmd_container, -2, C, ACL_IMAGE, 0, 0, 0, 0, 0, "image", "0.1.0", "", "A container for commands about attributes in the search index."},
	{"add", "img.index", cmd_index_add, -5, W, IMG_W, 0, 0, 0, 0, 0, "image", "0.1.0", "field TYPE text|tag|numeric|date|geo|bool [SORTABLE]", "Declares what an attribute is, in the selected database."},
	{"del", "img.index", cmd_index_del, 3, W, IMG_W, 0, 0, 0, 0, 0, "image", "0.1.0", "field", "Takes the declaration of an attribute back; returns 0 if there was none."},
	{"list", "img.index", cmd_index_list, 2, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Lists the declared attributes of the selected database."},
	{"stopwords", "img.index", cmd_index_stopwords, -3, W, IMG_W, 0, 0, 0, 0, 0, "image", "0.1.0", "SET word [word ...] | NONE", "Sets the words that queries in the selected database leave out."},
	{"synonym", "img.index", cmd_index_synonym, -4, W, IMG_W, 0, 0, 0, 0, 0, "image", "0.1.0", "ADD group word [word ...] | DEL group", "Says which words mean the same in queries."},
	{"stem", "img.index", cmd_index_stem, 4, W, IMG_W, 0, 0, 0, 0, 0, "image", "0.1.0", "title|caption|tags|camera|field language|NONE", "Says in which language words with the same stem are found in a field, or in an attribute of TYPE text."},
	{"language", "img.index", cmd_index_language, 2, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Lists stop words, synonyms and languages of the selected database."},
	{"help", "img.index", cmd_help, 2, L, CONN, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Returns helpful text about the different subcommands."},
	{"img.versions", NULL, cmd_img_versions, -2, R, IMG_R, 1, 1, 1, READ, 0, "image", "0.1.0", "key [LIMIT n]", "Lists what an image is and was, newest first."},
	{"img.restore", NULL, cmd_img_restore, -4, W | M | NM, IMG_W, 1, 1, 1, EDIT, 0, "image", "0.1.0", "key AT time | AT LSN n", "Makes an image what it was at a moment of the past, also if it was deleted; returns its ETag."},
	{"img.verify", NULL, cmd_img_verify, -1, R, IMG_R, 1, -1, 1, READ, 0, "image", "0.1.0", "[key ...]", "Reads images from the disk and proves every byte of them; without a key, starts a scrub of everything."},
	{"img.digest", NULL, cmd_img_digest, -1, R, IMG_R | ACL_DANGEROUS, 0, 0, 0, 0, 0, "image", "0.1.0", "[BUCKETS n] [LIMIT n] [KEYS bucket [bucket ...]]", "Returns digests of the database by ranges of keys, or of the keys in some of them, to compare servers."},
	{"img.stats", NULL, cmd_img_stats, 1, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Returns figures of the index, the store and the workers."},
	{"img.tier", NULL, cmd_container, -2, C, ACL_IMAGE, 0, 0, 0, 0, 0, "image", "0.1.0", "", "A container for commands about storage tiers."},
	{"get", "img.tier", cmd_tier_get, 3, R, IMG_R, 2, 2, 1, READ, 0, "image", "0.1.0", "key", "Returns the tier of an image."},
	{"set", "img.tier", cmd_tier_set, -4, W, IMG_W, 3, -1, 1, CHANGE, 0, "image", "0.1.0", "hot|warm key [key ...]", "Moves images to a tier; returns how many are there when it is done."},
	{"policy", "img.tier", cmd_tier_policy, -3, W, IMG_W | ACL_DANGEROUS, 0, 0, 0, 0, 0, "image", "0.1.0", "SET name [PREFIX p] [TAG t] [MINBYTES n] [BASIS created|accessed] [WARM d] [COLD d] [DELETE d] [PROMOTE] | LIST | DEL name", "Sets, lists and deletes lifecycle policies."},
	{"run", "img.tier", cmd_tier_run, -2, W, IMG_W | ACL_DANGEROUS, 0, 0, 0, 0, 0, "image", "0.1.0", "[DRYRUN]", "Applies the policies now; returns what was (or would be) done."},
	{"stats", "img.tier", cmd_tier_stats, 2, R, IMG_R, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Returns images and bytes on each tier."},
	{"help", "img.tier", cmd_help, 2, L, CONN, 0, 0, 0, 0, 0, "image", "0.1.0", "", "Returns helpful text about the different subcommands."},
};

const size_t commands_count = ARRAY_COUNT(commands_table);

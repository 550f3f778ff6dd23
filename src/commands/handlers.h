/* commands/handlers.h: the functions behind the rows of table.c, by file. */
#pragma once
#include "commands/commands.h"

void cmd_append(struct call *call);
void cmd_auth(struct call *call);
void cmd_bgsave(struct call *call);
void cmd_client_getname(struct call *call);
void cmd_client_id(struct call *call);
void cmd_client_info(struct call *call);
void cmd_client_kill(struct call *call);
void cmd_client_list(struct call *call);
void cmd_client_no_evict(struct call *call);
void cmd_client_no_touch(struct call *call);
void cmd_client_reply(struct call *call);
void cmd_client_setinfo(struct call *call);
void cmd_client_setname(struct call *call);
void cmd_command(struct call *call);
void cmd_command_count(struct call *call);
void cmd_command_docs(struct call *call);
void cmd_command_getkeys(struct call *call);
void cmd_command_info(struct call *call);
void cmd_command_list(struct call *call);
void cmd_config_get(struct call *call);
void cmd_config_resetstat(struct call *call);
void cmd_config_rewrite(struct call *call);
void cmd_config_set(struct call *call);
void cmd_container(struct call *call);
void cmd_copy(struct call *call);
void cmd_dbsize(struct call *call);
void cmd_decr(struct call *call);
void cmd_decrby(struct call *call);
void cmd_del(struct call *call);
void cmd_echo(struct call *call);
void cmd_exists(struct call *call);
void cmd_expire(struct call *call);
void cmd_expireat(struct call *call);
void cmd_expiretime(struct call *call);
void cmd_flushall(struct call *call);
void cmd_flushdb(struct call *call);
void cmd_ft_aggregate(struct call *call);
void cmd_ft_explain(struct call *call);
void cmd_ft_info(struct call *call);
void cmd_ft_list(struct call *call);
void cmd_ft_profile(struct call *call);
void cmd_ft_search(struct call *call);
void cmd_ft_sugget(struct call *call);
void cmd_ft_tagvals(struct call *call);
void cmd_get(struct call *call);
void cmd_getdel(struct call *call);
void cmd_getex(struct call *call);
void cmd_getrange(struct call *call);
void cmd_getset(struct call *call);
void cmd_hello(struct call *call);
void cmd_help(struct call *call);
void cmd_img_aggregate(struct call *call);
void cmd_img_edit(struct call *call);
void cmd_img_get(struct call *call);
void cmd_img_info(struct call *call);
void cmd_img_put(struct call *call);
void cmd_img_search(struct call *call);
void cmd_img_similar(struct call *call);
void cmd_img_suggest(struct call *call);
void cmd_img_stats(struct call *call);
void cmd_img_restore(struct call *call);
void cmd_img_verify(struct call *call);
void cmd_img_versions(struct call *call);
void cmd_incr(struct call *call);
void cmd_incrby(struct call *call);
void cmd_incrbyfloat(struct call *call);
void cmd_info(struct call *call);
void cmd_keys(struct call *call);
void cmd_latency_history(struct call *call);
void cmd_latency_latest(struct call *call);
void cmd_latency_reset(struct call *call);
void cmd_lolwut(struct call *call);
void cmd_memory_usage(struct call *call);
void cmd_lastsave(struct call *call);
void cmd_mget(struct call *call);
void cmd_mset(struct call *call);
void cmd_msetnx(struct call *call);
void cmd_object_encoding(struct call *call);
void cmd_object_freq(struct call *call);
void cmd_object_idletime(struct call *call);
void cmd_object_refcount(struct call *call);
void cmd_persist(struct call *call);
void cmd_pexpire(struct call *call);
void cmd_pexpireat(struct call *call);
void cmd_pexpiretime(struct call *call);
void cmd_ping(struct call *call);
void cmd_psetex(struct call *call);
void cmd_pttl(struct call *call);
void cmd_quit(struct call *call);
void cmd_randomkey(struct call *call);
void cmd_rename(struct call *call);
void cmd_renamenx(struct call *call);
void cmd_reset(struct call *call);
void cmd_save(struct call *call);
void cmd_scan(struct call *call);
void cmd_select(struct call *call);
void cmd_set(struct call *call);
void cmd_setex(struct call *call);
void cmd_setnx(struct call *call);
void cmd_setrange(struct call *call);
void cmd_shutdown(struct call *call);
void cmd_slowlog_get(struct call *call);
void cmd_slowlog_len(struct call *call);
void cmd_slowlog_reset(struct call *call);
void cmd_strlen(struct call *call);
void cmd_tier_get(struct call *call);
void cmd_tier_policy(struct call *call);
void cmd_tier_run(struct call *call);
void cmd_tier_set(struct call *call);
void cmd_tier_stats(struct call *call);
void cmd_time(struct call *call);
void cmd_touch(struct call *call);
void cmd_ttl(struct call *call);
void cmd_type(struct call *call);
void cmd_wait(struct call *call);
void cmd_waitaof(struct call *call);

/* Shared by several files of this folder. */

/* Checks and sets the connection's name. False: an error was replied. */
bool session_set_name(struct call *call, struct span name);

/* -ERR syntax error, and the other texts that Redis repeats. */
void reply_syntax_error(struct call *call);
void reply_wrong_type(struct call *call);
void reply_not_integer(struct call *call);

/* EX s | PX ms | EXAT s | PXAT ms at argv[*at], moving *at behind it. False: an error was
 * replied. *at_ms becomes Unix ms. */
bool parse_expiry(struct call *call, uint32_t *at, int64_t *at_ms);
bool is_expiry_word(struct span word);
/* Relative or absolute, seconds or milliseconds, into Unix ms, with Redis's checks. */
bool expiry_to_ms(struct call *call, int64_t value, bool seconds, bool relative, int64_t *at_ms);

/* engine/settings.c: the table of settings, and values as text. The file format is in
 * settings_file.c. */
#include "engine/settings.h"

#include "base/limits.h"
#include "base/number.h"
#include "engine/pubsub.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>

static const char *const words_fsync[] = {"always", "everysec", "no", NULL};
static const char *const words_level[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const words_backend[] = {"auto", "io_uring", "epoll", NULL};
static const char *const words_acl_pubsub[] = {"resetchannels", NULL};
static const char *const words_local[] = {"no", "yes", "local", NULL};
static const char *const words_auth[] = {"no", "yes", "optional", NULL};
static const char *const words_oom[] = {"no", "yes", "relative", "absolute", NULL};
static const char *const words_diskless[] = {"disabled", "on-empty-db", "swapdb", NULL};
static const char *const words_sanitize[] = {"no", "yes", "clients", NULL};
static const char *const words_supervised[] = {"upstart", "systemd", "auto", "no", NULL};
static const char *const words_policy[] = {"noeviction", "allkeys-lru", "allkeys-lfu",
    "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", NULL};

#define AT(field) offsetof(struct settings, field)
#define BOOL(name, field, initial, flags) {name, SETTING_BOOL, flags, AT(field), initial, 0, 1, NULL}
#define INT(name, field, initial, low, high, flags) {name, SETTING_INT, flags, AT(field), initial, low, high, NULL}
#define BYTES(name, field, initial, low, high, flags) {name, SETTING_BYTES, flags, AT(field), initial, low, high, NULL}
#define TEXT(name, field, initial, flags) {name, SETTING_TEXT, flags, AT(field), initial, 0, 0, NULL}
#define ENUM(name, field, initial, words, flags) {name, SETTING_ENUM, flags, AT(field), initial, 0, 0, words}
/* Rows of Redis's that have nothing to act on here; each has a place of its own for its value. */
enum { KEPT_FIRST = __COUNTER__ + 1 };
#define KEPT_AT AT(kept[__COUNTER__ - KEPT_FIRST])
#define KEPT_BOOL(name, initial) {name, SETTING_BOOL, SETTING_KEPT, KEPT_AT, initial, 0, 1, NULL}
#define KEPT_INT(name, initial, low, high) {name, SETTING_INT, SETTING_KEPT, KEPT_AT, initial, low, high, NULL}
#define KEPT_BYTES(name, initial, low) {name, SETTING_BYTES, SETTING_KEPT, KEPT_AT, initial, low, INT64_MAX, NULL}
#define KEPT_ENUM(name, initial, words) {name, SETTING_ENUM, SETTING_KEPT, KEPT_AT, initial, 0, 0, words}
#define GIB (INT64_C(1) << 30)
#define MIB (INT64_C(1) << 20)
#define OUTPUT_MAX (64 * GIB)
#define SOFT_SECONDS_MAX 86400
#define LISTPACK_ENTRIES 65536
#define LISTPACK_VALUE 65536

const struct setting settings_table[] = {
	TEXT("bind", bind, "127.0.0.1 -::1", SETTING_IMMUTABLE),
	INT("port", port, "6379", 0, 65535, SETTING_IMMUTABLE),
	INT("tcp-backlog", tcp_backlog, "511", 1, 65535, SETTING_IMMUTABLE),
	INT("tcp-keepalive", tcp_keepalive, "300", 0, 86400, SETTING_IMMUTABLE),
	INT("timeout", timeout_s, "0", 0, INT32_MAX, 0),
	INT("maxclients", maxclients, "10000", 1, 1000000, 0),
	TEXT("unixsocket", unixsocket, "", SETTING_IMMUTABLE),
	{"unixsocketperm", SETTING_OCTAL, SETTING_IMMUTABLE, AT(unixsocketperm), "0", 0, 0777, NULL},
	BOOL("protected-mode", protected_mode, "yes", 0),
	TEXT("requirepass", requirepass, "", SETTING_SECRET),
	TEXT("aclfile", aclfile, "", SETTING_IMMUTABLE),
	ENUM("enable-debug-command", debug_command, "no", words_local, SETTING_IMMUTABLE),
	INT("acllog-max-len", acllog_max_len, "128", 0, 100000, 0),
	ENUM("acl-pubsub-default", acl_pubsub, "resetchannels", words_acl_pubsub, SETTING_FIXED),
	ENUM("io-backend", io_backend, "auto", words_backend, SETTING_IMMUTABLE),
	BYTES("proto-max-bulk-len", proto_max_bulk_len, "512mb", MIB, 512 * MIB, 0),
	BYTES("client-query-buffer-limit", client_query_buffer_limit, "256mb", MIB, 4 * GIB - 1, 0),
	BYTES("client-output-limit", client_output_limit, "64kb", 16 << 10, GIB, 0),

	INT("tls-port", tls_port, "0", 0, 65535, SETTING_TLS),
	TEXT("tls-cert-file", tls_cert_file, "", SETTING_TLS),
	TEXT("tls-key-file", tls_key_file, "", SETTING_TLS),
	TEXT("tls-key-file-pass", tls_key_file_pass, "", SETTING_TLS | SETTING_SECRET),
	TEXT("tls-client-cert-file", tls_client_cert_file, "", SETTING_TLS),
	TEXT("tls-client-key-file", tls_client_key_file, "", SETTING_TLS),
	TEXT("tls-client-key-file-pass", tls_client_key_file_pass, "", SETTING_TLS | SETTING_SECRET),
	TEXT("tls-ca-cert-file", tls_ca_cert_file, "", SETTING_TLS),
	TEXT("tls-ca-cert-dir", tls_ca_cert_dir, "", SETTING_TLS),
	ENUM("tls-auth-clients", tls_auth_clients, "yes", words_auth, SETTING_TLS),
	TEXT("tls-protocols", tls_protocols, "TLSv1.3", SETTING_TLS),
	TEXT("tls-ciphers", tls_ciphers, "", SETTING_TLS),
	TEXT("tls-ciphersuites", tls_ciphersuites, "", SETTING_TLS),
	BOOL("tls-prefer-server-ciphers", tls_prefer_server_ciphers, "no", SETTING_TLS),
	BOOL("tls-session-caching", tls_session_caching, "yes", SETTING_TLS),
	INT("tls-session-cache-size", tls_session_cache_size, "20480", 0, INT32_MAX, SETTING_TLS),
	INT("tls-session-cache-timeout", tls_session_cache_timeout_s, "300", 0, INT32_MAX, SETTING_TLS),
	TEXT("tls-dh-params-file", tls_dh_params_file, "", SETTING_TLS),
	BOOL("tls-replication", tls_replication, "no", SETTING_TLS),
	BOOL("tls-replication-check-host", tls_replication_check_host, "no", 0),
	BOOL("tls-cluster", tls_cluster, "no", SETTING_FIXED),

	TEXT("dir", dir, "data", SETTING_IMMUTABLE),
	TEXT("logfile", logfile, "", SETTING_IMMUTABLE),
	TEXT("pidfile", pidfile, "", SETTING_IMMUTABLE),
	ENUM("loglevel", loglevel, "notice", words_level, 0),
	INT("databases", databases, "16", DATABASE_COUNT, DATABASE_COUNT, SETTING_FIXED),
	BOOL("daemonize", daemonize, "no", SETTING_FIXED),
	BYTES("maxmemory", maxmemory, "0", 0, INT64_MAX, 0),
	BYTES("maxmemory-clients", maxmemory_clients, "0", 0, INT64_MAX, 0),
	ENUM("maxmemory-policy", maxmemory_policy, "noeviction", words_policy, 0),
	INT("maxmemory-samples", maxmemory_samples, "5", 1, 64, 0),
	INT("lfu-log-factor", lfu_log_factor, "10", 0, 1000000, 0),
	INT("lfu-decay-time", lfu_decay_time, "1", 0, 1000000, 0),
	BOOL("cluster-enabled", cluster_enabled, "no", SETTING_FIXED),
	BOOL("appendonly", appendonly, "yes", SETTING_FIXED),

	INT("hash-max-listpack-entries", hash_listpack_entries, "512", 0, LISTPACK_ENTRIES, 0),
	INT("hash-max-ziplist-entries", hash_listpack_entries, "512", 0, LISTPACK_ENTRIES, SETTING_ALIAS),
	INT("hash-max-listpack-value", hash_listpack_value, "64", 0, LISTPACK_VALUE, 0),
	INT("hash-max-ziplist-value", hash_listpack_value, "64", 0, LISTPACK_VALUE, SETTING_ALIAS),
	INT("list-max-listpack-size", list_listpack_size, "-2", -5, LISTPACK_ENTRIES, 0),
	INT("list-max-ziplist-size", list_listpack_size, "-2", -5, LISTPACK_ENTRIES, SETTING_ALIAS),
	INT("set-max-intset-entries", set_intset_entries, "512", 0, LISTPACK_ENTRIES, 0),
	INT("set-max-listpack-entries", set_listpack_entries, "128", 0, LISTPACK_ENTRIES, 0),
	INT("set-max-listpack-value", set_listpack_value, "64", 0, LISTPACK_VALUE, 0),
	INT("zset-max-listpack-entries", zset_listpack_entries, "128", 0, LISTPACK_ENTRIES, 0),
	INT("zset-max-ziplist-entries", zset_listpack_entries, "128", 0, LISTPACK_ENTRIES, SETTING_ALIAS),
	INT("zset-max-listpack-value", zset_listpack_value, "64", 0, LISTPACK_VALUE, 0),
	INT("zset-max-ziplist-value", zset_listpack_value, "64", 0, LISTPACK_VALUE, SETTING_ALIAS),

	ENUM("appendfsync", appendfsync, "always", words_fsync, 0),
	ENUM("cache-appendfsync", cache_appendfsync, "everysec", words_fsync, 0),
	BYTES("segment-bytes", segment_bytes, "64mb", MIB, GIB, SETTING_IMMUTABLE),
	BYTES("disk-bytes-max", disk_bytes_max, "0", 0, INT64_MAX, SETTING_IMMUTABLE),
	BYTES("body-memory", body_memory, "512mb", 16 * MIB, 1024 * GIB, SETTING_IMMUTABLE),
	BYTES("hot-memory", hot_memory, "256mb", 0, 1024 * GIB, 0),
	BYTES("derivative-memory", derivative_memory, "128mb", 0, 1024 * GIB, 0),
	BYTES("meta-memory", meta_memory, "64mb", MIB, 1024 * GIB, 0),
	INT("spare-segments", spare_segments, "5", 2, 64, SETTING_IMMUTABLE),
	INT("batch-delay", batch_delay_ms, "50", 1, 1000, SETTING_IMMUTABLE),
	INT("batches-in-flight", batches_in_flight, "4", 1, 4, SETTING_IMMUTABLE),
	INT("checkpoint-interval", checkpoint_interval_s, "300", 0, 86400, 0),
	BYTES("checkpoint-bytes", checkpoint_bytes, "1gb", 0, 1024 * GIB, 0),
	INT("checkpoint-idle", checkpoint_idle_s, "3", 0, 86400, 0),
	INT("flush-slice-keys", flush_slice_keys, "4096", 1, 1 << 30, 0),
	BYTES("rewrite-slice-bytes", rewrite_slice_bytes, "32kb", 256, 16 * MIB, 0),
	BYTES("load-first-bytes", load_first_bytes, "4mb", 0, 1024 * GIB, SETTING_IMMUTABLE),
	TEXT("open-at", open_at, "", SETTING_IMMUTABLE),
	TEXT("rewind-to", rewind_to, "", SETTING_IMMUTABLE),
	BOOL("readonly", readonly, "no", SETTING_IMMUTABLE),
	BYTES("scrub-bytes-per-second", scrub_bytes_per_second, "4mb", 0, 64 * GIB, 0),
	INT("scrub-interval", scrub_interval_s, "86400", 0, 365 * 86400, 0),
	BOOL("dedupe", dedupe, "yes", 0),
	INT("history-window", history_window_s, "86400", 0, 35 * 86400, 0),

	TEXT("replicaof", replicaof, "", SETTING_IMMUTABLE),
	TEXT("slaveof", replicaof, "", SETTING_IMMUTABLE | SETTING_ALIAS),
	TEXT("masterauth", masterauth, "", SETTING_SECRET),
	TEXT("masteruser", masteruser, "", 0),
	TEXT("replica-announce-ip", replica_announce_ip, "", 0),
	TEXT("slave-announce-ip", replica_announce_ip, "", SETTING_ALIAS),
	INT("replica-announce-port", replica_announce_port, "0", 0, 65535, 0),
	INT("slave-announce-port", replica_announce_port, "0", 0, 65535, SETTING_ALIAS),
	INT("replica-priority", replica_priority, "100", 0, INT32_MAX, 0),
	INT("slave-priority", replica_priority, "100", 0, INT32_MAX, SETTING_ALIAS),
	BOOL("replica-announced", replica_announced, "yes", 0),
	BOOL("replica-read-only", replica_read_only, "yes", SETTING_FIXED),
	BOOL("slave-read-only", replica_read_only, "yes", SETTING_FIXED | SETTING_ALIAS),
	BOOL("replica-serve-stale-data", replica_serve_stale_data, "yes", 0),
	BOOL("slave-serve-stale-data", replica_serve_stale_data, "yes", SETTING_ALIAS),
	INT("repl-timeout", repl_timeout_s, "60", 1, INT32_MAX, 0),
	INT("repl-ping-replica-period", repl_ping_period_s, "10", 1, 3600, 0),
	INT("repl-ping-slave-period", repl_ping_period_s, "10", 1, 3600, SETTING_ALIAS),
	BYTES("repl-max-bandwidth", repl_max_bandwidth, "0", 0, 1024 * GIB, 0),
	INT("min-replicas-to-write", min_replicas_to_write, "0", 0, 64, 0),
	INT("min-slaves-to-write", min_replicas_to_write, "0", 0, 64, SETTING_ALIAS),
	INT("min-replicas-max-lag", min_replicas_max_lag_s, "10", 0, INT32_MAX, 0),
	INT("min-slaves-max-lag", min_replicas_max_lag_s, "10", 0, INT32_MAX, SETTING_ALIAS),
	INT("min-replicas-to-ack", min_replicas_to_ack, "0", 0, 16, 0),
	INT("follower-max-absence", follower_max_absence_s, "604800", 0, 365 * 86400, 0),

	TEXT("warm-dir", warm_dir, "", SETTING_IMMUTABLE),
	INT("tier-interval", tier_interval_s, "60", 0, SOFT_SECONDS_MAX, 0),
	BYTES("tier-bandwidth", tier_bandwidth, "64mb", 64 << 10, 64 * GIB, 0),

	BYTES("image-max-bytes", image_max_bytes, "128mb", 1024, 512 * MIB, 0),
	INT("image-max-pixels", image_max_pixels, "100000000", 1, 10000000000, 0),
	INT("image-max-side", image_max_side, "32768", 1, 1000000, 0),
	INT("image-max-frames", image_max_frames, "300", 1, 100000, 0),
	INT("image-max-ratio", image_max_ratio, "1100", 1, 1000000, 0),
	INT("result-max-side", result_max_side, "8192", 1, 32768, 0),
	BOOL("analysis", analysis, "yes", 0),
	INT("analysis-concurrency", analysis_concurrency, "1", 1, 64, 0),
	TEXT("worker-dir", worker_dir, "", SETTING_IMMUTABLE),
	INT("workers", worker_count, "2", 1, 64, SETTING_IMMUTABLE),
	INT("worker-queue", worker_queue, "256", 1, 65536, 0),
	INT("worker-deadline", worker_deadline_ms, "10000", 100, 600000, 0),
	INT("worker-jobs-max", worker_jobs_max, "10000", 1, 1000000000, 0),
	BYTES("worker-memory", worker_memory, "1536mb", 256 * MIB, 64 * GIB, SETTING_IMMUTABLE),
	BYTES("worker-output", worker_output, "32mb", MIB, GIB, SETTING_IMMUTABLE),

	INT("search-slice", search_slice_us, "250", 50, 10000, 0),
	INT("search-timeout", search_timeout_ms, "500", 0, 600000, 0),

	{"client-output-buffer-limit", SETTING_OUTPUT, 0, AT(output_limits),
	    "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", 0, 0, NULL},
	{"notify-keyspace-events", SETTING_EVENTS, 0, AT(notify_events), "", 0, 0, NULL},
	INT("tracking-table-max-keys", tracking_table_max_keys, "1000000", 0, INT64_MAX, 0),
	BYTES("pubsub-output-limit", pubsub_limit, "32mb", 0, OUTPUT_MAX, 0),
	BYTES("pubsub-output-soft-limit", pubsub_soft_limit, "8mb", 0, OUTPUT_MAX, 0),
	INT("pubsub-output-soft-seconds", pubsub_soft_seconds, "60", 0, 86400, 0),

	INT("slowlog-log-slower-than", slowlog_log_slower_than, "10000", -1, INT64_MAX, 0),
	INT("slowlog-max-len", slowlog_max_len, "128", 0, 100000, 0),
	BOOL("latency-tracking", latency_tracking, "yes", 0),
	TEXT("latency-tracking-info-percentiles", latency_percentiles, "50 99 99.9", SETTING_FIXED),
	INT("latency-monitor-threshold", latency_monitor_threshold, "0", 0, INT64_MAX, 0),
	BOOL("hide-user-data-from-log", hide_user_data_from_log, "no", 0),

	KEPT_INT("hz", "10", 0, INT32_MAX),
	KEPT_BOOL("dynamic-hz", "yes"),
	KEPT_BOOL("activerehashing", "yes"),
	KEPT_INT("active-expire-effort", "1", 1, 10),
	KEPT_BOOL("activedefrag", "no"),
	KEPT_INT("active-defrag-cycle-min", "1", 1, 99),
	KEPT_INT("active-defrag-cycle-max", "25", 1, 99),
	KEPT_BYTES("active-defrag-ignore-bytes", "100mb", 1),
	KEPT_INT("active-defrag-max-scan-fields", "1000", 1, INT64_MAX),
	KEPT_INT("active-defrag-threshold-lower", "10", 0, 1000),
	KEPT_INT("active-defrag-threshold-upper", "100", 0, 1000),
	KEPT_BOOL("jemalloc-bg-thread", "yes"),
	KEPT_INT("maxmemory-eviction-tenacity", "10", 0, 100),
	KEPT_BOOL("lazyfree-lazy-eviction", "yes"),
	KEPT_BOOL("lazyfree-lazy-expire", "yes"),
	KEPT_BOOL("lazyfree-lazy-server-del", "yes"),
	KEPT_BOOL("lazyfree-lazy-user-del", "yes"),
	KEPT_BOOL("lazyfree-lazy-user-flush", "yes"),
	KEPT_INT("io-threads", "1", 1, 128),
	KEPT_BOOL("io-threads-do-reads", "no"),
	KEPT_INT("list-compress-depth", "0", 0, INT32_MAX),
	KEPT_BYTES("hll-sparse-max-bytes", "3000", 0),
	KEPT_BYTES("stream-node-max-bytes", "4kb", 0),
	KEPT_INT("stream-node-max-entries", "100", 0, INT64_MAX),
	KEPT_INT("busy-reply-threshold", "5000", 0, INT64_MAX),
	KEPT_INT("lua-time-limit", "5000", 0, INT64_MAX),
	KEPT_ENUM("sanitize-dump-payload", "no", words_sanitize),

	TEXT("save", save, "", SETTING_KEPT),
	KEPT_BOOL("stop-writes-on-bgsave-error", "yes"),
	KEPT_BOOL("rdbcompression", "yes"),
	KEPT_BOOL("rdbchecksum", "yes"),
	KEPT_BOOL("rdb-del-sync-files", "no"),
	KEPT_BOOL("rdb-save-incremental-fsync", "yes"),
	TEXT("dbfilename", dbfilename, "dump.rdb", SETTING_KEPT),
	TEXT("appendfilename", appendfilename, "appendonly.aof", SETTING_KEPT),
	TEXT("appenddirname", appenddirname, "appendonlydir", SETTING_KEPT),
	KEPT_BOOL("no-appendfsync-on-rewrite", "no"),
	KEPT_INT("auto-aof-rewrite-percentage", "100", 0, INT32_MAX),
	KEPT_BYTES("auto-aof-rewrite-min-size", "64mb", 0),
	KEPT_BOOL("aof-load-truncated", "yes"),
	KEPT_BOOL("aof-use-rdb-preamble", "yes"),
	KEPT_BOOL("aof-timestamp-enabled", "no"),
	KEPT_BOOL("aof-rewrite-incremental-fsync", "yes"),

	KEPT_BYTES("repl-backlog-size", "1mb", 1),
	KEPT_INT("repl-backlog-ttl", "3600", 0, INT64_MAX),
	KEPT_BOOL("repl-disable-tcp-nodelay", "no"),
	KEPT_BOOL("repl-diskless-sync", "yes"),
	KEPT_INT("repl-diskless-sync-delay", "5", 0, INT32_MAX),
	KEPT_INT("repl-diskless-sync-max-replicas", "0", 0, INT32_MAX),
	KEPT_ENUM("repl-diskless-load", "disabled", words_diskless),
	KEPT_BOOL("replica-lazy-flush", "yes"),
	KEPT_BOOL("slave-lazy-flush", "yes"),
	KEPT_BOOL("replica-ignore-maxmemory", "yes"),
	KEPT_BOOL("slave-ignore-maxmemory", "yes"),

	KEPT_BOOL("always-show-logo", "no"),
	KEPT_BOOL("set-proc-title", "yes"),
	TEXT("proc-title-template", proc_title_template, "{title} {listen-addr} {server-mode}", SETTING_KEPT),
	KEPT_BOOL("crash-log-enabled", "yes"),
	KEPT_BOOL("crash-memcheck-enabled", "yes"),
	KEPT_BOOL("disable-thp", "yes"),
	KEPT_ENUM("oom-score-adj", "no", words_oom),
	TEXT("oom-score-adj-values", oom_score_adj_values, "0 200 800", SETTING_KEPT),
	KEPT_INT("shutdown-timeout", "10", 0, INT32_MAX),
	KEPT_ENUM("supervised", "no", words_supervised),
	KEPT_BOOL("syslog-enabled", "no"),
	TEXT("syslog-ident", syslog_ident, "redis", SETTING_KEPT),
	TEXT("syslog-facility", syslog_facility, "local0", SETTING_KEPT),
	TEXT("locale-collate", locale_collate, "", SETTING_KEPT),
};

_Static_assert(__COUNTER__ - KEPT_FIRST <= SETTINGS_KEPT, "each kept setting has a place");

const size_t settings_count = ARRAY_COUNT(settings_table);

const struct setting *settings_find(struct span name)
{
	for (size_t i = 0; i < settings_count; i++)
		if (span_is(name, settings_table[i].name))
			return &settings_table[i];
	return NULL;
}

static void *setting_at(const struct settings *settings, const struct setting *setting)
{
	return (char *)(uintptr_t)settings + setting->offset;
}

static enum err setting_set_enum(struct settings *settings, const struct setting *setting,
    struct span value, const char **why)
{
	int64_t *out = setting_at(settings, setting);
	for (int64_t i = 0; setting->words[i] != NULL; i++) {
		if (span_is(value, setting->words[i])) {
			*out = i;
			return OK;
		}
	}
	size_t room = sizeof(settings->why);
	int len = snprintf(settings->why, room, "argument(s) must be one of the following: ");
	for (size_t i = 0; setting->words[i] != NULL; i++)
		len += snprintf(settings->why + len, room - (size_t)len, "%s%s", i > 0 ? ", " : "",
		    setting->words[i]);
	*why = settings->why;
	return ERR_INVALID;
}

/* The number that `value` says, in whatever notation this setting uses. */
static bool setting_number(const struct setting *setting, struct span value, int64_t *out)
{
	if (setting->kind == SETTING_INT)
		return number_parse_i64(value, out);
	if (setting->kind == SETTING_BYTES) {
		uint64_t bytes;
		if (!number_parse_bytes(value, &bytes) || bytes > INT64_MAX)
			return false;
		*out = (int64_t)bytes;
		return true;
	}
	*out = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '7' || i > 4)
			return false;
		*out = *out * 8 + (value.ptr[i] - '0');
	}
	return value.len > 0;
}

/* Redis's letters, and `i` for images. `A` stands for all but m and n. */
static const struct { char letter; unsigned bit; } event_letters[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING}, {'l', NOTIFY_LIST}, {'s', NOTIFY_SET},
    {'h', NOTIFY_HASH}, {'z', NOTIFY_ZSET}, {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
    {'t', NOTIFY_STREAM}, {'d', NOTIFY_MODULE}, {'i', NOTIFY_IMAGE},
    {'K', NOTIFY_KEYSPACE}, {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_MISS}, {'n', NOTIFY_NEW},
};
enum { NOTIFY_ALL = (NOTIFY_IMAGE * 2 - 1) & ~(NOTIFY_KEYSPACE | NOTIFY_KEYEVENT) };

static bool events_parse(struct span text, int64_t *out)
{
	unsigned events = 0;
	for (size_t i = 0; i < text.len; i++) {
		size_t k = 0;
		while (k < ARRAY_COUNT(event_letters) && event_letters[k].letter != (char)text.ptr[i])
			k++;
		if (k < ARRAY_COUNT(event_letters))
			events |= event_letters[k].bit;
		else if (text.ptr[i] == 'A')
			events |= NOTIFY_ALL;
		else
			return false;
	}
	*out = events;
	return true;
}

static void events_write(unsigned events, struct buf *out)
{
	bool all = (events & NOTIFY_ALL) == NOTIFY_ALL;
	if (all)
		buf_append_u8(out, 'A');
	for (size_t k = 0; k < ARRAY_COUNT(event_letters); k++)
		if ((events & event_letters[k].bit) && (!all || !(event_letters[k].bit & NOTIFY_ALL)))
			buf_append_u8(out, (uint8_t)event_letters[k].letter);
}

static enum err setting_set_text(struct settings *settings, const struct setting *setting,
    struct span value, const char **why)
{
	char *out = setting_at(settings, setting);
	if (value.len >= SETTING_TEXT_MAX || (value.len > 0 && memchr(value.ptr, 0, value.len) != NULL)) {
		*why = "argument is too long or holds a NUL byte";
		return ERR_INVALID;
	}
	if (value.len > 0)
		memcpy(out, value.ptr, value.len);
	out[value.len] = 0;
	return OK;
}

/* The next word of `left`, which it is cut from; empty: there is none. */
static struct span next_word(struct span *left)
{
	size_t from = 0, to;
	while (from < left->len && left->ptr[from] == ' ')
		from++;
	for (to = from; to < left->len && left->ptr[to] != ' ';)
		to++;
	struct span word = span_slice(*left, from, to - from);
	*left = span_slice(*left, to, left->len);
	return word;
}

static void output_limits(const struct settings *settings, struct output_limit limits[OUTPUT_CLASSES])
{
	limits[OUTPUT_NORMAL] = settings->output_limits[OUTPUT_NORMAL];
	limits[OUTPUT_REPLICA] = settings->output_limits[OUTPUT_REPLICA];
	limits[OUTPUT_PUBSUB] = (struct output_limit){
	    settings->pubsub_limit, settings->pubsub_soft_limit, settings->pubsub_soft_seconds};
}

/* "class hard soft seconds", of one class or more; one that is not named keeps its limits. */
static enum err setting_set_output(struct settings *settings, struct span value, const char **why)
{
	struct output_limit limits[OUTPUT_CLASSES];
	output_limits(settings, limits);
	for (struct span class = next_word(&value); class.len > 0; class = next_word(&value)) {
		struct span hard = next_word(&value), soft = next_word(&value), seconds = next_word(&value);
		struct output_limit *limit = &limits[OUTPUT_PUBSUB];
		if (span_is(class, "normal"))
			limit = &limits[OUTPUT_NORMAL];
		else if (span_is(class, "slave") || span_is(class, "replica"))
			limit = &limits[OUTPUT_REPLICA];
		*why = "Wrong number of arguments in buffer limit configuration.";
		if (seconds.len == 0)
			return ERR_INVALID;
		*why = "Invalid client class specified in buffer limit configuration.";
		if (limit == &limits[OUTPUT_PUBSUB] && !span_is(class, "pubsub"))
			return ERR_INVALID;
		*why = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
		if (!number_parse_bytes(hard, &limit->hard) || !number_parse_bytes(soft, &limit->soft) ||
		    limit->hard > OUTPUT_MAX || limit->soft > OUTPUT_MAX ||
		    !number_parse_range(seconds, 0, SOFT_SECONDS_MAX, &limit->seconds))
			return ERR_INVALID;
	}
	memcpy(settings->output_limits, limits, sizeof(settings->output_limits));
	settings->pubsub_limit = limits[OUTPUT_PUBSUB].hard;
	settings->pubsub_soft_limit = limits[OUTPUT_PUBSUB].soft;
	settings->pubsub_soft_seconds = limits[OUTPUT_PUBSUB].seconds;
	return OK;
}

static void output_write(const struct settings *settings, struct buf *out)
{
	static const char *const classes[] = {"normal", " slave", " pubsub"};
	struct output_limit limits[OUTPUT_CLASSES];
	output_limits(settings, limits);
	for (size_t i = 0; i < OUTPUT_CLASSES; i++)
		buf_printf(out, "%s %" PRIu64 " %" PRIu64 " %" PRId64, classes[i], limits[i].hard,
		    limits[i].soft, limits[i].seconds);
}

/* Pairs of seconds and changes, as Redis has them. */
static bool save_is_valid(struct span value)
{
	int64_t seconds, changes;
	for (struct span word = next_word(&value); word.len > 0; word = next_word(&value))
		if (!number_parse_range(word, 1, INT32_MAX, &seconds) ||
		    !number_parse_range(next_word(&value), 0, INT32_MAX, &changes))
			return false;
	return true;
}

enum err settings_set(struct settings *settings, const struct setting *setting, struct span value,
    const char **why)
{
	int64_t number;
	void *out = setting_at(settings, setting);
	switch (setting->kind) {
	case SETTING_BOOL:
		if (!span_is(value, "yes") && !span_is(value, "no")) {
			*why = "argument must be 'yes' or 'no'";
			return ERR_INVALID;
		}
		*(bool *)out = span_is(value, "yes");
		return OK;
	case SETTING_ENUM:
		return setting_set_enum(settings, setting, value, why);
	case SETTING_TEXT:
		*why = "Invalid save parameters";
		if (setting->offset == AT(save) && !save_is_valid(value))
			return ERR_INVALID;
		return setting_set_text(settings, setting, value, why);
	case SETTING_OUTPUT:
		return setting_set_output(settings, value, why);
	case SETTING_EVENTS:
		*why = "Invalid event class character. Use 'Ag$lshzxeKEtmdni'.";
		return events_parse(value, out) ? OK : ERR_INVALID;
	case SETTING_INT:
	case SETTING_BYTES:
	case SETTING_OCTAL:
		break;
	}
	if (!setting_number(setting, value, &number)) {
		*why = setting->kind == SETTING_BYTES ? "argument must be a memory value"
		                                      : "argument couldn't be parsed into an integer";
		return ERR_INVALID;
	}
	if (number < setting->low || number > setting->high) {
		snprintf(settings->why, sizeof(settings->why), "argument must be between %" PRId64 " and %" PRId64 " inclusive",
		    setting->low, setting->high);
		*why = settings->why;
		return ERR_INVALID;
	}
	if (setting->offset == AT(segment_bytes) && (number & (number - 1)) != 0) {
		*why = "argument must be a power of two";
		return ERR_INVALID;
	}
	*(int64_t *)out = number;
	return OK;
}

void settings_get(const struct settings *settings, const struct setting *setting, struct buf *out)
{
	const void *at = setting_at(settings, setting);
	switch (setting->kind) {
	case SETTING_BOOL:
		buf_append_text(out, *(const bool *)at ? "yes" : "no");
		break;
	case SETTING_ENUM:
		buf_append_text(out, setting->words[*(const int64_t *)at]);
		break;
	case SETTING_TEXT:
		buf_append_text(out, at);
		break;
	case SETTING_EVENTS:
		events_write((unsigned)*(const int64_t *)at, out);
		break;
	case SETTING_OUTPUT:
		output_write(settings, out);
		break;
	case SETTING_OCTAL:
		buf_printf(out, "%llo", (unsigned long long)*(const int64_t *)at);
		break;
	case SETTING_INT:
	case SETTING_BYTES:
		buf_printf(out, "%lld", (long long)*(const int64_t *)at);
		break;
	}
}

const char *settings_word(const struct settings *settings, const char *name)
{
	const struct setting *setting = settings_find(span_text(name));
	ASSERT(setting != NULL && setting->kind == SETTING_ENUM);
	return setting->words[*(const int64_t *)setting_at(settings, setting)];
}

bool settings_equal(const struct settings *a, const struct settings *b, const struct setting *setting)
{
	const void *left = setting_at(a, setting), *right = setting_at(b, setting);
	switch (setting->kind) {
	case SETTING_BOOL:
		return *(const bool *)left == *(const bool *)right;
	case SETTING_TEXT:
		return strcmp(left, right) == 0;
	case SETTING_OUTPUT:
		return memcmp(left, right, sizeof(a->output_limits)) == 0 &&
		    a->pubsub_limit == b->pubsub_limit && a->pubsub_soft_limit == b->pubsub_soft_limit &&
		    a->pubsub_soft_seconds == b->pubsub_soft_seconds;
	case SETTING_INT:
	case SETTING_BYTES:
	case SETTING_ENUM:
	case SETTING_OCTAL:
	case SETTING_EVENTS:
		break;
	}
	return *(const int64_t *)left == *(const int64_t *)right;
}

void settings_init(struct settings *settings)
{
	const char *why = NULL;
	*settings = (struct settings){0};
	for (size_t i = 0; i < settings_count; i++) {
		enum err err = settings_set(settings, &settings_table[i], span_text(settings_table[i].initial), &why);
		ASSERT(err == OK);
	}
}

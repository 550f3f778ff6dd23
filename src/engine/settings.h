/* engine/settings.h: every setting, as one struct of plain values, and the table that
 * names them.
 *
 * The table (settings.c) is the only list: the config file, the command line, CONFIG GET,
 * SET and REWRITE are made from it. Names that Redis has keep Redis's names and values.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

enum { SETTING_TEXT_MAX = 512, SETTINGS_KEPT = 80 };

/* client-output-buffer-limit */
enum { OUTPUT_NORMAL, OUTPUT_REPLICA, OUTPUT_PUBSUB, OUTPUT_CLASSES };
struct output_limit {
	uint64_t hard, soft;
	int64_t  seconds;
};

struct settings {
	/* network */
	char     bind[SETTING_TEXT_MAX];
	int64_t  port, tcp_backlog, tcp_keepalive, timeout_s, maxclients;
	char     unixsocket[SETTING_TEXT_MAX];
	int64_t  unixsocketperm;
	bool     protected_mode;
	char     requirepass[SETTING_TEXT_MAX], aclfile[SETTING_TEXT_MAX];
	int64_t  acllog_max_len, acl_pubsub, debug_command;
	int64_t  io_backend;
	uint64_t proto_max_bulk_len, client_query_buffer_limit, client_output_limit;
	/* TLS */
	int64_t  tls_port, tls_auth_clients, tls_session_cache_size, tls_session_cache_timeout_s;
	char     tls_cert_file[SETTING_TEXT_MAX], tls_key_file[SETTING_TEXT_MAX];
	char     tls_key_file_pass[SETTING_TEXT_MAX], tls_client_key_file_pass[SETTING_TEXT_MAX];
	char     tls_client_cert_file[SETTING_TEXT_MAX], tls_client_key_file[SETTING_TEXT_MAX];
	char     tls_ca_cert_file[SETTING_TEXT_MAX], tls_ca_cert_dir[SETTING_TEXT_MAX];
	char     tls_dh_params_file[SETTING_TEXT_MAX], tls_protocols[SETTING_TEXT_MAX];
	char     tls_ciphers[SETTING_TEXT_MAX], tls_ciphersuites[SETTING_TEXT_MAX];
	bool     tls_prefer_server_ciphers, tls_session_caching, tls_cluster;
	bool     tls_replication, tls_replication_check_host;
	/* general */
	char     dir[SETTING_TEXT_MAX], logfile[SETTING_TEXT_MAX], pidfile[SETTING_TEXT_MAX];
	int64_t  loglevel, databases;
	bool     daemonize;
	bool     cluster_enabled;
	uint64_t maxmemory, maxmemory_clients;
	int64_t  maxmemory_policy, maxmemory_samples, lfu_log_factor, lfu_decay_time;
	bool     appendonly;
	/* small forms of collections */
	int64_t  hash_listpack_entries, hash_listpack_value, list_listpack_size;
	int64_t  set_intset_entries, set_listpack_entries, set_listpack_value;
	int64_t  zset_listpack_entries, zset_listpack_value;
	/* store */
	int64_t  appendfsync, cache_appendfsync;
	uint64_t segment_bytes, disk_bytes_max, body_memory, hot_memory, derivative_memory,
	    meta_memory;
	int64_t  spare_segments, batch_delay_ms, batches_in_flight;
	int64_t  checkpoint_interval_s, checkpoint_idle_s;
	uint64_t checkpoint_bytes;
	uint64_t rewrite_slice_bytes;
	int64_t  flush_slice_keys;
	uint64_t load_first_bytes;        /* larger checkpoints are loaded behind; 0: none */
	int64_t  history_window_s, scrub_interval_s;
	uint64_t scrub_bytes_per_second;
	char     open_at[SETTING_TEXT_MAX], rewind_to[SETTING_TEXT_MAX];
	bool     readonly, dedupe;
	/* replication */
	char     replicaof[SETTING_TEXT_MAX], masterauth[SETTING_TEXT_MAX], masteruser[SETTING_TEXT_MAX];
	char     replica_announce_ip[SETTING_TEXT_MAX];
	int64_t  replica_announce_port, replica_priority;
	bool     replica_announced, replica_read_only, replica_serve_stale_data;
	int64_t  repl_timeout_s, repl_ping_period_s, min_replicas_to_write, min_replicas_max_lag_s;
	int64_t  min_replicas_to_ack, follower_max_absence_s;
	uint64_t repl_max_bandwidth;
	/* tiers */
	char     warm_dir[SETTING_TEXT_MAX];
	int64_t  tier_interval_s;
	uint64_t tier_bandwidth;
	/* images */
	uint64_t image_max_bytes, image_max_pixels, image_max_side, image_max_frames,
	    image_max_ratio;
	uint64_t result_max_side;
	char     worker_dir[SETTING_TEXT_MAX];
	int64_t  worker_count, worker_queue, worker_deadline_ms, worker_jobs_max;
	uint64_t worker_memory, worker_output;
	bool     analysis;
	int64_t  analysis_concurrency;
	/* search */
	int64_t  search_slice_us, search_timeout_ms;
	/* messages */
	int64_t  notify_events;           /* NOTIFY_* of engine/pubsub.h */
	int64_t  tracking_table_max_keys;
	uint64_t pubsub_limit, pubsub_soft_limit;
	int64_t  pubsub_soft_seconds;
	struct output_limit output_limits[2];      /* of OUTPUT_NORMAL and OUTPUT_REPLICA: kept only */
	/* observation */
	int64_t  slowlog_log_slower_than, slowlog_max_len, latency_monitor_threshold;
	bool     latency_tracking;
	char     latency_percentiles[SETTING_TEXT_MAX];
	bool     hide_user_data_from_log;
	/* what Redis has and nothing here asks for: kept for those who set and read it */
	int64_t  kept[SETTINGS_KEPT];
	char     save[SETTING_TEXT_MAX], dbfilename[SETTING_TEXT_MAX], appendfilename[SETTING_TEXT_MAX];
	char     appenddirname[SETTING_TEXT_MAX], proc_title_template[SETTING_TEXT_MAX];
	char     oom_score_adj_values[SETTING_TEXT_MAX], syslog_ident[SETTING_TEXT_MAX];
	char     syslog_facility[SETTING_TEXT_MAX], locale_collate[SETTING_TEXT_MAX];
	char     why[256];              /* of settings_set: limits or words that it names */
};

enum setting_kind {
	SETTING_BOOL, SETTING_INT, SETTING_BYTES, SETTING_TEXT, SETTING_ENUM,
	SETTING_OCTAL, SETTING_EVENTS, SETTING_OUTPUT,
};

enum {
	SETTING_IMMUTABLE = 1,          /* only at start */
	SETTING_SECRET = 2,             /* not shown in logs */
	SETTING_FIXED = 4,              /* a client may ask or set the one value that holds here */
	SETTING_TLS = 16,               /* taken over by loading certificates again */
	SETTING_KEPT = 32,              /* without effect here */
	SETTING_ALIAS = 8,              /* another name of a row above it */
};

struct setting {
	const char        *name;
	enum setting_kind  kind;
	unsigned           flags;
	size_t             offset;      /* in struct settings */
	const char        *initial;
	int64_t            low, high;   /* numbers, inclusive */
	const char *const *words;       /* enum: values in order, NULL-terminated */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

void settings_init(struct settings *settings);                 /* every initial value */
const struct setting *settings_find(struct span name);         /* NULL: no such setting */

/* Sets one value from text. ERR_INVALID: `why` (static or in `settings`) says what is wrong. */
MUST_CHECK enum err settings_set(struct settings *settings, const struct setting *setting,
    struct span value, const char **why);
/* Appends the value as text. */
void settings_get(const struct settings *settings, const struct setting *setting, struct buf *out);

/* The word that an ENUM setting of this name stands at. */
const char *settings_word(const struct settings *settings, const char *name);

/* Do both hold the same value of this setting? */
bool settings_equal(
    const struct settings *a, const struct settings *b, const struct setting *setting);

/* One line or a whole file of "name value" lines, with comments and quotes as in redis.conf.
 * On error `why` holds "line n: ..." (why_bytes long). */
MUST_CHECK enum err settings_parse(
    struct settings *settings, struct span text, char *why, size_t why_bytes);

/* The text of the old file with every changed value replaced or appended (CONFIG REWRITE). */
void settings_rewrite(const struct settings *settings, struct span old, struct buf *out);

enum { IO_BACKEND_AUTO, IO_BACKEND_URING, IO_BACKEND_EPOLL };

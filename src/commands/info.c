/* commands/info.c: INFO. Redis's sections with Redis's field names, so that every exporter
 * reads them, and Tintype's own: store, images, search, tiers. What Redis counts and has no
 * counterpart here is shown as 0.
 */
#include "commands/handlers.h"
#include "commands/info.h"
#include "commands/replication.h"

#include "engine/index/analysis.h"
#include "engine/checkpoint.h"
#include "engine/databases.h"
#include "engine/index/fields.h"
#include "engine/flush.h"
#include "engine/image.h"
#include "engine/internal.h"
#include "engine/index/kept_index.h"

#include <stdlib.h>

typedef unsigned long long ull;

static void human(uint64_t bytes, struct buf *out)
{
	static const char units[] = "BKMGT";
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 2 < sizeof(units)) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		buf_printf(out, "%lluB", (ull)bytes);
	else
		buf_printf(out, "%.2f%c", value, units[unit]);
}

static void field_human(struct buf *out, const char *name, uint64_t bytes)
{
	buf_printf(out, "%s:%llu\r\n%s_human:", name, (ull)bytes, name);
	human(bytes, out);
	buf_append_text(out, "\r\n");
}

static void info_server(struct engine *engine, struct buf *out)
{
	struct io_usage usage;
	uint64_t up_s = (io_now_us(engine->io) - engine->started_us) / 1000000;
	uint64_t now_us = engine_now_ms(engine) * 1000;
	io_get_usage(engine->io, &usage);
	buf_printf(out,
	    "redis_version:" REDIS_VERSION "\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
	    "redis_build_id:0\r\nredis_mode:standalone\r\nserver_name:tintype\r\n"
	    "tintype_version:" TINTYPE_VERSION
	    "\r\nos:%s\r\narch_bits:64\r\nmonotonic_clock:POSIX clock_gettime\r\n"
	    "multiplexing_api:%s\r\natomicvar_api:c11-builtin\r\ngcc_version:%d.%d.%d\r\n",
	    usage.system, io_backend_name(engine->io), __GNUC__, __GNUC_MINOR__,
	    __GNUC_PATCHLEVEL__);
	buf_printf(out,
	    "process_id:%lld\r\nprocess_supervised:no\r\nrun_id:%s\r\ntcp_port:%u\r\nserver_time_usec:%llu\r\n"
	    "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\nhz:10\r\nconfigured_hz:10\r\nlru_clock:%llu\r\n"
	    "executable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\n",
	    (long long)usage.pid, engine->run_id, engine->events->port(engine->events_ctx),
	    (ull)now_us, (ull)up_s, (ull)(up_s / 86400), (ull)(now_us / 1000000 & 0xffffff),
	    engine->executable, engine->config_file);
	info_listeners(engine, out);
}

static void info_clients(struct engine *engine, struct buf *out)
{
	uint64_t in_max = 0, out_max = 0, blocked = waits_count(engine);
	struct tracking_stats tracking;
	tracking_get_stats(engine, &tracking);
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		const struct session *session = LIST_OF(at, struct session, link);
		in_max = session->input_bytes > in_max ? session->input_bytes : in_max;
		out_max = session->out.bytes.len > out_max ? session->out.bytes.len : out_max;
		blocked += session->blocked != NULL;
	}
	buf_printf(out,
	    "connected_clients:%u\r\ncluster_connections:0\r\nmaxclients:%lld\r\n"
	    "client_recent_max_input_buffer:%llu\r\nclient_recent_max_output_buffer:%llu\r\n"
	    "blocked_clients:%llu\r\ntracking_clients:%llu\r\nclients_in_timeout_table:0\r\n"
	    "total_blocking_keys:0\r\ntotal_blocking_keys_on_nokey:0\r\n",
	    engine->session_count, (long long)engine->settings->maxclients, (ull)in_max,
	    (ull)out_max, (ull)blocked, (ull)tracking.clients);
}

/* What malloc says of itself, under the names that exporters know. */
static void info_allocator(uint64_t resident, struct buf *out)
{
	struct allocator_figures figures;
	allocator_get_figures(&figures);
	ull allocated = figures.allocated, active = figures.active, mapped = figures.resident;
	buf_printf(out,
	    "allocator_allocated:%llu\r\nallocator_active:%llu\r\nallocator_resident:%llu\r\n"
	    "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%llu\r\nallocator_rss_ratio:%.2f\r\n"
	    "allocator_rss_bytes:%lld\r\nrss_overhead_ratio:%.2f\r\nrss_overhead_bytes:%lld\r\n",
	    allocated, active, mapped, (double)active / (double)(allocated | 1), active - allocated,
	    (double)mapped / (double)(active | 1), (long long)(mapped - active),
	    (double)resident / (double)(mapped | 1), (long long)(resident - mapped));
}

/* There are none; exporters ask all the same. */
static void info_scripts(struct buf *out)
{
	static const char *const sizes[] = {
	    "used_memory_lua", "used_memory_vm_total", "used_memory_scripts"};
	buf_append_text(out, "used_memory_vm_eval:0\r\nused_memory_scripts_eval:0\r\n"
	    "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\nnumber_of_libraries:0\r\n"
	    "used_memory_vm_functions:0\r\nused_memory_functions:0\r\n");
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
		field_human(out, sizes[i], 0);
}

static void info_memory(struct engine *engine, struct buf *out)
{
	struct io_usage usage;
	struct flushed_stats flushed;
	uint64_t used = engine_used_memory(engine), overhead = 0;
	flushed_get_stats(engine, &flushed);
	io_get_usage(engine->io, &usage);
	if (used > engine->used_memory_peak)
		engine->used_memory_peak = used;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		overhead += engine->directories[i].overhead.bytes;
	field_human(out, "used_memory", used);
	field_human(out, "used_memory_rss", usage.resident_bytes);
	field_human(out, "used_memory_peak", engine->used_memory_peak);
	buf_printf(out,
	    "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%llu\r\nused_memory_startup:0\r\n"
	    "used_memory_dataset:%llu\r\nused_memory_dataset_perc:%.2f%%\r\n",
	    100.0 * (double)used /
	        (double)(engine->used_memory_peak == 0 ? 1 : engine->used_memory_peak),
	    (ull)overhead, (ull)engine->memory.values.bytes,
	    100.0 * (double)engine->memory.values.bytes / (double)(used == 0 ? 1 : used));
	field_human(out, "total_system_memory", usage.total_system_bytes);
	info_scripts(out);
	field_human(out, "maxmemory", engine->settings->maxmemory);
	buf_printf(out,
	    "maxmemory_policy:%s\r\nmem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%lld\r\n"
	    "mem_not_counted_for_evict:%llu\r\nmem_replication_backlog:0\r\n"
	    "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n"
	    "mem_clients_normal:%llu\r\nmem_cluster_links:0\r\nmem_aof_buffer:0\r\nmem_allocator:%s\r\n"
	    "active_defrag_running:0\r\nlazyfree_pending_objects:%llu\r\nlazyfreed_objects:%llu\r\n"
	    "flush_slice_us_max:%llu\r\n",
	    settings_word(engine->settings, "maxmemory-policy"),
	    (double)usage.resident_bytes / (double)(used == 0 ? 1 : used),
	    (long long)usage.resident_bytes - (long long)used, (ull)engine->memory.store.bytes,
	    (ull)(engine->memory.sessions.bytes + engine->memory.replies.bytes), "jemalloc",
	    (ull)flushed.pending, (ull)flushed.freed, (ull)flushed.slice_us_max);
	buf_printf(out,
	    "memory_values:%llu\r\nmemory_directory:%llu\r\nmemory_bodies:%llu\r\nmemory_search:%llu\r\n"
	    "memory_store:%llu\r\nmemory_images:%llu\r\nmemory_sessions:%llu\r\nmemory_replies:%llu\r\n",
	    (ull)engine->memory.values.bytes, (ull)overhead, (ull)body_pool_used(engine->pool),
	    (ull)engine->memory.search.bytes, (ull)engine->memory.store.bytes,
	    (ull)engine->memory.images.bytes, (ull)engine->memory.sessions.bytes,
	    (ull)engine->memory.replies.bytes);
	info_allocator(usage.resident_bytes, out);
}

static void info_loading(struct engine *engine, struct buf *out)
{
	struct store_progress progress;
	store_get_progress(engine->store, &progress);
	double seconds = (double)(io_now_us(engine->io) - engine->started_us) / 1e6;
	double share = progress.total_bytes == 0
	    ? 0 : (double)progress.loaded_bytes / (double)progress.total_bytes;
	buf_printf(out,
	    "loading_start_time:%lld\r\nloading_total_bytes:%llu\r\nloading_rdb_used_mem:0\r\n"
	    "loading_loaded_bytes:%llu\r\nloading_loaded_perc:%.2f\r\nloading_eta_seconds:%.0f\r\n",
	    (long long)(engine->started_ms / 1000), (ull)progress.total_bytes,
	    (ull)progress.loaded_bytes, 100 * share,
	    share > 0 ? seconds * (1 - share) / share : 1);
}

static void info_persistence(struct engine *engine, struct buf *out)
{
	struct store_stats stats;
	struct checkpoint_stats saves;
	store_get_stats(engine->store, &stats);
	checkpoints_get_stats(engine, &saves);
	buf_printf(out,
	    "loading:%d\r\nasync_loading:%d\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
	    "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\n"
	    "current_save_keys_processed:0\r\ncurrent_save_keys_total:0\r\n"
	    "rdb_changes_since_last_save:%llu\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_save_time:%lld\r\n"
	    "rdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%lld\r\nrdb_current_bgsave_time_sec:%lld\r\n"
	    "rdb_saves:%llu\r\nrdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\nrdb_last_load_keys_loaded:%llu\r\n",
	    engine->loading, engine->partly || engine->reindex != NULL, (ull)saves.changes, saves.running,
	    (long long)saves.last_save_s, saves.failed ? "err" : "ok",
	    (long long)saves.last_duration_s, (long long)saves.current_duration_s,
	    (ull)saves.saves, (ull)stats.recovered_records);
	buf_printf(out,
	    "checkpoint_lsn:%llu\r\ncheckpoint_bytes_written:%llu\r\ncheckpoint_chunks_written:%llu\r\n"
	    "checkpoint_slice_us_max:%llu\r\n",
	    (ull)stats.checkpoint_lsn, (ull)stats.checkpoint_bytes, (ull)saves.chunks,
	    (ull)saves.slice_us_max);
	if (engine->loading)
		info_loading(engine, out);
	struct store_load_progress load;
	store_get_load(engine->store, &load);
	buf_printf(out, "load_chunks:%u\r\nload_chunks_left:%u\r\nload_chunks_damaged:%u\r\n",
	    load.chunks, load.left, load.damaged);
	buf_printf(out,
	    "aof_enabled:1\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
	    "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\naof_last_bgrewrite_status:ok\r\n"
	    "aof_rewrites:0\r\naof_rewrites_consecutive_failures:0\r\n"
	    "aof_last_write_status:%s\r\naof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
	    "module_fork_last_cow_size:0\r\naof_current_size:%llu\r\n",
	    store_state(engine->store) == OK ? "ok" : "err", (ull)stats.tier[TIER_HOT].bytes);
}

static void info_stats(struct engine *engine, struct buf *out)
{
	const struct engine_counters *counters = &engine->counters;
	const struct io_stats *io = io_get_stats(engine->io);
	struct tracking_stats tracking;
	tracking_get_stats(engine, &tracking);
	buf_printf(out,
	    "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\ninstantaneous_ops_per_sec:%llu\r\n"
	    "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\ntotal_net_repl_input_bytes:0\r\n"
	    "total_net_repl_output_bytes:0\r\ninstantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
	    "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\nrejected_connections:%llu\r\n",
	    (ull)counters->connections, (ull)counters->commands, (ull)engine->rates.commands,
	    (ull)io->bytes_received, (ull)io->bytes_sent, (double)engine->rates.input / 1024,
	    (double)engine->rates.output / 1024, (ull)counters->connections_rejected);
	buf_printf(out,
	    "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\nexpired_keys:%llu\r\n"
	    "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\nexpire_cycle_cpu_milliseconds:0\r\n"
	    "evicted_keys:%llu\r\nevicted_clients:%llu\r\n"
	    "total_eviction_exceeded_time:0\r\ncurrent_eviction_exceeded_time:0\r\n"
	    "keyspace_hits:%llu\r\nkeyspace_misses:%llu\r\npubsub_channels:%llu\r\npubsub_patterns:%llu\r\n"
	    "pubsubshard_channels:%llu\r\nclient_output_buffer_limit_disconnections:%llu\r\n",
	    (ull)counters->expired_keys, (ull)counters->evicted_keys, (ull)counters->evicted_clients,
	    (ull)counters->hits,
	    (ull)counters->misses,
	    (ull)pubsub_channels(engine, CHANNEL_PLAIN), (ull)pubsub_channels(engine, CHANNEL_PATTERN),
	    (ull)pubsub_channels(engine, CHANNEL_SHARD), (ull)counters->output_limit_closes);
	buf_printf(out,
	    "latest_fork_usec:0\r\ntotal_forks:0\r\nmigrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n"
	    "active_defrag_hits:0\r\nactive_defrag_misses:0\r\nactive_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\n"
	    "total_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\ntracking_total_keys:%llu\r\n"
	    "tracking_total_items:%llu\r\ntracking_total_prefixes:%llu\r\nunexpected_error_replies:0\r\n"
	    "total_error_replies:%llu\r\ndump_payload_sanitizations:0\r\n",
	    (ull)tracking.keys, (ull)tracking.items, (ull)tracking.prefixes, (ull)counters->errors);
	buf_printf(out,
	    "total_reads_processed:%llu\r\ntotal_writes_processed:%llu\r\nio_threaded_reads_processed:0\r\n"
	    "io_threaded_writes_processed:0\r\nreply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n"
	    "eventloop_cycles:%llu\r\nsystem_calls:%llu\r\ncompletion_overflows:%llu\r\nreceive_buffers_exhausted:%llu\r\n",
	    (ull)io->completed, (ull)io->submitted, (ull)counters->passes, (ull)io->enters,
	    (ull)io->cq_overflows, (ull)io->buffers_exhausted);
}

static void info_cpu(struct engine *engine, struct buf *out)
{
	struct io_usage usage;
	io_get_usage(engine->io, &usage);
	buf_printf(out,
	    "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\nused_cpu_sys_children:%.6f\r\nused_cpu_user_children:%.6f\r\n"
	    "used_cpu_sys_main_thread:%.6f\r\nused_cpu_user_main_thread:%.6f\r\n",
	    usage.cpu_system_s, usage.cpu_user_s, usage.cpu_system_children_s,
	    usage.cpu_user_children_s, usage.cpu_system_s, usage.cpu_user_s);
}

static void info_modules(struct engine *engine, struct buf *out)
{
	UNUSED(engine);
	UNUSED(out);                      /* the section is there and empty, as with Redis */
}

static void info_commandstats(struct engine *engine, struct buf *out)
{
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands_table[i];
		const struct command_counters *counters = command_counters_of(engine, command);
		if (counters->calls + counters->rejected == 0)
			continue;
		buf_printf(out,
		    "cmdstat_%s%s%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
		    command->parent != NULL ? command->parent : "",
		    command->parent != NULL ? "|" : "", command->name, (ull)counters->calls,
		    (ull)counters->us,
		    counters->calls == 0 ? 0.0 : (double)counters->us / (double)counters->calls,
		    (ull)counters->rejected, (ull)counters->failed);
	}
}

/* The bound below which this share of the calls stayed, in microseconds. */
static double latency_below(const struct command_counters *counters, double percent)
{
	uint64_t total = 0, seen = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		total += counters->buckets[i];
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += counters->buckets[i];
		if ((double)seen >= percent / 100 * (double)total)
			return (double)(UINT64_C(1) << i);
	}
	return 0;
}

static void info_latencystats(struct engine *engine, struct buf *out)
{
	if (!engine->settings->latency_tracking)
		return;
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands_table[i];
		const struct command_counters *counters = command_counters_of(engine, command);
		const char *at = engine->settings->latency_percentiles, *comma = ":";
		char *end;
		if (counters->calls == 0)
			continue;
		buf_printf(out, "latency_percentiles_usec_%s%s%s", command->parent != NULL ? command->parent : "",
		    command->parent != NULL ? "|" : "", command->name);
		for (double percent = strtod(at, &end); end != at; percent = strtod(at, &end)) {
			buf_printf(out, "%sp%.6g=%.3f", comma, percent, latency_below(counters, percent));
			comma = ",";
			at = end;
		}
		buf_append_text(out, "\r\n");
	}
}

static void info_errorstats(struct engine *engine, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_COUNT(engine->error_counts); i++)
		if (engine->error_counts[i].count > 0)
			buf_printf(out, "errorstat_%s:count=%llu\r\n", engine->error_counts[i].code,
			    (ull)engine->error_counts[i].count);
}

static void info_cluster(struct engine *engine, struct buf *out)
{
	UNUSED(engine);
	buf_append_text(out, "cluster_enabled:0\r\n");
}

static void info_keyspace(struct engine *engine, struct buf *out)
{
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		const struct directory *directory = &engine->directories[database_of(engine, i)];
		if (directory_count(directory) > 0)
			buf_printf(out, "db%u:keys=%llu,expires=%u,avg_ttl=0\r\n", i,
			    (ull)directory_count(directory), directory->expiry.count);
	}
}

static void info_cleaner(struct engine *engine, struct buf *out)
{
	struct store_stats stats;
	store_get_stats(engine->store, &stats);
	uint64_t written = stats.written_bytes - stats.zeroed_bytes;
	buf_printf(out,
	    "cleaner_state:%s\r\ncleaner_duty_percent:%u\r\ncleaner_victims:%llu\r\n"
	    "cleaner_segments_freed:%llu\r\ncleaner_copied_records:%llu\r\ncleaner_copied_bytes:%llu\r\n"
	    "cleaner_tombstones_kept:%llu\r\ncleaner_tombstones_dropped:%llu\r\n"
	    "cleaner_slice_us_max:%llu\r\n",
	    stats.cleaner.duty_percent > 0 ? "cleaning" : "resting", stats.cleaner.duty_percent,
	    (ull)stats.cleaner.victims, (ull)stats.cleaner.evacuated, (ull)stats.cleaner.records,
	    (ull)stats.cleaner.bytes, (ull)stats.cleaner.marks, (ull)stats.cleaner.marks_dropped,
	    (ull)stats.cleaner.slice_us_max);
	buf_printf(out,
	    "hot_segments_free:%llu\r\nhot_segments_max:%llu\r\nzeroed_bytes:%llu\r\n"
	    "write_amplification_log:%.3f\r\nwrite_amplification_cleaner:%.3f\r\n",
	    (ull)stats.cleaner.free_segments, (ull)stats.cleaner.total_segments,
	    (ull)stats.zeroed_bytes,
	    stats.appended_bytes == 0 ? 0.0 : (double)written / (double)stats.appended_bytes,
	    stats.appended_bytes == 0
	        ? 0.0
	        : 1 + (double)stats.cleaner.bytes / (double)stats.appended_bytes);
}

/* Of durable writes and syncs: how many took at least so many microseconds, and less than twice
 * that; then the bounds below which 50%, 99% and 99.9% of them stayed. */
static void info_syncs(const struct store_stats *stats, struct buf *out)
{
	static const double shares[] = {0.5, 0.99, 0.999};
	static const char *const names[] = {"50", "99", "99_9"};
	const char *comma = "";
	buf_append_text(out, "sync_us_histogram:");
	for (unsigned i = 0; i < SYNC_BUCKETS; i++) {
		if (stats->sync_us[i] == 0)
			continue;
		buf_printf(out, "%s%llu=%llu", comma, 1ULL << i, (ull)stats->sync_us[i]);
		comma = ",";
	}
	buf_append_text(out, "\r\n");
	for (unsigned k = 0; k < ARRAY_COUNT(shares); k++) {
		uint64_t seen = 0;
		unsigned i = 0;
		while (i < SYNC_BUCKETS && (double)seen < shares[k] * (double)stats->syncs)
			seen += stats->sync_us[i++];
		buf_printf(out, "sync_us_p%s_below:%llu\r\n", names[k], stats->syncs == 0 ? 0 : 1ULL << i);
	}
}

static void info_store(struct engine *engine, struct buf *out)
{
	static const char *const tiers[TIER_COUNT] = {"hot", "warm"};
	struct store_stats stats;
	store_get_stats(engine->store, &stats);
	buf_printf(out,
	    "store_state:%s\r\nlast_lsn:%llu\r\nwritten_lsn:%llu\r\ndurable_lsn:%llu\r\n",
	    store_state(engine->store) == OK ? "ok" : err_name(store_state(engine->store)),
	    (ull)store_last_lsn(engine->store), (ull)store_written_lsn(engine->store),
	    (ull)store_durable_lsn(engine->store));
	for (unsigned i = 0; i < TIER_COUNT; i++)
		buf_printf(out,
		    "%s_segments:%llu\r\n%s_bytes:%llu\r\n%s_live_bytes:%llu\r\n%s_dead_bytes:%llu\r\n"
		    "%s_live_records:%llu\r\n%s_tombstones:%llu\r\n",
		    tiers[i], (ull)stats.tier[i].segments, tiers[i], (ull)stats.tier[i].bytes,
		    tiers[i], (ull)stats.tier[i].live_bytes, tiers[i],
		    (ull)stats.tier[i].dead_bytes, tiers[i], (ull)stats.tier[i].live_records,
		    tiers[i], (ull)stats.tier[i].tombstones);
	past_info(engine, out);
	dedupe_info(engine, out);
	scrub_info(engine, out);
	buf_printf(out,
	    "appended_records:%llu\r\nappended_bytes:%llu\r\nwritten_bytes:%llu\r\nwrite_amplification:%.3f\r\n"
	    "batches:%llu\r\nsyncs:%llu\r\nsync_us_avg:%.1f\r\nsync_us_max:%llu\r\n",
	    (ull)stats.appended_records, (ull)stats.appended_bytes, (ull)stats.written_bytes,
	    stats.appended_bytes == 0 ? 0.0
	                              : (double)stats.written_bytes / (double)stats.appended_bytes,
	    (ull)stats.batches, (ull)stats.syncs,
	    stats.syncs == 0 ? 0.0 : (double)stats.sync_us_total / (double)stats.syncs,
	    (ull)stats.sync_us_max);
	info_syncs(&stats, out);
	buf_printf(out, "disk_reads_per_record:%.2f\r\n", stats.record_reads == 0 ? 0.0
	    : (double)stats.record_read_pieces / (double)stats.record_reads);
	buf_printf(out,
	    "disk_reads:%llu\r\ndisk_read_bytes:%llu\r\ncorrupt_records:%llu\r\nwrite_errors:%llu\r\nread_errors:%llu\r\n"
	    "segments_created:%llu\r\nsegments_recycled:%llu\r\nsegments_unlinked:%llu\r\n"
	    "recovered_records:%llu\r\nrecovered_us:%llu\r\ntorn_bytes:%llu\r\n"
	    "footers_written:%llu\r\nfooters_read:%llu\r\nfooters_missing:%llu\r\nlost_records:%llu\r\n",
	    (ull)stats.reads, (ull)stats.read_bytes, (ull)stats.corrupt_records,
	    (ull)stats.write_errors, (ull)stats.read_errors, (ull)stats.segments_created,
	    (ull)stats.segments_recycled, (ull)stats.segments_unlinked,
	    (ull)stats.recovered_records, (ull)stats.recovered_us, (ull)stats.torn_bytes,
	    (ull)stats.footers_written, (ull)stats.footers_read, (ull)stats.footers_missing,
	    (ull)stats.lost_records);
	info_cleaner(engine, out);
}

static void info_images(struct engine *engine, struct buf *out)
{
	struct body_cache_stats hot;
	uint64_t images = 0;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		images += engine->images[i];
	body_cache_get_stats(engine->hot, &hot);
	buf_printf(out,
	    "images:%llu\r\nimages_put:%llu\r\nimage_bytes_put:%llu\r\nimages_get:%llu\r\ncold_reads:%llu\r\n"
	    "not_modified:%llu\r\nhot_bytes:%llu\r\nhot_count:%llu\r\nhot_hits:%llu\r\nhot_misses:%llu\r\n"
	    "body_memory_used:%llu\r\nbody_memory:%llu\r\n",
	    (ull)images, (ull)engine->counters.images_put, (ull)engine->counters.image_bytes_put,
	    (ull)engine->counters.images_get, (ull)engine->counters.cold_reads,
	    (ull)engine->counters.not_modified, (ull)hot.bytes, (ull)hot.bodies, (ull)hot.hits,
	    (ull)hot.misses, (ull)body_pool_used(engine->pool), (ull)engine->settings->body_memory);
	image_service_stats(engine, out);
	analysis_info(engine, out);
}

static void info_search(struct engine *engine, struct buf *out)
{
	struct index_stats sum = {0};
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		struct index_stats stats;
		if (engine->indexes[i] == NULL)
			continue;
		index_get_stats(engine->indexes[i], &stats);
		sum.docs += stats.docs;
		sum.docs_deleted += stats.docs_deleted;
		sum.terms += stats.terms;
		sum.postings += stats.postings;
		sum.bytes += stats.bytes;
		sum.sweeps += stats.sweeps;
	}
	buf_printf(out,
	    "search_documents:%llu\r\nsearch_documents_deleted:%llu\r\nsearch_terms:%llu\r\nsearch_postings:%llu\r\n"
	    "search_bytes:%llu\r\nsearch_sweeps:%llu\r\nsearches:%llu\r\nsearch_slices:%llu\r\nsearch_slice_us_max:%llu\r\n",
	    (ull)sum.docs, (ull)sum.docs_deleted, (ull)sum.terms, (ull)sum.postings, (ull)sum.bytes,
	    (ull)sum.sweeps, (ull)engine->counters.searches, (ull)engine->counters.search_slices,
	    (ull)engine->counters.search_us_max);
	fields_info(engine, out);
	kept_index_info(engine, out);
}

static void info_tiers(struct engine *engine, struct buf *out)
{
	buf_printf(out, "tier_warm_available:%d\r\ntier_moves:%llu\r\ntier_moved_bytes:%llu\r\n",
	    engine->settings->warm_dir[0] != 0, (ull)engine->counters.tier_moves,
	    (ull)engine->counters.tier_moved_bytes);
}

static const struct {
	const char *name, *title;
	bool        by_default;
	void      (*write)(struct engine *engine, struct buf *out);
} sections_table[] = {
	{"server", "Server", true, info_server},
	{"clients", "Clients", true, info_clients},
	{"memory", "Memory", true, info_memory},
	{"persistence", "Persistence", true, info_persistence},
	{"stats", "Stats", true, info_stats},
	{"replication", "Replication", true, info_replication},
	{"cpu", "CPU", true, info_cpu},
	{"modules", "Modules", true, info_modules},
	{"commandstats", "Commandstats", false, info_commandstats},
	{"latencystats", "Latencystats", false, info_latencystats},
	{"errorstats", "Errorstats", true, info_errorstats},
	{"cluster", "Cluster", true, info_cluster},
	{"store", "Store", true, info_store},
	{"images", "Images", true, info_images},
	{"search", "Search", true, info_search},
	{"tiers", "Tiers", true, info_tiers},
	{"tls", "TLS", true, info_tls},
	{"keyspace", "Keyspace", true, info_keyspace},
};

static bool section_asked(size_t at, const struct span *sections, uint32_t count)
{
	if (count == 0)
		return sections_table[at].by_default;
	for (uint32_t i = 0; i < count; i++) {
		if (span_is(sections[i], sections_table[at].name) || span_is(sections[i], "all") ||
		    span_is(sections[i], "everything"))
			return true;
		if (span_is(sections[i], "default") && sections_table[at].by_default)
			return true;
	}
	return false;
}

void info_write(struct engine *engine, const struct span *sections, uint32_t count, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_COUNT(sections_table); i++) {
		if (!section_asked(i, sections, count))
			continue;
		if (out->len > 0)
			buf_append_text(out, "\r\n");
		buf_printf(out, "# %s\r\n", sections_table[i].title);
		sections_table[i].write(engine, out);
	}
}

void cmd_info(struct call *call)
{
	struct buf text;
	buf_init(&text, &call->engine->memory.replies);
	info_write(call->engine, call->argv + 1, call->argc - 1, &text);
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

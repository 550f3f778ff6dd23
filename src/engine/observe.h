/* engine/observe.h: what is counted, and what is kept of slow commands, latency spikes and errors, for
 * INFO, SLOWLOG and LATENCY. */
#pragma once
#include "base/span.h"
#include "io/io.h"

enum { SESSION_TEXT_MAX = 128 };

struct engine;
struct call;

/* Tells those who sent MONITOR of a command (monitor.c). */
void monitors_tell(const struct call *call);

struct engine_counters {
	uint64_t commands, connections, connections_rejected, expired_keys, hits, misses, errors;
	uint64_t output_bytes, input_bytes, images_put, image_bytes_put, images_get;
	uint64_t protocol_errors, passes, pass_us_max;
	uint64_t searches, search_slices, search_us_max;
	uint64_t derivatives_made, derivatives_shared, worker_failures, tier_moves,
	    tier_moved_bytes, not_modified, cold_reads, output_limit_closes, evicted_keys,
	    evicted_clients, acl_denied[4];
};

struct slow_entry {
	uint64_t    id, duration_us;
	int64_t     time_s;
	uint32_t    argc;
	struct span argv[16];             /* copies, cut as Redis cuts them */
	char        address[IO_ADDRESS_MAX], name[SESSION_TEXT_MAX];
	uint64_t    bytes;                /* allocated */
};

struct error_count {
	char     code[24];
	uint64_t count;
};

/* LATENCY: spikes of one event, newest last. */
enum { LATENCY_SAMPLES = 160 };
struct latency_event {
	char     name[24];                /* empty: free */
	uint32_t max_ms;
	uint32_t count;                   /* samples ever; the last LATENCY_SAMPLES are kept */
	struct { uint32_t time_s, ms; } samples[LATENCY_SAMPLES];
};

void slowlog_note(struct engine *engine, const struct call *call, uint64_t duration_us);
void slowlog_clear(struct engine *engine);
const struct slow_entry *slowlog_from_newest(
    const struct engine *engine, uint32_t skip); /* NULL at the end */
/* Keeps a sample if `duration_us` reaches latency-monitor-threshold. */
void latency_note(struct engine *engine, const char *event, uint64_t duration_us);
uint32_t latency_reset(struct engine *engine, struct span event);     /* empty: all */

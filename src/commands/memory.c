/* commands/memory.c: MEMORY STATS, DOCTOR, MALLOC-STATS and PURGE. USAGE is in keys.c. */
#include "commands/handlers.h"
#include "commands/info.h"

#include "engine/databases.h"
#include "io/io.h"

#include <stdio.h>

/* jemalloc's; a build with a sanitizer has them not. */
__attribute__((weak)) int mallctl(
    const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
__attribute__((weak)) void malloc_stats_print(
    void (*write)(void *ctx, const char *text), void *ctx, const char *options);

static uint64_t allocator_figure(const char *name)
{
	size_t value = 0, bytes = sizeof(value);
	return mallctl(name, &value, &bytes, NULL, 0) == 0 ? value : 0;
}

void allocator_get_figures(struct allocator_figures *out)
{
	uint64_t epoch = 1;
	size_t bytes = sizeof(epoch);
	*out = (struct allocator_figures){0};
	if (mallctl == NULL || mallctl("epoch", &epoch, &bytes, &epoch, bytes) != 0)
		return;
	out->allocated = allocator_figure("stats.allocated");
	out->active = allocator_figure("stats.active");
	out->resident = allocator_figure("stats.resident");
}

static void pair(struct call *call, const char *name, uint64_t value)
{
	reply_text(call->reply, name);
	reply_int(call->reply, (int64_t)value);
}

static void ratio(struct call *call, const char *name, double value)
{
	reply_text(call->reply, name);
	reply_double(call->reply, value);
}

static uint64_t key_count(const struct engine *engine)
{
	uint64_t keys = 0;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		keys += directory_count(&engine->directories[i]);
	return keys;
}

static void reply_databases(struct call *call)
{
	char name[24];
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		const struct directory *directory = &call->engine->directories[database_of(call->engine, i)];
		if (directory_count(directory) == 0)
			continue;
		snprintf(name, sizeof(name), "db.%u", i);
		reply_text(call->reply, name);
		reply_map(call->reply, 2);
		pair(call, "overhead.hashtable.main", directory->overhead.bytes);
		pair(call, "overhead.hashtable.expires", directory->expiry.count * sizeof(struct heap_item));
	}
}

void cmd_memory_stats(struct call *call)
{
	struct engine *engine = call->engine;
	struct io_usage usage;
	uint64_t used = engine_used_memory(engine), overhead = 0, databases = 0, keys = key_count(engine);
	io_get_usage(engine->io, &usage);
	for (unsigned i = 0; i < DATABASE_COUNT; i++) {
		overhead += engine->directories[i].overhead.bytes;
		databases += directory_count(&engine->directories[i]) > 0;
	}
	uint64_t peak = used > engine->used_memory_peak ? used : engine->used_memory_peak;
	reply_map(call->reply, 18 + databases);
	pair(call, "peak.allocated", peak);
	pair(call, "total.allocated", used);
	pair(call, "startup.allocated", 0);
	pair(call, "clients.normal", engine->memory.sessions.bytes + engine->memory.replies.bytes);
	pair(call, "bodies.allocated", body_pool_used(engine->pool));
	pair(call, "search.allocated", engine->memory.search.bytes);
	pair(call, "log.buffers", engine->memory.store.bytes);
	pair(call, "images.caches", engine->memory.images.bytes);
	pair(call, "history.allocated", engine->memory.history.bytes);
	reply_databases(call);
	pair(call, "overhead.total", overhead);
	pair(call, "keys.count", keys);
	pair(call, "keys.bytes-per-key", keys == 0 ? 0 : engine->memory.values.bytes / keys);
	pair(call, "dataset.bytes", engine->memory.values.bytes);
	ratio(call, "dataset.percentage", 100.0 * (double)engine->memory.values.bytes / (double)(used | 1));
	ratio(call, "peak.percentage", 100.0 * (double)used / (double)(peak | 1));
	pair(call, "allocator.resident", usage.resident_bytes);
	ratio(call, "fragmentation", (double)usage.resident_bytes / (double)(used | 1));
	pair(call, "fragmentation.bytes",
	    usage.resident_bytes > used ? usage.resident_bytes - used : 0);
}

void cmd_memory_doctor(struct call *call)
{
	enum { SMALL = 5 << 20 };
	struct engine *engine = call->engine;
	struct io_usage usage;
	uint64_t used = engine_used_memory(engine), limit = engine->settings->maxmemory;
	struct buf text;
	io_get_usage(engine->io, &usage);
	buf_init(&text, &engine->memory.replies);
	if (used < SMALL)
		buf_append_text(&text, "This server holds next to nothing: there is nothing to say of its memory.\n");
	if (used >= SMALL && usage.resident_bytes > used + used / 2)
		buf_printf(&text, "The process has %.2f times the memory in use: MEMORY PURGE gives free pages back.\n",
		    (double)usage.resident_bytes / (double)used);
	if (limit > 0 && used > limit - limit / 10)
		buf_printf(&text, "%.0f%% of maxmemory is in use.\n", 100.0 * (double)used / (double)limit);
	if (usage.total_system_bytes > 0 && used > usage.total_system_bytes - usage.total_system_bytes / 8)
		buf_append_text(&text, "Nearly all of the machine's memory is in use.\n");
	if (text.len == 0)
		buf_append_text(&text, "Nothing is wrong with this server's memory.\n");
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

static void append_stats(void *ctx, const char *text)
{
	buf_append_text(ctx, text);
}

void cmd_memory_malloc_stats(struct call *call)
{
	struct buf text;
	buf_init(&text, &call->engine->memory.replies);
	if (malloc_stats_print != NULL)
		malloc_stats_print(append_stats, &text, NULL);
	else
		buf_append_text(&text, "Stats not supported for the current allocator");
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

void cmd_memory_purge(struct call *call)
{
	enum { ALL_ARENAS = 4096 };
	char name[48];
	snprintf(name, sizeof(name), "arena.%d.purge", ALL_ARENAS);
	if (mallctl != NULL)
		(void)mallctl(name, NULL, NULL, NULL, 0);
	reply_ok(call->reply);
}

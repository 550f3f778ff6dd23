/* commands/latency.c: the LATENCY family: samples of slow events, and how long each command took. */
#include "commands/acl.h"
#include "commands/handlers.h"

#include <stdio.h>

void cmd_latency_latest(struct call *call)
{
	size_t count = 0;
	const struct latency_event *events = call->engine->latency;
	for (size_t i = 0; i < ARRAY_COUNT(call->engine->latency); i++)
		count += events[i].count > 0;
	reply_array(call->reply, count);
	for (size_t i = 0; i < ARRAY_COUNT(call->engine->latency); i++) {
		const struct latency_event *event = &events[i];
		if (event->count == 0)
			continue;
		uint32_t last = (event->count - 1) % LATENCY_SAMPLES;
		reply_array(call->reply, 4);
		reply_text(call->reply, event->name);
		reply_int(call->reply, event->samples[last].time_s);
		reply_int(call->reply, event->samples[last].ms);
		reply_int(call->reply, event->max_ms);
	}
}

void cmd_latency_history(struct call *call)
{
	for (size_t i = 0; i < ARRAY_COUNT(call->engine->latency); i++) {
		const struct latency_event *event = &call->engine->latency[i];
		if (!span_is(call->argv[2], event->name) || event->count == 0)
			continue;
		uint32_t kept = event->count < LATENCY_SAMPLES ? event->count : LATENCY_SAMPLES;
		reply_array(call->reply, kept);
		for (uint32_t k = event->count - kept; k < event->count; k++) {
			reply_array(call->reply, 2);
			reply_int(call->reply, event->samples[k % LATENCY_SAMPLES].time_s);
			reply_int(call->reply, event->samples[k % LATENCY_SAMPLES].ms);
		}
		return;
	}
	reply_array(call->reply, 0);
}

void cmd_latency_reset(struct call *call)
{
	int64_t count = 0;
	if (call->argc == 2)
		count = latency_reset(call->engine, (struct span){0});
	for (uint32_t i = 2; i < call->argc; i++)
		count += latency_reset(call->engine, call->argv[i]);
	reply_int(call->reply, count);
}

/* ---- HISTOGRAM ---- */

/* Calls that took up to 1, 2, 4, ... microseconds, as far as there were any. */
static void reply_histogram(struct call *call, const struct command_counters *counters)
{
	unsigned first = 0, last = 0;
	uint64_t sum = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		last = counters->buckets[i] > 0 ? i : last;
	while (first < last && counters->buckets[first] == 0)
		first++;
	reply_map(call->reply, 2);
	reply_text(call->reply, "calls");
	reply_int(call->reply, (int64_t)counters->calls);
	reply_text(call->reply, "histogram_usec");
	reply_map(call->reply, last - first + 1);
	for (unsigned i = first; i <= last; i++) {
		sum += counters->buckets[i];
		reply_int(call->reply, INT64_C(1) << i);
		reply_int(call->reply, (int64_t)sum);
	}
}

/* The word names it, or its container; without words, everything. */
static bool is_asked(const struct call *call, const struct command *command)
{
	char name[80];
	command_full_name(command, name, sizeof(name));
	for (uint32_t i = 2; i < call->argc; i++)
		if (span_is(call->argv[i], name) ||
		    (command->parent != NULL && span_is(call->argv[i], command->parent)))
			return true;
	return call->argc == 2;
}

void cmd_latency_histogram(struct call *call)
{
	char name[80];
	size_t count = 0;
	for (size_t i = 0; i < commands_count; i++)
		count += is_asked(call, &commands_table[i]) &&
		    command_counters_of(call->engine, &commands_table[i])->calls > 0;
	reply_map(call->reply, count);
	for (size_t i = 0; i < commands_count; i++) {
		const struct command_counters *counters =
		    command_counters_of(call->engine, &commands_table[i]);
		if (counters->calls == 0 || !is_asked(call, &commands_table[i]))
			continue;
		command_full_name(&commands_table[i], name, sizeof(name));
		reply_text(call->reply, name);
		reply_histogram(call, counters);
	}
}

/* ---- GRAPH, DOCTOR ---- */

static const struct latency_event *find_event(struct call *call, struct span name)
{
	for (size_t i = 0; i < ARRAY_COUNT(call->engine->latency); i++) {
		const struct latency_event *event = &call->engine->latency[i];
		if (event->count > 0 && span_is(name, event->name))
			return event;
	}
	return NULL;
}

/* One column a sample, the newest at the right, and under each how long ago it was. */
static void draw_event(const struct latency_event *event, uint32_t now_s, struct buf *out)
{
	enum { ROWS = 4, COLUMNS = 80, AGE_ROWS = 4 };
	static const char steps[] = "_o#";
	uint32_t kept = event->count < LATENCY_SAMPLES ? event->count : LATENCY_SAMPLES;
	kept = kept < COLUMNS ? kept : COLUMNS;
	uint32_t from = event->count - kept, low = UINT32_MAX, high = 0;
	char ages[COLUMNS][16];
	for (uint32_t i = 0; i < kept; i++) {
		uint32_t ms = event->samples[(from + i) % LATENCY_SAMPLES].ms;
		uint32_t age = now_s - event->samples[(from + i) % LATENCY_SAMPLES].time_s;
		low = ms < low ? ms : low;
		high = ms > high ? ms : high;
		const char *unit = age < 60 ? "s" : age < 3600 ? "m" : age < 86400 ? "h" : "d";
		uint32_t value = age < 60 ? age : age < 3600 ? age / 60
		    : age < 86400 ? age / 3600 : age / 86400;
		snprintf(ages[i], sizeof(ages[i]), "%u%s", value, unit);
	}
	buf_printf(out, "%s - high %u ms, low %u ms (all time high %u ms)\n", event->name, high, low,
	    event->max_ms);
	for (int i = 0; i < COLUMNS; i++)
		buf_append_u8(out, '-');
	buf_append_u8(out, '\n');
	for (uint32_t row = ROWS; row-- > 0;) {
		for (uint32_t i = 0; i < kept; i++) {
			uint32_t ms = event->samples[(from + i) % LATENCY_SAMPLES].ms;
			uint32_t height = high == low ? 1 : (ms - low) * (ROWS * 3 - 1) / (high - low);
			uint32_t within = height >= row * 3 ? height - row * 3 : UINT32_MAX;
			buf_append_u8(out, within == UINT32_MAX ? (uint8_t)' '
			        : within > 2 ? (uint8_t)'|' : (uint8_t)steps[within]);
		}
		buf_append_u8(out, '\n');
	}
	for (uint32_t row = 0; row < AGE_ROWS; row++) {
		for (uint32_t i = 0; i < kept; i++)
			buf_append_u8(out, row < strlen(ages[i]) ? (uint8_t)ages[i][row] : ' ');
		buf_append_u8(out, '\n');
	}
}

void cmd_latency_graph(struct call *call)
{
	struct buf text;
	const struct latency_event *event = find_event(call, call->argv[2]);
	if (event == NULL) {
		call_error(call, "ERR No samples available for event '%.*s'",
		    (int)(call->argv[2].len < 128 ? call->argv[2].len : 128),
		    (const char *)call->argv[2].ptr);
		return;
	}
	buf_init(&text, &call->engine->memory.replies);
	draw_event(event, (uint32_t)(engine_now_ms(call->engine) / 1000), &text);
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

static void diagnose(struct call *call, const struct latency_event *event, struct buf *out)
{
	const struct settings *settings = call->engine->settings;
	uint32_t kept = event->count < LATENCY_SAMPLES ? event->count : LATENCY_SAMPLES;
	uint64_t sum = 0;
	for (uint32_t i = event->count - kept; i < event->count; i++)
		sum += event->samples[i % LATENCY_SAMPLES].ms;
	buf_printf(out, "%s: %u spikes are kept (on average %llu ms); the worst of all took %u ms.\n",
	    event->name, kept, (unsigned long long)(sum / kept), event->max_ms);
	if (strcmp(event->name, "command") == 0)
		buf_printf(out, "  SLOWLOG GET shows commands over %lld us; LATENCY HISTOGRAM shows all of them.\n",
		    (long long)settings->slowlog_log_slower_than);
}

void cmd_latency_doctor(struct call *call)
{
	struct engine *engine = call->engine;
	struct buf text;
	buf_init(&text, &engine->memory.replies);
	for (size_t i = 0; i < ARRAY_COUNT(engine->latency); i++)
		if (engine->latency[i].count > 0)
			diagnose(call, &engine->latency[i], &text);
	if (engine->settings->latency_monitor_threshold == 0)
		buf_append_text(&text, "Nothing is watched: CONFIG SET latency-monitor-threshold <milliseconds> "
		    "turns it on.\n");
	else if (text.len == 0)
		buf_printf(&text, "Nothing took %lld ms or longer.\n",
		    (long long)engine->settings->latency_monitor_threshold);
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

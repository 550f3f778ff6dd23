/* engine/latency.c: samples for the LATENCY command, as Redis keeps them. */
#include "engine/internal.h"

static struct latency_event *latency_find(struct engine *engine, const char *event)
{
	for (size_t i = 0; i < ARRAY_COUNT(engine->latency); i++) {
		struct latency_event *at = &engine->latency[i];
		if (at->name[0] == 0)
			snprintf(at->name, sizeof(at->name), "%s", event);
		if (strcmp(at->name, event) == 0)
			return at;
	}
	return NULL;
}

void latency_note(struct engine *engine, const char *event, uint64_t duration_us)
{
	uint64_t threshold_ms = (uint64_t)engine->settings->latency_monitor_threshold;
	uint32_t ms = (uint32_t)(duration_us / 1000);
	uint32_t now_s = (uint32_t)(io_wall_ms(engine->io) / 1000);
	if (threshold_ms == 0 || ms < threshold_ms)
		return;
	struct latency_event *at = latency_find(engine, event);
	if (at == NULL)
		return; /* more kinds of events than there are slots: a fixed set */
	if (ms > at->max_ms)
		at->max_ms = ms;
	uint32_t last = (at->count - 1) % LATENCY_SAMPLES;
	if (at->count > 0 && at->samples[last].time_s == now_s) {
		if (ms > at->samples[last].ms)
			at->samples[last].ms = ms;
		return;
	}
	at->samples[at->count % LATENCY_SAMPLES].time_s = now_s;
	at->samples[at->count % LATENCY_SAMPLES].ms = ms;
	at->count++;
}

uint32_t latency_reset(struct engine *engine, struct span event)
{
	uint32_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(engine->latency); i++) {
		struct latency_event *at = &engine->latency[i];
		if (at->name[0] == 0 || at->count == 0 ||
		    (event.len > 0 && !span_is(event, at->name)))
			continue;
		at->count = 0;
		at->max_ms = 0;
		count++;
	}
	return count;
}

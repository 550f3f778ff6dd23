/* engine/slowlog.c: the commands that took long, as SLOWLOG shows them. */
#include "engine/internal.h"

struct slow_node {
	struct list       link;
	struct slow_entry entry;
};

static void slow_drop_oldest(struct engine *engine)
{
	struct slow_node *node = LIST_OF(engine->slowlog.next, struct slow_node, link);
	list_remove(&node->link);
	engine->slowlog_len--;
	memory_free(&engine->memory.engine, node, node->entry.bytes);
}

void slowlog_clear(struct engine *engine)
{
	while (engine->slowlog_len > 0)
		slow_drop_oldest(engine);
}

/* Copies up to 16 arguments of at most 128 bytes; the rest is said in words, as Redis does. */
void slowlog_note(struct engine *engine, const struct call *call, uint64_t duration_us)
{
	enum { ARG_BYTES = 128 };
	const struct settings *settings = engine->settings;
	if (settings->slowlog_log_slower_than < 0 || settings->slowlog_max_len == 0 ||
	    duration_us < (uint64_t)settings->slowlog_log_slower_than)
		return;
	struct slow_node *node;
	uint32_t argc =
	    call->argc < ARRAY_COUNT(node->entry.argv) ? call->argc : ARRAY_COUNT(node->entry.argv);
	uint64_t bytes = sizeof(*node) + (uint64_t)argc * (ARG_BYTES + 64);
	node = memory_zalloc(&engine->memory.engine, bytes);
	char *text = (char *)(node + 1);
	node->entry.bytes = bytes;
	node->entry.id = engine->slowlog_next_id++;
	node->entry.time_s = io_wall_ms(engine->io) / 1000;
	node->entry.duration_us = duration_us;
	node->entry.argc = argc;
	for (uint32_t i = 0; i < argc; i++) {
		struct span arg = call->argv[i];
		int len;
		if (i + 1 == argc && call->argc > argc)
			len = snprintf(
			    text, ARG_BYTES + 64, "... (%u more arguments)", call->argc - argc + 1);
		else if (arg.len > ARG_BYTES)
			len = snprintf(text + ARG_BYTES, 64, "... (%zu more bytes)",
			          arg.len - ARG_BYTES) +
			    ARG_BYTES;
		else
			len = (int)arg.len;
		size_t copied = arg.len > ARG_BYTES ? ARG_BYTES : arg.len;
		if (copied > 0 && !(i + 1 == argc && call->argc > argc))
			memcpy(text, arg.ptr, copied);
		node->entry.argv[i] = span_of(text, (size_t)len);
		text += len;
	}
	memcpy(node->entry.address, call->session->address, sizeof(node->entry.address));
	memcpy(node->entry.name, call->session->name, sizeof(node->entry.name));
	list_append(&engine->slowlog, &node->link);
	engine->slowlog_len++;
	while (engine->slowlog_len > (uint64_t)settings->slowlog_max_len)
		slow_drop_oldest(engine);
}

const struct slow_entry *slowlog_from_newest(const struct engine *engine, uint32_t skip)
{
	const struct list *at = engine->slowlog.prev;
	while (at != &engine->slowlog && skip-- > 0)
		at = at->prev;
	if (at == &engine->slowlog)
		return NULL;
	return &LIST_OF((uintptr_t)at, struct slow_node, link)->entry;
}

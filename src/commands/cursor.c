/* commands/cursor.c: see cursor.h. */
#include "commands/cursor.h"

#include "base/arith.h"
#include "base/number.h"
#include "commands/image.h"

enum { CURSOR_MAGIC = 0x43555253 };

struct cursor {
	uint32_t          magic;
	uint8_t           db;
	struct list       link;
	struct cursors   *all;
	struct io        *io;
	struct io_timer   timer;
	int64_t           id;
	struct cursor_options options;
	struct aggregate *aggregate;
	size_t            next;           /* row */
	uint64_t          bytes;
};

struct cursors {
	struct memory *memory;
	struct list    list;
	uint32_t       count;
	uint64_t       bytes;
};

struct cursors *cursors_new(struct memory *memory)
{
	struct cursors *cursors = memory_zalloc(memory, sizeof(*cursors));
	cursors->memory = memory;
	list_init(&cursors->list);
	return cursors;
}

static void cursor_drop(struct cursor *cursor)
{
	struct cursors *all = cursor->all;
	CHECK_OBJ(cursor, CURSOR_MAGIC);
	ASSERT(all->count > 0 && all->bytes >= cursor->bytes);
	io_timer_cancel(cursor->io, &cursor->timer);
	list_remove(&cursor->link);
	all->count--;
	all->bytes -= cursor->bytes;
	aggregate_free(cursor->aggregate);
	DROP_OBJ(cursor, CURSOR_MAGIC);
	memory_free(all->memory, cursor, sizeof(*cursor));
}

void cursors_free(struct cursors *cursors)
{
	while (!list_is_empty(&cursors->list))
		cursor_drop(LIST_OF(cursors->list.next, struct cursor, link));
	memory_free(cursors->memory, cursors, sizeof(*cursors));
}

static void on_idle(struct io_timer *timer)
{
	cursor_drop(timer->ctx);
}

/* Two elements: the next piece, and the id to go on with, 0 behind the last row. */
static void reply_piece(struct reply *reply, struct cursor *cursor, uint64_t rows)
{
	size_t left = aggregate_row_count(cursor->aggregate) - cursor->next;
	size_t count = (size_t)min_u64(rows, left);
	reply_array(reply, 2);
	image_aggregate_rows(reply, cursor->aggregate, cursor->options.ft, cursor->next, count);
	cursor->next += count;
	reply_int(reply, count == left ? 0 : cursor->id);
	if (count == left)
		cursor_drop(cursor);
	else
		io_timer_set(cursor->io, &cursor->timer, cursor->options.idle_ms * 1000);
}

void cursor_begin(struct engine *engine, uint8_t db, struct aggregate *aggregate,
    const struct cursor_options *options, struct reply *reply)
{
	struct cursors *all = command_cursors(engine);
	uint64_t bytes = aggregate_bytes(aggregate);
	bool is_rest = aggregate_row_count(aggregate) > options->count;
	if (is_rest && (all->count == CURSORS_MAX || all->bytes + bytes > CURSOR_BYTES_MAX)) {
		aggregate_free(aggregate);
		engine_error(engine, reply, "OVERLOADED too many cursors are open, or too large ones");
		return;
	}
	struct cursor *cursor = memory_zalloc(all->memory, sizeof(*cursor));
	cursor->magic = CURSOR_MAGIC;
	cursor->db = db;
	cursor->all = all;
	cursor->io = engine->io;
	cursor->options = *options;
	cursor->aggregate = aggregate;
	cursor->bytes = bytes;
	cursor->id = 1 + (int64_t)(random_next(&engine->random) >> 11);       /* exact as a double, too */
	io_timer_init(&cursor->timer, on_idle, cursor);
	list_append(&all->list, &cursor->link);
	all->count++;
	all->bytes += bytes;
	reply_piece(reply, cursor, options->count);
}

/* The cursor that argv[3] names. NULL: an error was replied. */
static struct cursor *named_cursor(struct call *call)
{
	int64_t id;
	struct cursors *all = command_cursors(call->engine);
	if (!ft_index_is_known(call, call->argv[2]))
		return NULL;
	if (!number_parse_i64(call->argv[3], &id)) {
		call_error(call, "ERR Bad cursor ID");
		return NULL;
	}
	for (struct list *at = all->list.next; at != &all->list; at = at->next) {
		struct cursor *cursor = LIST_OF(at, struct cursor, link);
		if (cursor->id == id && cursor->db == call->session->db)
			return cursor;
	}
	call_error(call, "ERR Cursor not found, id: %lld", (long long)id);
	return NULL;
}

/* FT.CURSOR READ images id [COUNT n] */
void cmd_cursor_read(struct call *call)
{
	int64_t count = 0;
	struct cursor *cursor = named_cursor(call);
	if (cursor == NULL)
		return;
	if (call->argc == 6 && span_is(call->argv[4], "COUNT")) {
		if (!number_parse_range(call->argv[5], 1, CURSOR_COUNT_MAX, &count)) {
			call_error(call, "ERR Bad value for COUNT");
			return;
		}
	} else if (call->argc != 4) {
		reply_syntax_error(call);
		return;
	}
	reply_piece(call->reply, cursor, count > 0 ? (uint64_t)count : cursor->options.count);
}

void cmd_cursor_del(struct call *call)
{
	struct cursor *cursor = named_cursor(call);
	if (cursor == NULL)
		return;
	cursor_drop(cursor);
	reply_ok(call->reply);
}

/* server/aside.c: see aside.h. */
#include "server/aside.h"

#include <stdio.h>

enum { ASIDE_NAMES_MAX = 1 << 20 };

struct aside {
	struct memory memory;
	struct buf    names;              /* each with its NUL */
	uint32_t      count;
};

static bool name_ends(const char *name, const char *end)
{
	size_t len = strlen(name), tail = strlen(end);
	return len > tail && strcmp(name + len - tail, end) == 0;
}

/* What the store makes, and nothing else that may lie there. */
static void aside_name(void *ctx, const char *name, uint64_t bytes)
{
	struct aside *aside = ctx;
	UNUSED(bytes);
	bool ours = strcmp(name, "lock") == 0 || strcmp(name, "rejoin") == 0 ||
	    strncmp(name, "checkpoint-", 11) == 0 || strncmp(name, "manifest-", 9) == 0 ||
	    name_ends(name, ".seg");
	if (!ours || aside->names.len > ASIDE_NAMES_MAX)
		return;
	buf_append(&aside->names, span_of(name, strlen(name) + 1));
	aside->count++;
}

struct waiting {
	bool    done;
	int32_t result;
};

static void waiting_done(struct io_op *op, int32_t result)
{
	struct waiting *waiting = op->ctx;
	waiting->done = true;
	waiting->result = result;
}

static enum err aside_move(struct io *io, const char *from, const char *to)
{
	struct waiting waiting = {0};
	struct io_op op;
	io_op_init(&op, waiting_done, &waiting);
	io_rename(io, &op, from, to);
	while (!waiting.done)
		io_wait(io, IO_FOREVER);
	return io_err(waiting.result);
}

static enum err aside_sync(struct io *io, const char *path)
{
	struct waiting waiting = {0};
	struct io_op op;
	io_op_init(&op, waiting_done, &waiting);
	io_sync_directory(io, &op, path);
	while (!waiting.done)
		io_wait(io, IO_FOREVER);
	return io_err(waiting.result);
}

static enum err aside_directory(struct io *io, struct log *log, const char *dir, int64_t now_ms)
{
	enum { PATH = SETTING_TEXT_MAX + 300 };
	struct aside aside = {0};
	char to[PATH], from_path[PATH], to_path[PATH + 300];
	buf_init(&aside.names, &aside.memory);
	snprintf(to, sizeof(to), "%s/quarantine", dir);
	enum err err = io_make_directory(io, to);
	snprintf(to, sizeof(to), "%s/quarantine/%lld", dir, (long long)now_ms);
	if (err == OK)
		err = io_make_directory(io, to);
	if (err == OK)
		err = io_list_directory(io, dir, aside_name, &aside);
	/* Its name first: what a crash leaves here is then no store, and is refused instead of being taken
	 * for one that has lost something. */
	snprintf(from_path, sizeof(from_path), "%s/store", dir);
	snprintf(to_path, sizeof(to_path), "%s/store", to);
	if (err == OK)
		err = aside_move(io, from_path, to_path);
	if (err == ERR_NOTFOUND)
		err = OK;                     /* the warm directory has none */
	if (err == OK)
		err = aside_sync(io, dir);
	const char *name = (const char *)aside.names.ptr;
	for (uint32_t i = 0; err == OK && i < aside.count; i++, name += strlen(name) + 1) {
		snprintf(from_path, sizeof(from_path), "%s/%s", dir, name);
		snprintf(to_path, sizeof(to_path), "%s/%s", to, name);
		err = aside_move(io, from_path, to_path);
	}
	if (err == OK)
		err = aside_sync(io, to);
	if (err == OK)
		err = aside_sync(io, dir);
	if (err == OK)
		log_warning(log, "%u files of a store that its leader cannot go on with are in %s now",
		    aside.count, to);
	else
		log_warning(log, "the store cannot be moved to %s: %s", to, err_name(err));
	buf_fini(&aside.names);
	return err;
}

enum err store_put_aside(struct io *io, const struct settings *settings, struct log *log)
{
	int64_t now_ms = io_wall_ms(io);
	enum err err = aside_directory(io, log, settings->dir, now_ms);
	if (err == OK && settings->warm_dir[0] != 0)
		err = aside_directory(io, log, settings->warm_dir, now_ms);
	return err;
}

/* engine/replica/quarantine.c: see quarantine.h. */
#include "engine/replica/quarantine.h"

#include "engine/internal.h"

static void folder_free(struct engine *engine, struct quarantine_folder *folder)
{
	list_remove(&folder->link);
	engine->quarantine->count--;
	buf_fini(&folder->names);
	memory_free(&engine->memory.engine, folder, sizeof(*folder));
}

static void folder_file(void *ctx, const char *name, uint64_t bytes)
{
	struct quarantine_folder *folder = ctx;
	folder->files++;
	folder->bytes += bytes;
	buf_append(&folder->names, span_of(name, strlen(name) + 1));
}

static void quarantine_entry(void *ctx, const char *name, uint64_t bytes)
{
	struct engine *engine = ctx;
	struct quarantine_folder *folder;
	UNUSED(bytes);
	if (strlen(name) >= sizeof(folder->name))
		return;
	folder = memory_zalloc(&engine->memory.engine, sizeof(*folder));
	folder->engine = engine;
	snprintf(folder->name, sizeof(folder->name), "%s", name);
	buf_init(&folder->names, &engine->memory.engine);
	list_append(&engine->quarantine->folders, &folder->link);
	engine->quarantine->count++;
}

void quarantine_new(struct engine *engine)
{
	char path[SETTING_TEXT_MAX + 64];
	engine->quarantine = memory_zalloc(&engine->memory.engine, sizeof(*engine->quarantine));
	list_init(&engine->quarantine->folders);
	snprintf(path, sizeof(path), "%s/quarantine", engine->settings->dir);
	enum err err = io_list_directory(engine->io, path, quarantine_entry, engine);
	if (err != OK && err != ERR_NOTFOUND)
		log_verbose(engine->log, "%s cannot be read: %s", path, err_name(err));
	struct list *at = engine->quarantine->folders.next;
	while (at != &engine->quarantine->folders) {
		struct quarantine_folder *folder = LIST_OF(at, struct quarantine_folder, link);
		at = at->next;
		snprintf(path, sizeof(path), "%s/quarantine/%s", engine->settings->dir, folder->name);
		err = io_list_directory(engine->io, path, folder_file, folder);
		if (err != OK || folder->files == 0)      /* no folder, or one that was discarded */
			folder_free(engine, folder);
	}
}

void quarantine_free(struct engine *engine)
{
	if (engine->quarantine == NULL)
		return;
	struct list *head = &engine->quarantine->folders;
	for (struct list *at = head->next; at != head;) {     /* what is being removed ends first */
		struct quarantine_folder *folder = LIST_OF(at, struct quarantine_folder, link);
		bool waits = folder->slot != NULL;
		if (waits)
			io_wait(engine->io, IO_FOREVER);
		at = waits ? head->next : at->next;
	}
	while (engine->quarantine->count > 0)
		folder_free(engine,
		    LIST_OF(engine->quarantine->folders.next, struct quarantine_folder, link));
	memory_free(&engine->memory.engine, engine->quarantine, sizeof(*engine->quarantine));
	engine->quarantine = NULL;
}

struct quarantine_folder *quarantine_find(const struct engine *engine, struct span name)
{
	struct list *head = &engine->quarantine->folders;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct quarantine_folder *folder = LIST_OF(at, struct quarantine_folder, link);
		if (span_equal(name, span_text(folder->name)))
			return folder;
	}
	return NULL;
}

static void discard_next(struct quarantine_folder *folder);

static void discard_done(struct io_op *op, int32_t result)
{
	struct quarantine_folder *folder = op->ctx;
	if (result < 0)
		log_warning(folder->engine->log, "%s cannot be removed: %s", folder->path,
		    err_name(io_err(result)));
	folder->removed += result >= 0;
	folder->at += strlen((const char *)folder->names.ptr + folder->at) + 1;
	discard_next(folder);
}

static void discard_next(struct quarantine_folder *folder)
{
	struct engine *engine = folder->engine;
	struct slot *slot = folder->slot;
	if (folder->at < folder->names.len && !engine->closing) {
		snprintf(folder->path, sizeof(folder->path), "%s/quarantine/%s/%s", engine->settings->dir,
		    folder->name, (const char *)folder->names.ptr + folder->at);
		io_op_init(&folder->op, discard_done, folder);
		io_unlink(engine->io, &folder->op, folder->path);
		return;
	}
	bool all = folder->removed == folder->files;
	folder->slot = NULL;
	log_notice(engine->log, "quarantine: %s was discarded", folder->name);
	if (all)
		folder_free(engine, folder);
	if (slot->session != NULL)
		reply_int(&slot->reply, all);
	slot_finish(slot);
}

void quarantine_discard(struct call *call, struct quarantine_folder *folder)
{
	ASSERT(folder->slot == NULL);
	folder->slot = call_defer(call, 0);
	folder->at = 0;
	folder->removed = 0;
	discard_next(folder);
}

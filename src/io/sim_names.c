/* io/sim_names.c: the names of simulated files. Two lists of names are kept, what a running
 * machine sees and what is durable, and between them the changes in order. */
#include "io/sim_machine.h"

#include <errno.h>
#include <string.h>

static void path_copy(char out[SIM_PATH_MAX], const char *path)
{
	size_t len = strlen(path);
	ASSERT(len < SIM_PATH_MAX);
	memcpy(out, path, len + 1);
}

struct sim_name *sim_name_find(struct list *names, const char *path)
{
	for (struct list *at = names->next; at != names; at = at->next) {
		struct sim_name *name = LIST_OF(at, struct sim_name, link);
		if (strcmp(name->path, path) == 0)
			return name;
	}
	return NULL;
}

/* Directly in it, not deeper. */
bool sim_name_is_in(const char *path, const char *directory)
{
	size_t len = strlen(directory);
	while (len > 1 && directory[len - 1] == '/')
		len--;
	if (strncmp(path, directory, len) != 0 || path[len] != '/')
		return false;
	return path[len + 1] != 0 && strchr(path + len + 1, '/') == NULL;
}

static void name_put(struct sim_disk *disk, struct list *names, const char *path,
    struct sim_file *file)
{
	struct sim_name *name = sim_name_find(names, path);
	if (name == NULL) {
		name = memory_zalloc(&disk->memory, sizeof(*name));
		path_copy(name->path, path);
		list_append(names, &name->link);
	}
	name->file = file;
}

static void name_drop(struct sim_disk *disk, struct list *names, const char *path)
{
	struct sim_name *name = sim_name_find(names, path);
	if (name == NULL)
		return;
	list_remove(&name->link);
	memory_free(&disk->memory, name, sizeof(*name));
}

void sim_directory_add(struct sim_disk *disk, const char *path)
{
	name_put(disk, &disk->names, path, NULL);
	name_put(disk, &disk->names_durable, path, NULL);
}

static void change_apply(struct sim_disk *disk, struct list *names,
    const struct sim_change *change)
{
	if (change->file != NULL) {
		name_put(disk, names, change->path, change->file);
		return;
	}
	struct sim_name *name = sim_name_find(names, change->path);
	struct sim_file *file = name == NULL ? NULL : name->file;
	name_drop(disk, names, change->path);
	if (file != NULL && change->path_to[0] != 0)
		name_put(disk, names, change->path_to, file);
}

static void change_add(struct sim_disk *disk, const char *path, const char *path_to,
    struct sim_file *file)
{
	struct sim_change *change = memory_zalloc(&disk->memory, sizeof(*change));
	path_copy(change->path, path);
	path_copy(change->path_to, path_to);
	change->file = file;
	list_append(&disk->changes, &change->link);
	change_apply(disk, &disk->names, change);
}

static void change_free(struct sim_disk *disk, struct sim_change *change)
{
	list_remove(&change->link);
	memory_free(&disk->memory, change, sizeof(*change));
}

static bool has_directory(struct sim_disk *disk, const char *path)
{
	char parent[SIM_PATH_MAX];
	path_copy(parent, path);
	char *slash = strrchr(parent, '/');
	if (slash == NULL || slash == parent)
		return true;
	*slash = 0;
	struct sim_name *name = sim_name_find(&disk->names, parent);
	return name != NULL && name->file == NULL;
}

int32_t sim_name_create(struct sim_disk *disk, const char *path, struct sim_file **out)
{
	ASSERT(sim_name_find(&disk->names, path) == NULL);
	if (!has_directory(disk, path))
		return -ENOENT;
	struct sim_file *file = memory_zalloc(&disk->memory, sizeof(*file));
	list_append(&disk->files, &file->link);
	change_add(disk, path, "", file);
	*out = file;
	return 0;
}

int32_t sim_name_unlink(struct sim_disk *disk, const char *path)
{
	struct sim_name *name = sim_name_find(&disk->names, path);
	if (name == NULL)
		return -ENOENT;
	if (name->file == NULL)
		return -EISDIR;
	change_add(disk, path, "", NULL);
	return 0;
}

int32_t sim_name_rename(struct sim_disk *disk, const char *from, const char *to)
{
	struct sim_name *name = sim_name_find(&disk->names, from);
	if (name == NULL || !has_directory(disk, to))
		return -ENOENT;
	struct sim_name *target = sim_name_find(&disk->names, to);
	if (name->file == NULL || (target != NULL && target->file == NULL))
		return -EISDIR;
	if (name != target)
		change_add(disk, from, to, NULL);
	return 0;
}

int32_t sim_names_sync(struct sim_disk *disk, const char *directory)
{
	struct sim_name *name = sim_name_find(&disk->names, directory);
	if (name == NULL)
		return -ENOENT;
	if (name->file != NULL)
		return -ENOTDIR;
	for (struct list *at = disk->changes.next, *next; at != &disk->changes; at = next) {
		next = at->next;
		struct sim_change *change = LIST_OF(at, struct sim_change, link);
		if (!sim_name_is_in(change->path, directory) &&
		    !sim_name_is_in(change->path_to, directory))
			continue;
		change_apply(disk, &disk->names_durable, change);
		change_free(disk, change);
	}
	sim_files_collect(disk);
	return 0;
}

static bool change_names(const struct sim_change *change, const char *path)
{
	return path[0] != 0 &&
	    (strcmp(change->path, path) == 0 || strcmp(change->path_to, path) == 0);
}

/* A change that is lost takes along the later ones to the same names. */
static bool change_survives(struct sim_disk *disk, const struct sim_change *change)
{
	bool survives = random_below(&disk->random, 2) == 0;
	for (struct list *at = disk->changes.next; at != &change->link; at = at->next) {
		const struct sim_change *before = LIST_OF(at, struct sim_change, link);
		if (before->lost && (change_names(before, change->path) ||
		    change_names(before, change->path_to)))
			survives = false;
	}
	return survives;
}

static void names_clear(struct sim_disk *disk, struct list *names)
{
	while (!list_is_empty(names)) {
		struct sim_name *name = LIST_OF(names->next, struct sim_name, link);
		list_remove(&name->link);
		memory_free(&disk->memory, name, sizeof(*name));
	}
}

void sim_names_crash(struct sim_disk *disk)
{
	for (struct list *at = disk->changes.next; at != &disk->changes; at = at->next) {
		struct sim_change *change = LIST_OF(at, struct sim_change, link);
		change->lost = !change_survives(disk, change);
		if (!change->lost)
			change_apply(disk, &disk->names_durable, change);
	}
	while (!list_is_empty(&disk->changes))
		change_free(disk, LIST_OF(disk->changes.next, struct sim_change, link));
	names_clear(disk, &disk->names);
	for (struct list *at = disk->names_durable.next; at != &disk->names_durable;
	     at = at->next) {
		struct sim_name *name = LIST_OF(at, struct sim_name, link);
		name_put(disk, &disk->names, name->path, name->file);
	}
}

void sim_names_free(struct sim_disk *disk)
{
	names_clear(disk, &disk->names);
	names_clear(disk, &disk->names_durable);
	while (!list_is_empty(&disk->changes))
		change_free(disk, LIST_OF(disk->changes.next, struct sim_change, link));
}

static bool list_names_file(const struct list *names, const struct sim_file *file)
{
	for (struct list *at = names->next; at != names; at = at->next)
		if (LIST_OF(at, struct sim_name, link)->file == file)
			return true;
	return false;
}

/* As a file system counts: an unlinked file takes no room once nobody has it open. */
uint64_t sim_used(const struct sim_disk *disk)
{
	uint64_t used = 0;
	for (struct list *at = disk->files.next; at != &disk->files; at = at->next) {
		const struct sim_file *file = LIST_OF(at, struct sim_file, link);
		if (file->opens > 0 || list_names_file(&disk->names, file))
			used += file->allocated;
	}
	return used;
}

static bool file_is_needed(const struct sim_disk *disk, const struct sim_file *file)
{
	for (struct list *at = disk->changes.next; at != &disk->changes; at = at->next)
		if (LIST_OF(at, struct sim_change, link)->file == file)
			return true;
	return file->opens > 0 || list_names_file(&disk->names, file) ||
	    list_names_file(&disk->names_durable, file);
}

void sim_files_collect(struct sim_disk *disk)
{
	for (struct list *at = disk->files.next, *next; at != &disk->files; at = next) {
		next = at->next;
		struct sim_file *file = LIST_OF(at, struct sim_file, link);
		if (!file_is_needed(disk, file))
			sim_file_free(disk, file);
	}
}

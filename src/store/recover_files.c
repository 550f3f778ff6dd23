/* store/recover_files.c: opens the data directories and every segment file in them. */
#include "store/recovery.h"

#include <errno.h>
#include <stdio.h>

enum file_step {
	FILE_OPEN,
	FILE_SIZE,
	FILE_HEADER,
	FILE_TRAILER,
	FILE_FIRST,           /* where the first batch would begin */
	FILE_CLOSE,
	FILE_CLOSE_UNLINK,
	FILE_UNLINK,
};

struct listing {
	struct recovery *recovery;
	enum tier        tier;
};

/* "hot-00000012.seg": its number, or 0. */
static uint32_t file_number(const char *name, enum tier tier)
{
	static const char *const prefixes[TIER_COUNT] = {"hot-", "warm-"};
	size_t len = strlen(prefixes[tier]);
	uint32_t number = 0;
	if (strncmp(name, prefixes[tier], len) != 0)
		return 0;
	const char *at = name + len;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (number > UINT32_MAX / 20)
			return 0;
		number = number * 10 + (uint32_t)(*at - '0');
	}
	return strcmp(at, ".seg") == 0 ? number : 0;
}

static void file_listed(void *ctx, const char *name, uint64_t bytes)
{
	const struct listing *listing = ctx;
	struct recovery *recovery = listing->recovery;
	struct store *store = recovery->store;
	uint32_t number = file_number(name, listing->tier);
	UNUSED(bytes);
	if (number == 0)
		return;
	store->next_segment = number >= store->next_segment ? number + 1 : store->next_segment;
	uint32_t count = recovery->name_count;
	recovery->names = memory_resize(store->memory, recovery->names,
	    count * sizeof(*recovery->names), (count + 1) * sizeof(*recovery->names));
	recovery->name_tiers = memory_resize(store->memory, recovery->name_tiers, count, count + 1);
	char *copy = memory_alloc(store->memory, strlen(name) + 1);
	memcpy(copy, name, strlen(name) + 1);
	recovery->names[count] = copy;
	recovery->name_tiers[count] = (uint8_t)listing->tier;
	recovery->name_count++;
}

static enum err recover_identity(struct recovery *recovery)
{
	struct store *store = recovery->store;
	char path[1024];
	struct buf buf;
	buf_init(&buf, store->memory);
	int len = snprintf(path, sizeof(path), "%s/store", store->dir[TIER_HOT]);
	if (len < 0 || (size_t)len >= sizeof(path))
		return ERR_TOOLARGE;
	enum err err = io_load_file(store->io, path, SECTOR, &buf);
	if (err == ERR_NOTFOUND && recovery->name_count > 0) {
		log_warning(store->log, "%s is missing though there are segments", path);
		err = ERR_CORRUPT;
	} else if (err == ERR_NOTFOUND && store->options.read_only) {
		log_warning(store->log, "%s holds no store", store->dir[TIER_HOT]);
	} else if (err == ERR_NOTFOUND) {
		uint8_t bytes[STORE_FILE_BYTES];
		io_random(store->io, store->id.bytes, sizeof(store->id.bytes));
		store_file_write(bytes, &store->id);
		err = io_save_file(store->io, path, span_of(bytes, sizeof(bytes)));
	} else if (err == OK) {
		err = store_file_parse(buf_span(&buf), &store->id);
		if (err != OK)
			log_warning(store->log, "%s: %s", path, err_name(err));
	}
	buf_fini(&buf);
	return err;
}

enum err recover_list(struct recovery *recovery)
{
	struct store *store = recovery->store;
	char path[1024];
	enum err err = OK;
	for (int tier = 0; tier < TIER_COUNT && err == OK; tier++) {
		struct listing listing = {.recovery = recovery, .tier = (enum tier)tier};
		if (store->dir[tier] == NULL)
			continue;
		if (!store->options.read_only)
			err = io_make_directory(store->io, store->dir[tier]);
		if (err == OK && tier == TIER_HOT) {
			int len = snprintf(path, sizeof(path), "%s/lock", store->dir[tier]);
			if (len < 0 || (size_t)len >= sizeof(path))
				return ERR_TOOLARGE;
			err = io_lock_file(store->io, path);
		}
		if (err == OK)
			err = io_list_directory(store->io, store->dir[tier], file_listed, &listing);
	}
	if (err == OK)
		err = recover_identity(recovery);
	if (err == OK)
		recover_manifests(recovery);
	return err;
}

/* ---- One file after the other ---- */

static void file_done(struct io_op *op, int32_t result);

static void file_go(struct recovery *recovery, enum file_step step)
{
	struct store *store = recovery->store;
	uint32_t direct = store->direct ? (uint32_t)IO_DIRECT : 0;
	struct io_transfer transfer = {
	    .fd = recovery->file_fd, .iov = &recovery->iov, .iov_count = 1};
	recovery->file_step = (uint8_t)step;
	recovery->iov = (struct iovec){.iov_base = recovery->sector, .iov_len = SECTOR};
	io_op_init(&recovery->op, file_done, recovery);
	switch (step) {
	case FILE_OPEN:
		if (!store->options.read_only)
			direct |= (uint32_t)IO_WRITE;
		io_open(store->io, &recovery->op, recovery->file_path, IO_READ | direct);
		break;
	case FILE_SIZE:
		io_file_size(store->io, &recovery->op, recovery->file_fd, &recovery->file_bytes);
		break;
	case FILE_TRAILER:
		transfer.offset = recovery->file_bytes / SECTOR * SECTOR - SECTOR;
		io_read(store->io, &recovery->op, &transfer);
		break;
	case FILE_FIRST:
		transfer.offset = SECTOR;
		io_read(store->io, &recovery->op, &transfer);
		break;
	case FILE_HEADER:
		io_read(store->io, &recovery->op, &transfer);
		break;
	case FILE_CLOSE:
	case FILE_CLOSE_UNLINK:
		io_close(store->io, &recovery->op, recovery->file_fd);
		break;
	case FILE_UNLINK:
		io_unlink(store->io, &recovery->op, recovery->file_path);
		break;
	}
}

static void file_next(struct recovery *recovery)
{
	struct store *store = recovery->store;
	memory_free(store->memory, recovery->file_path, recovery->file_path_bytes);
	recovery->file_path = NULL;
	recovery->name_at++;
	recovery_run(recovery);
}

static void file_accept(struct recovery *recovery)
{
	struct store *store = recovery->store;
	const struct segment_header *header = &recovery->header;
	const char *name = recovery->names[recovery->name_at];
	enum tier tier = recovery->name_tiers[recovery->name_at];
	if (memcmp(&header->store, &store->id, sizeof(store->id)) != 0) {
		log_warning(store->log, "%s belongs to another store: left alone",
		    recovery->file_path);
		recovery->foreign_count++;
		file_go(recovery, FILE_CLOSE);
		return;
	}
	if (header->tier != tier || segment_find(store, header->segment) != NULL) {
		log_warning(store->log, "%s: segment %u is out of place: left alone",
		    recovery->file_path, header->segment);
		store->stats.corrupt_records++;
		file_go(recovery, FILE_CLOSE);
		return;
	}
	if (header->bytes > recovery->file_bytes) {
		log_warning(store->log, "%s has lost its end: %llu bytes of %llu are there",
		    recovery->file_path, (unsigned long long)recovery->file_bytes,
		    (unsigned long long)header->bytes);
		store->stats.corrupt_records++;
	}
	struct segment *segment = segment_new(store, tier, header->segment, name);
	segment->nonce = header->nonce;
	segment->created_ms = header->created_ms;
	segment->parts = recovery->file_step == FILE_HEADER ? (uint8_t)header->parts : 0;
	segment_set_bytes(segment, header->bytes);
	segment->written = header->bytes;
	segment->fd = recovery->file_fd;
	if (header->segment >= store->next_segment)
		store->next_segment = header->segment + 1;
	file_next(recovery);
}

/* What was read of the sector; nothing, if the file ends before it. */
static bool sector_is_zero(const uint8_t *sector, int32_t bytes)
{
	for (int32_t i = 0; i < bytes; i++) {
		if (sector[i] != 0)
			return false;
	}
	return bytes >= 0;
}

/* Segments are made one after the other: only the last of a tier can be unfinished. */
static bool file_is_last(const struct recovery *recovery)
{
	enum tier tier = recovery->name_tiers[recovery->name_at];
	uint32_t number = file_number(recovery->names[recovery->name_at], tier);
	for (uint32_t i = 0; i < recovery->name_count; i++) {
		if (recovery->name_tiers[i] == tier &&
		    file_number(recovery->names[i], tier) > number)
			return false;
	}
	return true;
}

static void file_headers_read(struct recovery *recovery, enum err err)
{
	struct store *store = recovery->store;
	recovery->header_zero = recovery->header_zero && err != OK;
	if (recovery->header_zero && !file_is_last(recovery)) {
		log_warning(store->log, "%s is empty, though later segments are there: left alone",
		    recovery->file_path);
		store->stats.corrupt_records++;
		file_go(recovery, FILE_CLOSE);
		return;
	}
	if (err == OK) {
		file_accept(recovery);
	} else if (err == ERR_VERSION) {
		log_warning(store->log, "%s was written by a newer version", recovery->file_path);
		io_close_now(store->io, recovery->file_fd);
		recovery_fail(recovery, ERR_VERSION);
	} else if (recovery->header_zero && store->options.read_only) {
		file_go(recovery, FILE_CLOSE);
	} else if (recovery->header_zero) {
		log_verbose(store->log, "%s was never finished: removed", recovery->file_path);
		file_go(recovery, FILE_CLOSE_UNLINK);
	} else {
		log_warning(store->log, "%s: neither of its headers can be read: left alone",
		    recovery->file_path);
		store->stats.corrupt_records++;
		store->events.corrupt(store->ctx, (struct place){0}, NULL);
		file_go(recovery, FILE_CLOSE);
	}
}

/* A segment is zeros before its headers are written, the last one first. So a file without a
 * header was never finished, unless something lies where the first batch would. */
static void file_sector_read(struct recovery *recovery, int32_t result)
{
	struct span sector = span_of(recovery->sector, SECTOR);
	enum err err = ERR_CORRUPT;
	recovery->header_zero &= sector_is_zero(recovery->sector, result);
	if (recovery->file_step != FILE_FIRST && result == SECTOR)
		err = segment_header_parse(sector, &recovery->header);
	if (err == OK || err == ERR_VERSION || recovery->file_step == FILE_FIRST)
		file_headers_read(recovery, err);
	else if (recovery->file_step == FILE_HEADER && recovery->file_bytes >= 2 * SECTOR)
		file_go(recovery, FILE_TRAILER);
	else
		file_go(recovery, FILE_FIRST);
}

static void file_done(struct io_op *op, int32_t result)
{
	struct recovery *recovery = op->ctx;
	struct store *store = recovery->store;
	switch ((enum file_step)recovery->file_step) {
	case FILE_OPEN:
		if (result == -EINVAL && store->direct) {
			log_notice(store->log,
			    "No direct I/O on %s: buffered reads and syncs instead",
			    recovery->file_path);
			store->direct = false;
			file_go(recovery, FILE_OPEN);
		} else if (result < 0) {
			log_warning(store->log, "Cannot open %s: %s", recovery->file_path,
			    err_name(io_err(result)));
			recovery_fail(recovery, io_err(result));
		} else {
			recovery->file_fd = result;
			file_go(recovery, FILE_SIZE);
		}
		break;
	case FILE_SIZE:
		recovery->header_zero = true;
		if (result < 0) {
			recovery->header_zero = false;
			file_headers_read(recovery, ERR_CORRUPT);
		} else {
			file_go(recovery, FILE_HEADER);
		}
		break;
	case FILE_HEADER:
	case FILE_TRAILER:
	case FILE_FIRST:
		file_sector_read(recovery, result);
		break;
	case FILE_CLOSE_UNLINK:
		file_go(recovery, FILE_UNLINK);
		break;
	case FILE_CLOSE:
	case FILE_UNLINK:
		file_next(recovery);
		break;
	}
}

bool recover_files(struct recovery *recovery)
{
	struct store *store = recovery->store;
	ASSERT(recovery->name_at <= recovery->name_count);
	if (recovery->name_at == recovery->name_count && store->segment_count == 0 &&
	    recovery->foreign_count > 0) {
		log_warning(store->log, "%s/store: all segments belong to another store",
		    store->dir[TIER_HOT]);
		recovery_fail(recovery, ERR_CORRUPT);
		return false;
	}
	if (recovery->name_at == recovery->name_count)
		return true;
	recovery->file_path = segment_path_new(store, recovery->name_tiers[recovery->name_at],
	    recovery->names[recovery->name_at], &recovery->file_path_bytes);
	file_go(recovery, FILE_OPEN);
	return false;
}

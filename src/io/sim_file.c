/* io/sim_file.c: file operations of the simulated machine, with their faults, and the
 * blocking calls of start-up. An operation takes effect when it completes; a power cut
 * before that leaves any part of it. */
#include "base/arith.h"
#include "base/crc32c.h"
#include "io/sim_machine.h"

#include <errno.h>
#include <string.h>

static uint32_t iov_crc(const struct iovec *iov, uint32_t count)
{
	uint32_t crc = 0;
	for (uint32_t i = 0; i < count; i++)
		crc = crc32c(crc, span_of(iov[i].iov_base, iov[i].iov_len));
	return crc;
}

/* ---- Transfers -------------------------------------------------------------------------- */

static bool direct_is_aligned(const struct io_op *op)
{
	if (op->offset % SIM_SECTOR != 0)
		return false;
	for (uint32_t i = 0; i < op->iov_count; i++)
		if (op->iov[i].iov_len % SIM_SECTOR != 0 ||
		    (uintptr_t)op->iov[i].iov_base % SIM_GRANULE != 0)
			return false;
	return true;
}

static void flip_in(struct sim *sim, const struct io_op *op, uint64_t bytes)
{
	uint64_t bit = random_below(&sim->random, bytes * 8);
	for (uint32_t i = 0; i < op->iov_count; i++) {
		if (bit / 8 < op->iov[i].iov_len) {
			((uint8_t *)op->iov[i].iov_base)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			return;
		}
		bit -= (uint64_t)op->iov[i].iov_len * 8;
	}
}

static int32_t file_read(struct sim *sim, const struct sim_fd *fd, struct io_op *op)
{
	struct sim_file *file = fd->object;
	io_regain(op->iov, op->iov_count);
	if (sim_strikes(sim->disk, SIM_READ_EIO))
		return -EIO;
	uint64_t wanted = io_iov_bytes(op->iov, op->iov_count);
	uint64_t left = op->offset >= file->bytes ? 0 : file->bytes - op->offset;
	uint64_t bytes = min_u64(wanted, left);
	if (bytes == 0)
		return 0;
	if (sim_strikes(sim->disk, SIM_SECTOR_ROT))
		sim_file_flip(file, (op->offset + random_below(&sim->random, bytes)) * 8 +
		    random_below(&sim->random, 8));
	uint64_t done = 0;
	for (uint32_t i = 0; i < op->iov_count && done < bytes; i++) {
		size_t len = min_u64(op->iov[i].iov_len, bytes - done);
		sim_file_read(file, op->offset + done, span_of(op->iov[i].iov_base, len));
		done += len;
	}
	if (sim_strikes(sim->disk, SIM_READ_FLIP))
		flip_in(sim, op, bytes);
	return (int32_t)bytes;
}

/* Writes the first `bytes` of the iov to `offset`. */
static void iov_write(struct sim *sim, struct sim_file *file, const struct io_op *op,
    uint64_t offset, uint64_t bytes)
{
	for (uint32_t i = 0; i < op->iov_count && bytes > 0; i++) {
		size_t len = min_u64(op->iov[i].iov_len, bytes);
		sim_file_write(sim->disk, file, offset, span_of(op->iov[i].iov_base, len));
		offset += len;
		bytes -= len;
	}
}

/* Some sectors of the write reach the cache; which ones is chance. */
static void iov_write_partly(struct sim *sim, struct sim_file *file, const struct io_op *op)
{
	uint64_t offset = op->offset;
	for (uint32_t i = 0; i < op->iov_count; i++) {
		for (size_t at = 0; at < op->iov[i].iov_len;) {
			size_t room = SIM_SECTOR - (offset + at) % SIM_SECTOR;
			size_t len = min_u64(room, op->iov[i].iov_len - at);
			if (random_below(&sim->disk->random, 2) == 0)
				sim_file_write(sim->disk, file, offset + at,
				    span_of((uint8_t *)op->iov[i].iov_base + at, len));
			at += len;
		}
		offset += op->iov[i].iov_len;
	}
}

/* What the disk has room for, as much of it as is asked. */
static uint64_t write_room(struct sim *sim, const struct sim_file *file, uint64_t end)
{
	if (end <= file->allocated)
		return end;
	uint64_t used = sim_used(sim->disk), capacity = sim->disk->capacity;
	uint64_t room = file->allocated + (used >= capacity ? 0 : capacity - used);
	return min_u64(end, room / SIM_SECTOR * SIM_SECTOR);
}

static int32_t file_write(struct sim *sim, const struct sim_fd *fd, struct io_op *op)
{
	struct sim_disk *disk = sim->disk;
	struct sim_file *file = fd->object;
	uint64_t offset = (fd->flags & IO_APPEND) != 0 ? file->bytes : op->offset;
	uint64_t bytes = io_iov_bytes(op->iov, op->iov_count), asked = bytes;
	uint64_t room = write_room(sim, file, offset + bytes);
	if (room <= offset && bytes > 0)
		return -ENOSPC;
	bytes = min_u64(bytes, room - offset);
	if (sim_strikes(disk, SIM_WRITE_EIO)) {
		iov_write_partly(sim, file, op);
		return -EIO;
	}
	if (sim_strikes(disk, SIM_WRITE_LOST))
		return (int32_t)bytes;
	if (bytes > 1 && sim_strikes(disk, SIM_WRITE_SHORT)) {
		bytes = 1 + random_below(&sim->random, bytes - 1);
		if ((fd->flags & IO_DIRECT) != 0 && asked > SIM_GRANULE)
			bytes = max_u64(bytes / SIM_GRANULE * SIM_GRANULE, SIM_GRANULE);
	}
	if (sim_strikes(disk, SIM_WRITE_MISDIRECTED) && file->bytes > SIM_SECTOR)
		offset = random_below(&sim->random, file->bytes / SIM_SECTOR) * SIM_SECTOR +
		    offset % SIM_SECTOR;
	iov_write(sim, file, op, offset, bytes);
	if ((op->flags & (uint32_t)IO_DURABLE) != 0)
		sim_file_harden(disk, file, offset, bytes);
	return (int32_t)bytes;
}

static int32_t transfer(struct sim *sim, struct io_op *op)
{
	bool write = op->kind == IO_KIND_WRITE;
	struct sim_fd *fd = sim_fd_of(sim, op->fd, SIM_FD_FILE);
	if (fd == NULL || (fd->flags & (write ? IO_WRITE : IO_READ)) == 0)
		return -EBADF;
	if ((fd->flags & IO_DIRECT) != 0 && !direct_is_aligned(op))
		return -EINVAL;
	return write ? file_write(sim, fd, op) : file_read(sim, fd, op);
}

/* ---- The others --------------------------------------------------------------------------- */

static int32_t file_open(struct sim *sim, const char *path, uint32_t flags)
{
	struct sim_disk *disk = sim->disk;
	if (strlen(path) >= SIM_PATH_MAX)
		return -ENAMETOOLONG;
	struct sim_name *name = sim_name_find(&disk->names, path);
	if (name != NULL && (flags & IO_CREATE) != 0 && (flags & IO_EXCLUSIVE) != 0)
		return -EEXIST;
	if (name != NULL && name->file == NULL)
		return -EISDIR;
	if (name == NULL && (flags & IO_CREATE) == 0)
		return -ENOENT;
	int32_t fd = sim_fd_add(sim, SIM_FD_FILE, NULL);
	if (fd < 0)
		return fd;
	struct sim_file *file = name != NULL ? name->file : NULL;
	int32_t result = 0;
	if (file == NULL)
		result =
		    sim_strikes(disk, SIM_NO_SPACE) ? -ENOSPC : sim_name_create(disk, path, &file);
	if (result < 0) {
		sim_fd_remove(sim, fd);
		return result;
	}
	if ((flags & IO_TRUNCATE) != 0)
		sim_file_resize(disk, file, 0);
	file->opens++;
	sim->fds[fd].object = file;
	sim->fds[fd].flags = flags;
	return fd;
}

static int32_t file_close(struct sim *sim, int fd)
{
	struct sim_fd *entry = sim_fd_of(sim, fd, SIM_FD_FILE);
	if (entry == NULL)
		return -EBADF;
	((struct sim_file *)entry->object)->opens--;
	sim_fd_remove(sim, fd);
	sim_files_collect(sim->disk);
	return 0;
}

static int32_t file_sync(struct sim *sim, struct sim_file *file)
{
	if (sim_strikes(sim->disk, SIM_SYNC_EIO)) {
		sim_file_sync_fails(sim->disk, file);
		return -EIO;
	}
	sim_file_harden(sim->disk, file, 0, UINT64_MAX);
	return 0;
}

static int32_t file_allocate(struct sim *sim, struct sim_file *file, uint64_t bytes)
{
	uint64_t want = round_up(bytes, SIM_SECTOR);
	uint64_t more = want > file->allocated ? want - file->allocated : 0;
	uint64_t used = sim_used(sim->disk);
	if (sim_strikes(sim->disk, SIM_NO_SPACE) || used > sim->disk->capacity ||
	    more > sim->disk->capacity - used)
		return -ENOSPC;
	file->allocated += more;
	file->bytes = max_u64(file->bytes, bytes);
	return 0;
}

static int32_t operate_on_open(struct sim *sim, struct io_op *op)
{
	struct sim_fd *fd = sim_fd_of(sim, op->fd, SIM_FD_FILE);
	if (fd == NULL)
		return -EBADF;
	struct sim_file *file = fd->object;
	bool changes = op->kind == IO_KIND_ALLOCATE || op->kind == IO_KIND_TRUNCATE;
	if (changes && (fd->flags & IO_WRITE) == 0)
		return -EINVAL;
	if (op->kind == IO_KIND_SYNC)
		return file_sync(sim, file);
	if (op->kind == IO_KIND_ALLOCATE)
		return file_allocate(sim, file, op->offset);
	if (op->kind == IO_KIND_TRUNCATE)
		sim_file_resize(sim->disk, file, op->offset);
	else
		*(uint64_t *)op->iov_one.iov_base = file->bytes;
	return 0;
}

static int32_t operate(struct sim *sim, struct io_op *op)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_OPEN:
		return file_open(sim, op->path, op->flags);
	case IO_KIND_CLOSE:
		return file_close(sim, op->fd);
	case IO_KIND_READ: case IO_KIND_WRITE:
		return transfer(sim, op);
	case IO_KIND_UNLINK:
		return sim_name_unlink(sim->disk, op->path);
	case IO_KIND_RENAME:
		return sim_name_rename(sim->disk, op->path, op->path_to);
	case IO_KIND_SYNC_DIRECTORY:
		return sim_strikes(sim->disk, SIM_SYNC_EIO) ? -EIO
		    : sim_names_sync(sim->disk, op->path);
	default:
		return operate_on_open(sim, op);
	}
}

/* ---- Flights ---------------------------------------------------------------------------- */

static void flight_free(struct sim *sim, struct sim_flight *flight)
{
	list_remove(&flight->link);
	memory_free(&sim->io.memory, flight, sizeof(*flight));
}

static void flight_lands(struct sim *sim, struct sim_event *event)
{
	struct sim_flight *flight = CONTAINER_OF(event, struct sim_flight, event);
	struct io_op *op = flight->op;
	if (sim_step(sim))
		return;
	if (op->kind == IO_KIND_WRITE)
		ASSERT(iov_crc(op->iov, op->iov_count) == flight->crc);   /* changed while lent? */
	int32_t result = operate(sim, op);
	sim_trace(sim, 16 + op->kind, (uint64_t)op->fd, (uint64_t)(int64_t)result);
	flight_free(sim, flight);
	sim->ran++;
	io_op_finish(&sim->io, op, result);
}

void sim_file(struct io *io, struct io_op *op)
{
	struct sim *sim = sim_of(io);
	struct sim_flight *flight = memory_zalloc(&io->memory, sizeof(*flight));
	sim_event_init(&flight->event, flight_lands);
	flight->op = op;
	if (op->kind == IO_KIND_WRITE)
		flight->crc = iov_crc(op->iov, op->iov_count);
	list_append(&sim->flights, &flight->link);
	if (sim_step(sim))
		return;
	sim_trace(sim, 64 + op->kind, op->offset, flight->crc);
	const struct sim_faults *faults = &sim->disk->faults;
	sim_event_in(sim, &flight->event,
	    sim_latency(sim, faults->latency_us_min, faults->latency_us_max));
}

static void flight_crash(struct sim *sim, struct io_op *op)
{
	struct sim_fd *fd = sim_fd_of(sim, op->fd, SIM_FD_FILE);
	bool happened = random_below(&sim->disk->random, 2) == 0;
	if (op->kind == IO_KIND_WRITE && fd != NULL) {
		iov_write_partly(sim, fd->object, op);
	} else if (op->kind == IO_KIND_READ) {
		io_regain(op->iov, op->iov_count);
	} else if (op->kind == IO_KIND_SYNC && fd != NULL) {
		sim_file_sync_fails(sim->disk, fd->object);
	} else if (happened && op->kind == IO_KIND_UNLINK) {
		UNUSED(sim_name_unlink(sim->disk, op->path));
	} else if (happened && op->kind == IO_KIND_RENAME) {
		UNUSED(sim_name_rename(sim->disk, op->path, op->path_to));
	} else if (happened && op->kind == IO_KIND_OPEN) {
		UNUSED(file_open(sim, op->path, op->flags));
	} else if (happened && op->kind == IO_KIND_TRUNCATE && fd != NULL) {
		sim_file_resize(sim->disk, fd->object, op->offset);
	}
}

void sim_flights_crash(struct sim *sim)
{
	for (struct list *at = sim->flights.next; at != &sim->flights; at = at->next) {
		struct sim_flight *flight = LIST_OF(at, struct sim_flight, link);
		flight_crash(sim, flight->op);
	}
}

void sim_flights_free(struct sim *sim)
{
	while (!list_is_empty(&sim->flights)) {
		struct sim_flight *flight = LIST_OF(sim->flights.next, struct sim_flight, link);
		heap_remove(&sim->events, &flight->event.node);
		flight_free(sim, flight);
	}
}

/* ---- Start and end ------------------------------------------------------------------------- */

enum err sim_make_directory(struct io *io, const char *path)
{
	struct sim *sim = sim_of(io);
	if (sim->dead)
		return ERR_IO;
	if (strlen(path) >= SIM_PATH_MAX)
		return ERR_INVALID;
	struct sim_name *name = sim_name_find(&sim->disk->names, path);
	if (name != NULL)
		return name->file == NULL ? OK : ERR_EXISTS;
	sim_directory_add(sim->disk, path);
	return OK;
}

enum err sim_list_directory(struct io *io, const char *path, io_list_entry *each, void *ctx)
{
	struct sim *sim = sim_of(io);
	struct sim_name *directory = sim_name_find(&sim->disk->names, path);
	if (sim->dead)
		return ERR_IO;
	if (directory == NULL)
		return ERR_NOTFOUND;
	struct list *names = &sim->disk->names;
	for (struct list *at = names->next; at != names; at = at->next) {
		struct sim_name *name = LIST_OF(at, struct sim_name, link);
		if (sim_name_is_in(name->path, path))
			each(ctx, strrchr(name->path, '/') + 1,
			    name->file == NULL ? 0 : name->file->bytes);
	}
	return OK;
}

enum err sim_load_file(struct io *io, const char *path, size_t max, struct buf *out)
{
	struct sim *sim = sim_of(io);
	struct sim_name *name = sim_name_find(&sim->disk->names, path);
	if (sim->dead || sim_strikes(sim->disk, SIM_READ_EIO))
		return ERR_IO;
	if (name == NULL)
		return ERR_NOTFOUND;
	if (name->file == NULL)
		return ERR_INVALID;
	if (name->file->bytes > max)
		return ERR_TOOLARGE;
	size_t len = (size_t)name->file->bytes;
	if (!buf_try_reserve(out, len + 1))
		return ERR_MEMORY;
	sim_file_read(name->file, 0, span_of(out->ptr + out->len, len));
	out->len += len;
	return OK;
}

enum err sim_save_file(struct io *io, const char *path, struct span bytes)
{
	struct sim *sim = sim_of(io);
	char temporary[SIM_PATH_MAX];
	size_t len = strlen(path);
	if (len + 5 > sizeof(temporary))
		return ERR_INVALID;
	memcpy(temporary, path, len);
	memcpy(temporary + len, ".tmp", 5);
	if (sim_step(sim))
		return ERR_IO;
	int32_t fd = file_open(sim, temporary, IO_WRITE | IO_CREATE | IO_TRUNCATE);
	if (fd < 0)
		return io_err(fd);
	struct sim_file *file = sim->fds[fd].object;
	sim_file_write(sim->disk, file, 0, bytes);
	if (sim_step(sim))
		return ERR_IO;
	enum err err = io_err(file_sync(sim, file));
	file_close(sim, fd);
	if (err != OK || sim_step(sim))
		return err != OK ? err : ERR_IO;
	err = io_err(sim_name_rename(sim->disk, temporary, path));
	if (err != OK || sim_step(sim))
		return err != OK ? err : ERR_IO;
	char *slash = strrchr(temporary, '/');
	if (slash == NULL)
		return ERR_INVALID;
	*slash = 0;
	return io_err(sim_names_sync(sim->disk, temporary));
}

enum err sim_lock_file(struct io *io, const char *path)
{
	struct sim *sim = sim_of(io);
	if (sim->dead)
		return ERR_IO;
	if (io->lock_count == IO_LOCKS_MAX)
		return ERR_FULL;
	for (unsigned i = 0; i < io->lock_count; i++)
		if (strcmp(sim->locks[i], path) == 0)
			return ERR_BUSY;
	int32_t fd = file_open(sim, path, IO_WRITE | IO_CREATE);
	if (fd < 0)
		return io_err(fd);
	memcpy(sim->locks[io->lock_count++], path, strlen(path) + 1);
	return OK;
}

enum err sim_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total)
{
	struct sim *sim = sim_of(io);
	UNUSED(path);
	uint64_t used = sim_used(sim->disk);
	*total = sim->disk->capacity;
	*free = used > *total ? 0 : *total - used;
	return OK;
}

/* io/host_file.c: files before and after service, by plain blocking calls. */
#include "base/buf.h"
#include "io/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { HOST_PATH_MAX = 4096 };

static enum err last_err(void)
{
	return io_err(-errno);
}

enum err host_make_directory(struct io *io, const char *path)
{
	UNUSED(io);
	if (mkdir(path, 0750) == 0)
		return OK;
	if (errno != EEXIST)
		return last_err();
	struct stat st;
	if (stat(path, &st) != 0)
		return last_err();
	return S_ISDIR(st.st_mode) ? OK : ERR_EXISTS;
}

enum err host_list_directory(struct io *io, const char *path, io_list_entry *each, void *ctx)
{
	UNUSED(io);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return last_err();
	enum err err = OK;
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (entry == NULL) {
			err = errno == 0 ? OK : last_err();
			break;
		}
		struct stat st;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* A name that went away meanwhile is no longer an entry. */
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) != 0)
			continue;
		each(ctx, entry->d_name, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	}
	closedir(dir);
	return err;
}

enum err host_load_file(struct io *io, const char *path, size_t max, struct buf *out)
{
	UNUSED(io);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return last_err();
	enum err err = OK;
	for (;;) {
		enum { STEP = 64 << 10 };
		if (!buf_try_reserve(out, STEP)) {
			err = ERR_MEMORY;
			break;
		}
		ssize_t got = read(fd, out->ptr + out->len, STEP);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			err = got == 0 ? OK : last_err();
			break;
		}
		out->len += (size_t)got;
		if (out->len > max) {
			err = ERR_TOOLARGE;
			break;
		}
	}
	close(fd);
	return err;
}

static enum err write_all(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t put = write(fd, bytes.ptr, bytes.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return last_err();
		bytes = span_slice(bytes, (size_t)put, bytes.len);
	}
	return OK;
}

/* The directory that holds `path`. */
static enum err sync_parent(const char *path)
{
	char parent[HOST_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);
	if (len >= sizeof(parent))
		return ERR_INVALID;
	memcpy(parent, path, len);
	parent[len] = 0;
	const char *name = slash == NULL ? "." : len == 0 ? "/" : parent;
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return last_err();
	enum err err = fsync(fd) == 0 ? OK : last_err();
	close(fd);
	return err;
}

enum err host_save_file(struct io *io, const char *path, struct span bytes)
{
	UNUSED(io);
	char temporary[HOST_PATH_MAX];
	int len = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	if (len < 0 || (size_t)len >= sizeof(temporary))
		return ERR_INVALID;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, HOST_FILE_MODE);
	if (fd < 0)
		return last_err();
	enum err err = write_all(fd, bytes);
	if (err == OK && fsync(fd) != 0)
		err = last_err();
	if (close(fd) != 0 && err == OK)
		err = last_err();
	if (err == OK && rename(temporary, path) != 0)
		err = last_err();
	if (err != OK) {
		unlink(temporary);
		return err;
	}
	return sync_parent(path);
}

enum err host_lock_file(struct io *io, const char *path)
{
	if (io->lock_count == IO_LOCKS_MAX)
		return ERR_FULL;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, HOST_FILE_MODE);
	if (fd < 0)
		return last_err();
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		enum err err = errno == EWOULDBLOCK ? ERR_BUSY : last_err();
		close(fd);
		return err;
	}
	io->lock_fds[io->lock_count++] = fd;
	return OK;
}

enum err host_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total)
{
	UNUSED(io);
	struct statvfs st;
	if (statvfs(path, &st) != 0)
		return last_err();
	*free = (uint64_t)st.f_bavail * st.f_frsize;
	*total = (uint64_t)st.f_blocks * st.f_frsize;
	return OK;
}

int host_open_flags(uint32_t flags)
{
	int out = O_CLOEXEC;
	bool both = (flags & IO_READ) != 0 && (flags & IO_WRITE) != 0;
	out |= both ? O_RDWR : (flags & IO_WRITE) != 0 ? O_WRONLY : O_RDONLY;
	out |= (flags & IO_CREATE) != 0 ? O_CREAT : 0;
	out |= (flags & IO_EXCLUSIVE) != 0 ? O_EXCL : 0;
	out |= (flags & IO_TRUNCATE) != 0 ? O_TRUNC : 0;
	out |= (flags & IO_DIRECT) != 0 ? O_DIRECT : 0;
	out |= (flags & IO_APPEND) != 0 ? O_APPEND : 0;
	return out;
}

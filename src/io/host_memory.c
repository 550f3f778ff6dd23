/* io/host_memory.c: memory that a child can map, as a sealed memfd.
 *
 * A reader's descriptor is opened anew for reading through /proc. The seal that is meant
 * for this, F_SEAL_FUTURE_WRITE, also forbids us to punch holes, so an arena could never
 * give a page back; and a worker under seccomp cannot reopen the file. Where /proc is not
 * mounted the seal is used and released pages are only zeroed.
 */
#include "io/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HOST_PAGE = 4096 };

static int read_only_descriptor(int fd)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

enum err host_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out)
{
	UNUSED(io);
	*out = (struct io_memory){.fd = -1};
	int seals = F_SEAL_GROW | F_SEAL_SHRINK;
	int reader = -1;
	int fd = memfd_create("tintype", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return io_err(-errno);
	if (ftruncate(fd, (off_t)bytes) != 0)
		goto fail;
	void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ptr == MAP_FAILED)
		goto fail;
	if (read_only_for_others) {
		reader = read_only_descriptor(fd);
		if (reader < 0)
			seals |= F_SEAL_FUTURE_WRITE;
	}
	int rc = fcntl(fd, F_ADD_SEALS, seals | F_SEAL_SEAL);
	ASSERT(rc == 0);
	if (reader >= 0) {
		close(fd);
		fd = reader;
	}
	*out = (struct io_memory){.ptr = ptr, .bytes = bytes, .fd = fd};
	out->renews = (seals & F_SEAL_FUTURE_WRITE) == 0;
	return OK;
fail:;
	enum err err = errno == ENOMEM ? ERR_MEMORY : io_err(-errno);
	close(fd);
	return err;
}

void host_memory_free(struct io *io, struct io_memory *memory)
{
	UNUSED(io);
	int rc = munmap(memory->ptr, memory->bytes);
	ASSERT(rc == 0);
	close(memory->fd);
}

void host_memory_release(struct io *io, const struct io_memory *memory, size_t offset, size_t bytes)
{
	UNUSED(io);
	ASSERT(offset % HOST_PAGE == 0);
	ASSERT(bytes % HOST_PAGE == 0 || offset + bytes == memory->bytes);
	char *at = (char *)memory->ptr + offset;
	if (madvise(at, bytes, MADV_REMOVE) != 0)
		memset(at, 0, bytes);
}

/* Advises on the whole pages in a piece of memory; refused, things stay as they are. */
static void advise(void *ptr, size_t bytes, int advice)
{
	uintptr_t from = ((uintptr_t)ptr + HOST_PAGE - 1) / HOST_PAGE * HOST_PAGE;
	uintptr_t to = ((uintptr_t)ptr + bytes) / HOST_PAGE * HOST_PAGE;
	if (from < to)
		(void)madvise((uint8_t *)ptr + (from - (uintptr_t)ptr), to - from, advice);
}

void io_memory_huge(void *ptr, size_t bytes)
{
	advise(ptr, bytes, MADV_HUGEPAGE);
}

void io_memory_populate(void *ptr, size_t bytes)
{
	advise(ptr, bytes, MADV_POPULATE_WRITE);
}

void io_memory_discard(void *ptr, size_t bytes)
{
	advise(ptr, bytes, MADV_DONTNEED);
}

void io_memory_renew(void *ptr, size_t bytes)
{
	ASSERT((uintptr_t)ptr % HOST_PAGE == 0 && bytes % HOST_PAGE == 0);
	if (madvise(ptr, bytes, MADV_DONTNEED) == 0)
		return;
	/* Locked in memory: a fresh mapping in its place. */
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	void *fresh = mmap(ptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	ASSERT(fresh == ptr);
}

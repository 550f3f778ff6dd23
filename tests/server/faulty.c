/* tests/server/faulty.c: makes system calls of a server fail, and moves its clock; loaded with
 * LD_PRELOAD by test_faults.py, which writes what shall happen into the file FAULTY names.
 *
 * Only calls on segment files are struck, and only those made by the epoll back end: what goes
 * through a ring passes no library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct faulty {
	int32_t reads, writes, syncs;     /* how many of the next ones fail; -1: all */
	int32_t struck;
	int64_t clock_s;                  /* is added to the wall clock */
	int32_t no_direct, reserved;      /* the file system has no O_DIRECT */
};

static struct faulty *faulty_map(void)
{
	static struct faulty *map;
	const char *path = getenv("FAULTY");
	if (map == NULL && path != NULL) {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		void *at = fd < 0 ? MAP_FAILED
		                  : mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fd >= 0)
			close(fd);
		if (at != MAP_FAILED)
			map = at;
	}
	return map;
}

static int fails(int32_t *count, int fd)
{
	char link[32], path[512];
	char *at = link + sizeof(link) - 1;
	if (count == NULL || *count == 0)
		return 0;
	*at = 0;
	for (int n = fd; n > 0 || *at == 0; n /= 10)
		*--at = (char)('0' + n % 10);
	at -= 14;
	memcpy(at, "/proc/self/fd/", 14);
	ssize_t len = readlink(at, path, sizeof(path));
	if (len < 4 || memcmp(path + len - 4, ".seg", 4) != 0)
		return 0;
	/* Several threads call: each failure is taken by one of them. */
	int32_t left = __atomic_load_n(count, __ATOMIC_SEQ_CST);
	while (left > 0 && !__atomic_compare_exchange_n(
	                       count, &left, left - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	if (left == 0)
		return 0;
	__atomic_fetch_add(&faulty_map()->struck, 1, __ATOMIC_SEQ_CST);
	return 1;
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	struct faulty *map = number == SYS_preadv2 || number == SYS_pwritev2 ? faulty_map() : NULL;
	if (map != NULL && fails(number == SYS_preadv2 ? &map->reads : &map->writes, (int)a[0])) {
		errno = EIO;
		return -1;
	}
	if (real == NULL)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	/* The map itself is opened by way of this function, once. */
	struct faulty *map = (flags & O_DIRECT) != 0 ? faulty_map() : NULL;
	va_list list;
	va_start(list, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
	va_end(list);
	if (map != NULL && map->no_direct) {
		__atomic_fetch_add(&map->struck, 1, __ATOMIC_SEQ_CST);
		errno = EINVAL;
		return -1;
	}
	if (real == NULL)
		real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	return real(path, flags, mode);
}

int fdatasync(int fd)
{
	static int (*real)(int);
	struct faulty *map = faulty_map();
	if (map != NULL && fails(&map->syncs, fd)) {
		errno = EIO;
		return -1;
	}
	if (real == NULL)
		real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	return real(fd);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
	static int (*real)(clockid_t, struct timespec *);
	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int rc = real(id, out);
	struct faulty *map = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? faulty_map() : NULL;
	if (map != NULL)
		out->tv_sec += map->clock_s;
	return rc;
}

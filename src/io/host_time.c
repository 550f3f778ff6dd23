/* io/host_time.c: the real clocks, the kernel's random bits, log lines, and what INFO asks
 * of the machine. */
#include "io/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

static uint64_t host_ticks(void)
{
	return __rdtsc();
}

/* The counter runs at one rate, whatever the processor does. */
static bool host_ticks_are_steady(void)
{
	unsigned a, b, c, d = 0;
	return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
}
#else
static uint64_t host_ticks(void)
{
	return 0;
}

static bool host_ticks_are_steady(void)
{
	return false;
}
#endif

static uint64_t clock_us(clockid_t id)
{
	struct timespec at;
	int rc = clock_gettime(id, &at);
	ASSERT(rc == 0);
	return (uint64_t)at.tv_sec * 1000000 + (uint64_t)at.tv_nsec / 1000;
}

static uint64_t clock_forward(struct io *io, uint64_t us)
{
	if (us > io->clock.last_us)
		io->clock.last_us = us;
	return io->clock.last_us;
}

/* Every command asks for the time. Within a pass the processor's own counter tells how much of it has gone
 * by; the kernel's clock is read when a pass begins, and where it has been longer. */
uint64_t host_clock(struct io *io)
{
	uint64_t ticks = host_ticks() - io->clock.ticks;
	if (io->clock.us_per_tick == 0 || ticks > UINT32_MAX)
		return clock_forward(io, clock_us(CLOCK_MONOTONIC));
	return clock_forward(io, io->clock.us + (ticks * io->clock.us_per_tick >> 32));
}

/* How long a tick takes, measured anew every second or so against the kernel's clock. */
static void clock_measure(struct io *io, uint64_t ticks, uint64_t us)
{
	enum { FIRST_US = 50000, AGAIN_US = 1000000, MAX_US = 8000000 };
	uint64_t took_us = us - io->clock.first_us, went = ticks - io->clock.first_ticks;
	if (io->clock.first_us == 0) {
		io->clock.steady = host_ticks_are_steady();
	} else if (took_us < (io->clock.us_per_tick == 0 ? FIRST_US : AGAIN_US)) {
		return;
	} else {
		bool known = io->clock.steady && took_us < MAX_US && went > took_us;
		io->clock.us_per_tick = known ? (took_us << 32) / went : 0;
	}
	io->clock.first_us = us;
	io->clock.first_ticks = ticks;
}

void host_pass_begin(struct io *io)
{
	uint64_t us = clock_us(CLOCK_MONOTONIC), ticks = host_ticks();
	clock_measure(io, ticks, us);
	io->clock.us = us;
	io->clock.ticks = ticks;
	io->now_us = clock_forward(io, us);
	io->wall_ms = (int64_t)(clock_us(CLOCK_REALTIME) / 1000);
}

void host_random(struct io *io, void *out, size_t len)
{
	UNUSED(io);
	uint8_t *at = out;
	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);
		if (got < 0) {
			ASSERT(errno == EINTR);
			continue;
		}
		at += got;
		len -= (size_t)got;
	}
}

void host_write_line(struct io *io, int fd, struct span line)
{
	UNUSED(io);
	char end = '\n';
	struct iovec iov[2] = {{(void *)(uintptr_t)line.ptr, line.len}, {&end, 1}};
	ssize_t written;
	do
		written = writev(fd, iov, 2);
	while (written < 0 && errno == EINTR);
	/* A log that cannot be written has nowhere to complain. */
	UNUSED(written);
}

/* The value in kB of one line of /proc/self/status, in bytes; 0 if it is not there. */
static uint64_t status_bytes(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	if (at == NULL)
		return 0;
	return strtoull(at + strlen(name), NULL, 10) << 10;
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

void host_usage(struct io *io, struct io_usage *out)
{
	UNUSED(io);
	*out = (struct io_usage){.pid = getpid()};
	char status[4096];
	FILE *file = fopen("/proc/self/status", "re");
	if (file != NULL) {
		size_t got = fread(status, 1, sizeof(status) - 1, file);
		status[got] = 0;
		fclose(file);
		out->resident_bytes = status_bytes(status, "VmRSS:");
		out->resident_bytes_peak = status_bytes(status, "VmHWM:");
	}
	struct sysinfo machine;
	if (sysinfo(&machine) == 0)
		out->total_system_bytes = (uint64_t)machine.totalram * machine.mem_unit;
	struct rusage self, children;
	if (getrusage(RUSAGE_SELF, &self) == 0 && getrusage(RUSAGE_CHILDREN, &children) == 0) {
		out->cpu_user_s = seconds(self.ru_utime);
		out->cpu_system_s = seconds(self.ru_stime);
		out->cpu_user_children_s = seconds(children.ru_utime);
		out->cpu_system_children_s = seconds(children.ru_stime);
	}
	struct utsname system;
	if (uname(&system) == 0)
		snprintf(out->system, sizeof(out->system), "%.30s %.60s %.20s", system.sysname,
		    system.release, system.machine);
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		out->fd_limit = files.rlim_cur;
}

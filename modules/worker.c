/* modules/worker.c: the runtime that worker programs share; see worker.h.
 *
 * Order matters: first the program warms up (it opens files, starts threads, sets up JIT
 * memory), then the doors close for all of its threads, then it says hello. From there on it
 * can compute, allocate, and talk on descriptor 3: it has no files, no network, no processes,
 * and any other system call ends it. What libraries try in passing and survive without is
 * answered with an error instead.
 */
#include "modules/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct worker {
	const struct worker_program *program;
	uint8_t *arena;
	uint64_t arena_bytes;
};

/* ---- The doors ---- */

static const int allowed[] = {
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(alarm),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
};

/* Tried by glibc, GLib, ORC, libheif and x265, which all go on without. */
static const int refused[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(lseek),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(ioctl),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getcwd),
    SCMP_SYS(set_mempolicy),
    SCMP_SYS(get_mempolicy),
    SCMP_SYS(mbind),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_setattr),
    SCMP_SYS(setpriority),
    SCMP_SYS(getpriority),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrusage),
    SCMP_SYS(unlink),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
};

/* Allowed only with one argument as it should be. */
static bool allow_guarded(scmp_filter_ctx filter)
{
	const struct {
		int call;
		struct scmp_arg_cmp only;
	} guarded[] = {
	    {SCMP_SYS(read), {0, SCMP_CMP_EQ, WORKER_FD_CHANNEL, 0}},
	    {SCMP_SYS(write), {0, SCMP_CMP_EQ, WORKER_FD_CHANNEL, 0}},
	    {SCMP_SYS(write), {0, SCMP_CMP_EQ, STDERR_FILENO, 0}},
	    {SCMP_SYS(mmap), {3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS}},
	    {SCMP_SYS(mmap), {4, SCMP_CMP_MASKED_EQ, UINT32_MAX, WORKER_FD_INPUT}},
	    {SCMP_SYS(prctl), {0, SCMP_CMP_EQ, PR_SET_NAME, 0}},
	    {SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}},
	    /* abort() in a library: it may die by its own hand only. */
	    {SCMP_SYS(tgkill), {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0}},
	    {SCMP_SYS(rt_sigaction), {0, SCMP_CMP_EQ, SIGABRT, 0}},
	};
	for (size_t i = 0; i < ARRAY_COUNT(guarded); i++)
		if (seccomp_rule_add_array(
		        filter, SCMP_ACT_ALLOW, guarded[i].call, 1, &guarded[i].only) != 0)
			return false;
	/* Its arguments lie in memory, where no filter can see them: glibc falls back to clone. */
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

static bool close_doors(void)
{
	const struct rlimit none = {0, 0};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	bool done = filter != NULL && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
	    allow_guarded(filter);
	for (size_t i = 0; done && i < ARRAY_COUNT(allowed); i++)
		done = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
	for (size_t i = 0; done && i < ARRAY_COUNT(refused); i++)
		done = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0) == 0;
	done = done && setrlimit(RLIMIT_NOFILE, &none) == 0 &&
	    setrlimit(RLIMIT_FSIZE, &none) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0) == 0 && seccomp_load(filter) == 0;
	if (filter != NULL)
		seccomp_release(filter);
	return done;
}

/* From here on libraries would print what strangers' images make them say. */
static bool mute(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return null >= 0 && dup2(null, STDERR_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0;
}

/* ---- Messages ---- */

static bool receive_message(struct worker_message *message)
{
	size_t have = 0;
	while (have < sizeof(*message)) {
		ssize_t got =
		    read(WORKER_FD_CHANNEL, (char *)message + have, sizeof(*message) - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false; /* the server is gone: so are we */
		have += (size_t)got;
	}
	return message->magic == WORKER_MAGIC && message->abi == WORKER_ABI;
}

static bool send_message(const struct worker_message *message)
{
	size_t sent = 0;
	while (sent < sizeof(*message)) {
		ssize_t put =
		    write(WORKER_FD_CHANNEL, (const char *)message + sent, sizeof(*message) - sent);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		sent += (size_t)put;
	}
	return true;
}

static bool say_hello(const struct worker *worker)
{
	struct worker_message hello = worker_message_of(WORKER_HELLO, 0);
	hello.hello.message_bytes = sizeof(struct worker_message);
	hello.hello.note_bytes = WORKER_NOTE_BYTES;
	hello.hello.plan_bytes = worker->program->plan_bytes;
	hello.hello.plan_version = worker->program->plan_version;
	hello.hello.arena_bytes = worker->arena_bytes;
	return send_message(&hello);
}

/* ---- Jobs ---- */

/* Only the pages of this source: the input may be larger than our address space limit. */
struct window {
	void *map;
	size_t bytes;
};

static bool window_open(
    struct window *window, const struct worker_message *job, struct span *source)
{
	enum { PAGE = 4096 };
	uint64_t from = job->job.source_offset / PAGE * PAGE;
	uint64_t skip = job->job.source_offset - from;
	window->bytes = (size_t)(skip + job->job.source_bytes);
	window->map = mmap(NULL, window->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE,
	    WORKER_FD_INPUT, (off_t)from);
	if (window->map == MAP_FAILED)
		return false;
	*source = span_of((const uint8_t *)window->map + skip, (size_t)job->job.source_bytes);
	return true;
}

static bool do_job(struct worker *worker, const struct worker_message *job)
{
	uint8_t plan[WORKER_NOTE_BYTES];
	struct window window;
	struct worker_answer answer = {0};
	struct worker_task task = {
	    .plan = plan,
	    .result = worker->arena + WORKER_NOTE_BYTES,
	    .result_bytes_max = worker->arena_bytes - WORKER_NOTE_BYTES,
	};
	if (job->job.plan_bytes != worker->program->plan_bytes)
		return false;
	memcpy(plan, worker->arena, worker->program->plan_bytes);
	if (task.result_bytes_max > job->job.result_bytes_max)
		task.result_bytes_max = job->job.result_bytes_max;
	if (!window_open(&window, job, &task.source))
		return false;
	alarm(job->job.seconds_max);
	worker->program->run(&task, &answer);
	alarm(0);
	munmap(window.map, window.bytes);

	struct worker_message result = worker_message_of(WORKER_RESULT, job->number);
	result.result.status = answer.status;
	if (answer.status == WORKER_DONE) {
		result.result.bytes = answer.bytes;
		result.result.width = answer.width;
		result.result.height = answer.height;
		result.result.format = answer.format;
	} else {
		answer.why[sizeof(answer.why) - 1] = 0;
		result.result.why_bytes = (uint32_t)strlen(answer.why);
		memcpy(worker->arena, answer.why, result.result.why_bytes);
	}
	return send_message(&result);
}

int worker_main(const struct worker_program *program)
{
	struct worker worker = {.program = program};
	struct worker_message message;
	struct stat arena;
	ASSERT(program->plan_bytes <= WORKER_NOTE_BYTES);
	if (fstat(WORKER_FD_CHANNEL, &arena) != 0 || !S_ISSOCK(arena.st_mode) ||
	    fstat(WORKER_FD_ARENA, &arena) != 0 || arena.st_size <= WORKER_NOTE_BYTES) {
		fprintf(stderr, "this program is started by tintype-server\n");
		return 2;
	}
	worker.arena_bytes = (uint64_t)arena.st_size;
	worker.arena =
	    mmap(NULL, worker.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_ARENA, 0);
	if (worker.arena == MAP_FAILED || !program->prepare()) {
		fprintf(stderr, "the worker could not warm up\n");
		return 1;
	}
	if (!mute() || !close_doors())
		return 3;                 /* no seccomp here: better no worker than an open one */
	if (!say_hello(&worker))
		return 1;
	while (receive_message(&message) && message.kind == WORKER_JOB)
		if (!do_job(&worker, &message))
			break;
	_exit(0); /* no destructors: they would want what is refused */
}

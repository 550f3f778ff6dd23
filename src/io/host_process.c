/* io/host_process.c: children and signals.
 *
 * A child is made with CLONE_VM | CLONE_VFORK on a stack of its own, as posix_spawn does
 * it: fork would copy the page tables of a process that may hold gigabytes. Until it execs,
 * the child shares our memory while we stand still; it only makes system calls, and says
 * through the shared struct why it could not go on. posix_spawn itself knows neither
 * resource limits nor the death signal.
 */
#include "io/host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILD_STACK_BYTES = 64 << 10,
	CHILD_FD_FIRST = 3,
	CHILD_FDS_MAX = 16,
	SIGNAL_MAX = 64,
};

struct spawn {
	const struct io_spawn_options *options;
	pid_t                          parent;
	int                            error;      /* errno of what failed; 0 once exec worked */
};

static bool child_descriptors(const struct io_spawn_options *options)
{
	int moved[CHILD_FDS_MAX];
	int null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, 0) < 0)
		return false;
	/* First out of the way of each other's final places. */
	int floor = CHILD_FD_FIRST + (int)options->fd_count;
	for (uint32_t i = 0; i < options->fd_count; i++) {
		moved[i] = fcntl(options->fds[i], F_DUPFD, floor);
		if (moved[i] < 0)
			return false;
	}
	for (uint32_t i = 0; i < options->fd_count; i++)
		if (dup2(moved[i], CHILD_FD_FIRST + (int)i) < 0)
			return false;
	return syscall(SYS_close_range, floor, ~0u, 0) == 0;
}

/* Handlers are code of the parent: none may run here. */
static bool child_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	for (int signo = 1; signo <= SIGNAL_MAX; signo++)
		sigaction(signo, &plain, NULL);
	sigset_t none;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

#if defined(__clang__) || defined(__GNUC__)
__attribute__((no_sanitize("address")))
#endif
static int child_main(void *ctx)
{
	struct spawn *spawn = ctx;
	const struct io_spawn_options *options = spawn->options;
	char *environment[] = {(char[]){"PATH=/usr/local/bin:/usr/bin:/bin"},
	    (char[]){"LANG=C.UTF-8"}, NULL};
	struct rlimit memory = {options->memory_bytes_max, options->memory_bytes_max};
	struct rlimit core = {0, 0};
	bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == spawn->parent &&
	    setrlimit(RLIMIT_CORE, &core) == 0 && child_descriptors(options) &&
	    (options->memory_bytes_max == 0 || setrlimit(RLIMIT_AS, &memory) == 0) &&
	    (options->nice == 0 || setpriority(PRIO_PROCESS, 0, options->nice) == 0) &&
	    child_signals();
	if (ready)
		execve(options->path, (char *const *)(uintptr_t)options->argv, environment);
	spawn->error = errno != 0 ? errno : ECHILD;
	_exit(127);
}

enum err host_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options)
{
	UNUSED(io);
	ASSERT(options->fd_count <= CHILD_FDS_MAX);
	struct spawn spawn = {.options = options, .parent = getpid()};
	char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return ERR_MEMORY;
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int pid_fd = -1;
	pid_t pid = clone(child_main, stack + CHILD_STACK_BYTES,
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &spawn, &pid_fd);
	int why = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(stack, CHILD_STACK_BYTES);
	if (pid < 0)
		return io_err(-why);
	if (spawn.error != 0) {
		waitpid(pid, NULL, 0);
		close(pid_fd);
		return io_err(-spawn.error);
	}
	child->pid = pid;
	child->pid_fd = pid_fd;
	return OK;
}

void host_kill(struct io *io, struct io_child *child)
{
	UNUSED(io);
	ASSERT(child->pid > 0);
	/* Not reaped yet, or pid would be 0: the number is still this child's. */
	kill(child->pid, SIGKILL);
}

void host_child_exited(struct io *io, struct io_child *child)
{
	UNUSED(io);
	ASSERT(child->pid > 0);
	int status = 0;
	pid_t got;
	do
		got = waitpid(child->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	ASSERT(got == child->pid);
	close(child->pid_fd);
	child->pid_fd = -1;
	child->pid = 0;
	child->armed = 0;
	child->exited(child, status);
}

void host_watch_signals(struct io *io)
{
	ASSERT(io->signal_fd < 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	int rc = sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT(rc == 0);
	io->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ASSERT(io->signal_fd >= 0);
}

unsigned host_signals_read(struct io *io)
{
	unsigned ran = 0;
	struct signalfd_siginfo info;
	while (read(io->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		io->caught(io->caught_ctx, (int)info.ssi_signo);
		ran++;
	}
	return ran;
}

/* tests/unit/image/programs/captive.c: a worker on the real runtime that tries to get out: the
 * source of a job says how. What did not kill it is its reason for failing. */
#include "image/transform.h"
#include "modules/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool prepare(void)
{
	return true;
}

static int try_write_input(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_INPUT, 0) ==
	        MAP_FAILED
	    ? -1
	    : 0;
}

static int try_memory(size_t bytes)
{
	void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return block == MAP_FAILED ? -1 : 0;
}

static int try_spawn(void)
{
	char *argv[] = {NULL};
	return execve("/bin/true", argv, argv);
}

static int attempt(const char *what)
{
	if (strcmp(what, "open") == 0)
		return open("/etc/passwd", O_RDONLY);
	if (strcmp(what, "create") == 0)
		return open("/tmp/captive", O_RDWR | O_CREAT, 0600);
	if (strcmp(what, "socket") == 0)
		return socket(AF_INET, SOCK_STREAM, 0);
	if (strcmp(what, "fork") == 0)
		return fork();
	if (strcmp(what, "exec") == 0)
		return try_spawn();
	if (strcmp(what, "kill") == 0)
		return kill(getppid(), 0);
	if (strcmp(what, "ptrace") == 0)
		return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	if (strcmp(what, "input") == 0)
		return try_write_input();
	if (strcmp(what, "chdir") == 0)
		return chdir("/");
	if (strcmp(what, "memory") == 0)
		return try_memory((size_t)8 << 30);
	return 0;
}

static void run(const struct worker_task *task, struct worker_answer *answer)
{
	char what[64] = {0};
	memcpy(what, task->source.ptr, task->source.len < 63 ? task->source.len : 63);
	errno = 0;
	int rc = attempt(what);
	answer->status = WORKER_BAD_SOURCE;
	snprintf(answer->why, sizeof(answer->why), rc < 0 ? "refused %s" : "allowed %s", what);
}

int main(void)
{
	static const struct worker_program program = {
	    .plan_bytes = sizeof(struct transform_plan),
	    .plan_version = TRANSFORM_VERSION,
	    .prepare = prepare,
	    .run = run,
	};
	return worker_main(&program);
}

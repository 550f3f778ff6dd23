/* tests/unit/image/programs/rogue.c: a worker program that misbehaves in the way that its
 * name says (rogue-NAME); it speaks the wire format and nothing else. */
#include "base/endian.h"
#include "image/transform.h"
#include "modules/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const struct worker_message *message)
{
	if (write(WORKER_FD_CHANNEL, message, sizeof(*message)) != (ssize_t)sizeof(*message))
		_exit(1);
}

static void hello(uint64_t arena_bytes, uint32_t plan_version)
{
	struct worker_message message = worker_message_of(WORKER_HELLO, 0);
	message.hello.message_bytes = sizeof(message);
	message.hello.note_bytes = WORKER_NOTE_BYTES;
	message.hello.plan_bytes = sizeof(struct transform_plan);
	message.hello.plan_version = plan_version;
	message.hello.arena_bytes = arena_bytes;
	say(&message);
}

/* A result that claims everything that was ordered; `bytes` of whatever lies in the arena. */
static struct worker_message claim(
    uint64_t number, const struct transform_plan *plan, uint64_t bytes)
{
	struct worker_message message = worker_message_of(WORKER_RESULT, number);
	message.result.bytes = bytes;
	message.result.width = plan->width;
	message.result.height = plan->height;
	message.result.format = plan->target_format;
	return message;
}

/* A bitmap's header: what the server's probe looks at, and so the smallest good answer. */
static void draw(uint8_t *out, uint32_t width, uint32_t height)
{
	memset(out, 0, 4096);
	memcpy(out, "BM", 2);
	store_le32(out + 10, 54);
	store_le32(out + 14, 40);
	store_le32(out + 18, width);
	store_le32(out + 22, height);
	store_le16(out + 26, 1);
	store_le16(out + 28, 24);
}

static void misbehave(const char *mode, const struct worker_message *job, uint8_t *arena)
{
	struct transform_plan plan;
	memcpy(&plan, arena, sizeof(plan));
	struct worker_message answer = claim(job->number, &plan, 4096);
	if (strcmp(mode, "crash") == 0)
		abort();
	if (strcmp(mode, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(mode, "quit") == 0)
		_exit(3);
	if (strcmp(mode, "huge") == 0)
		answer.result.bytes = UINT64_MAX - 8;
	else if (strcmp(mode, "number") == 0)
		answer.number++;
	else if (strcmp(mode, "magic") == 0)
		answer.magic ^= 1;
	else if (strcmp(mode, "status") == 0)
		answer.result.status = 99;
	else if (strcmp(mode, "kind") == 0)
		answer.kind = WORKER_HELLO;
	else if (strcmp(mode, "size") == 0)
		answer.result.width++;
	else if (strcmp(mode, "empty") == 0)
		answer.result.bytes = 0;
	else if (strcmp(mode, "why") == 0 || strcmp(mode, "twice") == 0)
		answer = worker_message_of(WORKER_RESULT, job->number);
	draw(arena + WORKER_NOTE_BYTES, plan.width + (strcmp(mode, "other") == 0), plan.height);
	if (strcmp(mode, "bytes") == 0)
		memset(arena + WORKER_NOTE_BYTES, 'x', 4096);
	if (strcmp(mode, "why") == 0 || strcmp(mode, "twice") == 0) {
		memset(arena, '\n', WORKER_NOTE_BYTES);
		answer.result.status = WORKER_BAD_SOURCE;
		answer.result.why_bytes = UINT32_MAX;
	}
	say(&answer);
	if (strcmp(mode, "twice") == 0)
		say(&answer);
}

int main(int argc, char **argv)
{
	struct worker_message job;
	struct stat stat;
	const char *dash = argc > 0 ? strrchr(argv[0], '-') : NULL;
	const char *mode = dash == NULL ? "" : dash + 1;
	if (fstat(WORKER_FD_ARENA, &stat) != 0)
		return 2;
	uint64_t bytes = (uint64_t)stat.st_size;
	uint8_t *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_ARENA, 0);
	if (arena == MAP_FAILED || strcmp(mode, "stillborn") == 0)
		return 1;
	hello(bytes, TRANSFORM_VERSION + (strcmp(mode, "version") == 0));
	while (read(WORKER_FD_CHANNEL, &job, sizeof(job)) == (ssize_t)sizeof(job))
		misbehave(mode, &job, arena);
	return 0;
}

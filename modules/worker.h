/* modules/worker.h: what the server and a worker program say to each other, and the runtime
 * that worker programs share.
 *
 * A worker is started with three descriptors: a stream socket to the server, memory that it
 * may only read (where the sources lie), and memory that is its own to write (the arena).
 * Messages are 64 bytes each way, in the machine's byte order: both ends are one machine.
 *
 *   worker -> server   HELLO, once, when it is warm and locked in
 *   server -> worker   JOB; one at a time
 *   worker -> server   RESULT
 *
 * The arena begins with a note of WORKER_NOTE_BYTES: there the server leaves the plan of the
 * job, and the worker the reason why it failed. The result lies behind the note.
 *
 * The server believes nothing of this: it checks the lengths, copies, and looks at the copy.
 */
#pragma once
#include "base/span.h"

enum {
	WORKER_MAGIC = 0x54774b72,
	WORKER_ABI = 1,
	WORKER_NOTE_BYTES = 4096,
	WORKER_FD_CHANNEL = 3,
	WORKER_FD_INPUT = 4,
	WORKER_FD_ARENA = 5,
	WORKER_WHY_BYTES = 96,
};

enum worker_kind { WORKER_HELLO = 1, WORKER_JOB = 2, WORKER_RESULT = 3 };

enum worker_status {
	WORKER_DONE,
	WORKER_BAD_SOURCE,                /* it cannot be decoded */
	WORKER_UNABLE,                    /* the plan is not for this program */
	WORKER_NO_ROOM,                   /* the result is larger than the arena */
};

struct worker_message {
	uint32_t magic;
	uint16_t abi;
	uint16_t kind;
	uint64_t number;                  /* of the job, by the server; the result repeats it */
	union {
		struct {
			/* sizes as the worker knows them */
			uint32_t message_bytes, note_bytes;
			uint32_t plan_bytes, plan_version;
			uint64_t arena_bytes;
		} hello;
		struct {
			uint64_t source_offset, source_bytes;     /* in the input memory */
			uint64_t result_bytes_max;
			uint32_t plan_bytes;
			uint32_t seconds_max;     /* it ends itself after so many */
		} job;
		struct {
			uint64_t bytes;           /* behind the note; 0 unless done */
			uint32_t status;          /* enum worker_status */
			uint32_t width, height, format;
			uint32_t why_bytes;       /* of the note; 0 if done */
			uint32_t spare;
		} result;
		uint8_t pad[48];
	};
};
_Static_assert(sizeof(struct worker_message) == 64, "one message is 64 bytes");

/* Empty but for its head. */
static inline struct worker_message worker_message_of(enum worker_kind kind, uint64_t number)
{
	struct worker_message message;
	memset(&message, 0, sizeof(message));
	message.magic = WORKER_MAGIC;
	message.abi = WORKER_ABI;
	message.kind = (uint16_t)kind;
	message.number = number;
	return message;
}

/* ---- The runtime (worker.c), for worker programs only ----------------------------------- */

struct worker_task {
	struct span    source;            /* read only, gone after the call */
	const void    *plan;
	uint8_t       *result;            /* room for result_bytes_max */
	uint64_t       result_bytes_max;
};

struct worker_answer {
	enum worker_status status;
	uint64_t bytes;
	uint32_t width, height, format;
	char     why[WORKER_WHY_BYTES];
};

struct worker_program {
	uint32_t plan_bytes, plan_version;
	/* Loads every library and runs every code path once, before the doors close. */
	bool   (*prepare)(void);
	void   (*run)(const struct worker_task *task, struct worker_answer *answer);
};

/* Warms up, locks itself in, says hello, serves until the server goes away. Returns the
 * program's exit status. */
int worker_main(const struct worker_program *program);

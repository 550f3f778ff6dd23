/* tests/unit/io/rig.h: one body, three machines.
 *
 * BACKENDS(name) makes a test of `static void name(struct rig *rig)` for io_uring, epoll and
 * the simulator; HOSTS(name) only for the two real ones. Waiting is always for a condition,
 * with a limit that only a broken back end reaches.
 */
#pragma once
#include "base/buf.h"
#include "io/io.h"
#include "io/sim.h"

#include <criterion/criterion.h>

struct rig {
	enum io_backend  backend;
	struct io       *io;
	struct sim_disk *disk;            /* sim only */
	char             dir[64];
	struct tls      *tls;             /* rig_run_secure: streams speak it; else NULL */
	struct memory    memory;
};

void rig_run(enum io_backend backend, void (*body)(struct rig *rig));
void rig_run_secure(enum io_backend backend, void (*body)(struct rig *rig));

#define HOSTS(name) \
	Test(io_uring, name, .timeout = 60) { rig_run(IO_URING, name); } \
	Test(io_epoll, name, .timeout = 60) { rig_run(IO_EPOLL, name); }
#define BACKENDS(name) \
	HOSTS(name) \
	Test(io_sim, name, .timeout = 60) { rig_run(IO_SIM, name); }

/* The same over TLS on all three. */
#define BACKENDS_TLS(name) \
	Test(tls_uring, name, .timeout = 60) { rig_run_secure(IO_URING, name); } \
	Test(tls_epoll, name, .timeout = 60) { rig_run_secure(IO_EPOLL, name); } \
	Test(tls_sim, name, .timeout = 60) { rig_run_secure(IO_SIM, name); }

/* Runs passes until *flag; fails the test if nothing comes. */
void rig_until(struct rig *rig, const bool *flag);
/* A path in the rig's directory; one of four static buffers. */
const char *rig_path(struct rig *rig, const char *name);

/* One operation, waited for. */
struct call {
	struct io_op op;
	int32_t      result;
	bool         done;
};
void call_init(struct call *call);
int32_t rig_call_wait(struct rig *rig, struct call *call);

int32_t rig_open(struct rig *rig, const char *path, uint32_t flags);
int32_t rig_close(struct rig *rig, int fd);
int32_t rig_read(struct rig *rig, int fd, uint64_t offset, void *to, size_t len);
int32_t rig_write(struct rig *rig, int fd, uint64_t offset, struct span bytes);
int32_t rig_write_durable(struct rig *rig, int fd, uint64_t offset, struct span bytes);
int32_t rig_sync(struct rig *rig, int fd);
int32_t rig_sync_directory(struct rig *rig);

/* One end of a connection, which notes all that happens to it. */
struct end {
	struct io_stream stream;
	struct rig      *rig;
	struct buf       received;
	struct iovec     iov;
	bool             eof, broken, sent, paused, filled, closed;
	enum err         sent_err, filled_err, broken_err;
	size_t           filled_bytes;
	size_t           pause_at;        /* pauses once so many bytes were received; 0: never */
	bool             pausing;
};
void end_open(struct rig *rig, struct end *end, int fd);
/* One that speaks no TLS, even in a secure rig. */
void end_open_plain(struct rig *rig, struct end *end, int fd);
/* The end that began the connection: the client, where there is TLS. */
void end_open_connecting(struct rig *rig, struct end *end, int fd);
void end_send(struct end *end, struct span bytes);
void end_until_received(struct end *end, size_t bytes);
void end_close(struct end *end);          /* and waits for closed() */
void end_fini(struct end *end);

/* Bytes that tell their own place. */
void pattern_fill(uint8_t *to, size_t len, uint64_t seed);

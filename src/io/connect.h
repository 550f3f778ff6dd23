/* io/connect.h: outgoing connections; a part of io.h that few need. */
#pragma once
#include "io/io.h"

struct io_lookup;

/* Caller's storage, all zero but done and ctx. */
struct io_connect {
	uint32_t     magic;
	/* From io_wait, once: a connected descriptor for io_stream_open (or io_close_now), or -errno;
	 * -ETIMEDOUT, -ENOENT (no such name). The storage is the caller's again. */
	void       (*done)(struct io_connect *connect, int32_t fd);
	void        *ctx;
	struct io   *io;                  /* the seam's, from here on */
	struct io_timer timer;
	uint64_t     deadline_us, wait_us;
	int          fd;
	uint16_t     port;
	struct io_lookup *lookup;
	char         address[IO_ADDRESS_MAX];
};
/* Connects by TCP to a numeric address or to a name, which is looked up aside. */
void io_connect_start(struct io *io, struct io_connect *connect, const char *host, uint16_t port,
    uint64_t timeout_us);
/* done() will not run. Safe when nothing is under way. */
void io_connect_cancel(struct io_connect *connect);

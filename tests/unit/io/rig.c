/* tests/unit/io/rig.c: see rig.h. */
#include "certs.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RIG_WAIT_MAX_US = 30000000 };

static void rig_run_as(enum io_backend backend, bool secure, void (*body)(struct rig *rig))
{
	struct rig rig = {.backend = backend};
	if (backend == IO_SIM) {
		rig.disk = sim_disk_new(7);
		rig.io = sim_new(rig.disk, 11, NULL);
		snprintf(rig.dir, sizeof(rig.dir), "/data");
		cr_assert_eq(io_make_directory(rig.io, rig.dir), OK);
	} else {
		struct io_options options = {.backend = backend};
		cr_assert_eq(io_new(&rig.io, &options), OK);
		snprintf(rig.dir, sizeof(rig.dir), "/tmp/tintype-io-XXXXXX");
		cr_assert(mkdtemp(rig.dir) != NULL);
	}
	if (secure)
		rig.tls = certs_tls(&rig);
	body(&rig);
	if (secure)
		tls_free(rig.tls);
	io_free(rig.io);
	if (backend == IO_SIM) {
		sim_disk_free(rig.disk);
		return;
	}
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", rig.dir);
	cr_assert_eq(system(command), 0);
}

void rig_run(enum io_backend backend, void (*body)(struct rig *rig))
{
	rig_run_as(backend, false, body);
}

void rig_run_secure(enum io_backend backend, void (*body)(struct rig *rig))
{
	rig_run_as(backend, true, body);
}

void rig_until(struct rig *rig, const bool *flag)
{
	uint64_t limit = io_clock_us(rig->io) + RIG_WAIT_MAX_US;
	while (!*flag) {
		io_wait(rig->io, 1000000);
		cr_assert(*flag || io_clock_us(rig->io) < limit, "nothing came");
	}
}

const char *rig_path(struct rig *rig, const char *name)
{
	static char paths[4][128];
	static unsigned at;
	char *path = paths[at++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", rig->dir, name);
	return path;
}

static void call_done(struct io_op *op, int32_t result)
{
	struct call *call = op->ctx;
	cr_assert(!call->done);
	call->result = result;
	call->done = true;
}

void call_init(struct call *call)
{
	*call = (struct call){.result = INT32_MIN};
	io_op_init(&call->op, call_done, call);
}

int32_t rig_call_wait(struct rig *rig, struct call *call)
{
	cr_assert(!call->done, "a callback ran inside the call that submitted");
	rig_until(rig, &call->done);
	cr_assert(io_op_is_idle(&call->op));
	return call->result;
}

int32_t rig_open(struct rig *rig, const char *path, uint32_t flags)
{
	struct call call;
	call_init(&call);
	io_open(rig->io, &call.op, path, flags);
	return rig_call_wait(rig, &call);
}

int32_t rig_close(struct rig *rig, int fd)
{
	struct call call;
	call_init(&call);
	io_close(rig->io, &call.op, fd);
	return rig_call_wait(rig, &call);
}

static int32_t rig_transfer(struct rig *rig, bool write, struct io_transfer *transfer)
{
	struct call call;
	call_init(&call);
	if (write)
		io_write(rig->io, &call.op, transfer);
	else
		io_read(rig->io, &call.op, transfer);
	return rig_call_wait(rig, &call);
}

int32_t rig_read(struct rig *rig, int fd, uint64_t offset, void *to, size_t len)
{
	struct iovec iov = {to, len};
	struct io_transfer transfer = {.fd = fd, .offset = offset, .iov = &iov, .iov_count = 1};
	return rig_transfer(rig, false, &transfer);
}

int32_t rig_write(struct rig *rig, int fd, uint64_t offset, struct span bytes)
{
	struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
	struct io_transfer transfer = {.fd = fd, .offset = offset, .iov = &iov, .iov_count = 1};
	return rig_transfer(rig, true, &transfer);
}

int32_t rig_write_durable(struct rig *rig, int fd, uint64_t offset, struct span bytes)
{
	struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
	struct io_transfer transfer = {.fd = fd, .durable = true, .offset = offset, .iov = &iov,
	    .iov_count = 1};
	return rig_transfer(rig, true, &transfer);
}

int32_t rig_sync(struct rig *rig, int fd)
{
	struct call call;
	call_init(&call);
	io_sync(rig->io, &call.op, fd);
	return rig_call_wait(rig, &call);
}

int32_t rig_sync_directory(struct rig *rig)
{
	struct call call;
	call_init(&call);
	io_sync_directory(rig->io, &call.op, rig->dir);
	return rig_call_wait(rig, &call);
}

/* ---- Connections ---------------------------------------------------------------------- */

static void on_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct end *end = stream->ctx;
	cr_assert(!end->paused, "received() while paused");
	cr_assert(!end->closed);
	if (err != OK)
		end->broken = true, end->broken_err = err;
	else if (bytes.len == 0)
		end->eof = true;
	buf_append(&end->received, bytes);
	if (end->pause_at > 0 && end->received.len >= end->pause_at && !end->pausing) {
		end->pausing = true;
		io_stream_pause(end->rig->io, stream);
	}
}

static void on_sent(struct io_stream *stream, enum err err)
{
	struct end *end = stream->ctx;
	cr_assert(!end->sent);
	end->sent = true;
	end->sent_err = err;
}

static void on_paused(struct io_stream *stream)
{
	struct end *end = stream->ctx;
	cr_assert(!end->paused);
	end->paused = true;
	end->pausing = false;
}

static void on_filled(struct io_stream *stream, size_t bytes, enum err err)
{
	struct end *end = stream->ctx;
	end->filled = true;
	end->filled_bytes = bytes;
	end->filled_err = err;
}

static void on_closed(struct io_stream *stream)
{
	struct end *end = stream->ctx;
	cr_assert(!end->closed);
	end->closed = true;
}

static const struct io_stream_events end_events = {
	.received = on_received,
	.sent = on_sent,
	.paused = on_paused,
	.filled = on_filled,
	.closed = on_closed,
};

static void end_open_as(struct rig *rig, struct end *end, int fd, bool connecting)
{
	*end = (struct end){.rig = rig};
	buf_init(&end->received, &rig->memory);
	if (rig->tls == NULL)
		io_stream_open(rig->io, &end->stream, fd, &end_events, end);
	else
		tls_stream_open(rig->tls, &end->stream,
		    &(struct tls_stream_options){
		        .fd = fd, .connecting = connecting, .host = "localhost", .check_host = true},
		    &end_events, end);
}

void end_open(struct rig *rig, struct end *end, int fd)
{
	end_open_as(rig, end, fd, false);
}

void end_open_plain(struct rig *rig, struct end *end, int fd)
{
	struct tls *tls = rig->tls;
	rig->tls = NULL;
	end_open(rig, end, fd);
	rig->tls = tls;
}

void end_open_connecting(struct rig *rig, struct end *end, int fd)
{
	end_open_as(rig, end, fd, true);
}

void end_send(struct end *end, struct span bytes)
{
	end->sent = false;
	end->iov = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
	io_stream_send(end->rig->io, &end->stream, &end->iov, 1);
	cr_assert(!end->sent, "a callback ran inside the call that submitted");
}

void end_until_received(struct end *end, size_t bytes)
{
	uint64_t limit = io_clock_us(end->rig->io) + RIG_WAIT_MAX_US;
	while (end->received.len < bytes) {
		cr_assert(!end->eof && !end->broken);
		io_wait(end->rig->io, 1000000);
		cr_assert(io_clock_us(end->rig->io) < limit, "%zu of %zu bytes came",
		    end->received.len, bytes);
	}
}

void end_close(struct end *end)
{
	io_stream_close(end->rig->io, &end->stream);
	io_stream_close(end->rig->io, &end->stream);
	rig_until(end->rig, &end->closed);
}

void end_fini(struct end *end)
{
	if (!end->closed)
		end_close(end);
	buf_fini(&end->received);
}

void pattern_fill(uint8_t *to, size_t len, uint64_t seed)
{
	struct random random;
	random_init(&random, seed);
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)random_next(&random);
}

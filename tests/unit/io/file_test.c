/* tests/unit/io/file_test.c: files, on all three back ends. */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>

static void written_bytes_read_back(struct rig *rig)
{
	uint8_t out[10000], in[10000];
	pattern_fill(out, sizeof(out), 1);
	int fd = rig_open(rig, rig_path(rig, "a"), IO_READ | IO_WRITE | IO_CREATE);
	cr_assert_geq(fd, 0);
	cr_assert_eq(rig_write(rig, fd, 0, span_of(out, sizeof(out))), (int)sizeof(out));
	cr_assert_eq(rig_sync(rig, fd), 0);
	cr_assert_eq(rig_read(rig, fd, 0, in, sizeof(in)), (int)sizeof(in));
	cr_assert_arr_eq(in, out, sizeof(in));
	cr_assert_eq(rig_read(rig, fd, 9000, in, 5000), 1000, "short at the end of the file");
	cr_assert_arr_eq(in, out + 9000, 1000);
	cr_assert_eq(rig_read(rig, fd, 20000, in, 100), 0);
	cr_assert_eq(rig_close(rig, fd), 0);
}
BACKENDS(written_bytes_read_back)

static void vectors_gather_and_scatter(struct rig *rig)
{
	uint8_t a[3] = {1, 2, 3}, b[5] = {4, 5, 6, 7, 8}, c[4], d[4];
	int fd = rig_open(rig, rig_path(rig, "v"), IO_READ | IO_WRITE | IO_CREATE);
	struct iovec out[2] = {{a, 3}, {b, 5}}, in[2] = {{c, 4}, {d, 4}};
	struct io_transfer transfer = {.fd = fd, .durable = true, .iov = out, .iov_count = 2};
	struct call call;
	call_init(&call);
	io_write(rig->io, &call.op, &transfer);
	cr_assert_eq(rig_call_wait(rig, &call), 8);
	transfer = (struct io_transfer){.fd = fd, .iov = in, .iov_count = 2};
	call_init(&call);
	io_read(rig->io, &call.op, &transfer);
	cr_assert_eq(rig_call_wait(rig, &call), 8);
	cr_assert_arr_eq(c, ((uint8_t[]){1, 2, 3, 4}), 4);
	cr_assert_arr_eq(d, ((uint8_t[]){5, 6, 7, 8}), 4);
	rig_close(rig, fd);
}
BACKENDS(vectors_gather_and_scatter)

static void direct_durable_write_reads_back(struct rig *rig)
{
	enum { LEN = 64 << 10 };
	uint8_t *out = memory_try_alloc_aligned(&rig->memory, 4096, LEN);
	uint8_t *in = memory_try_alloc_aligned(&rig->memory, 4096, LEN);
	cr_assert(out != NULL && in != NULL);
	pattern_fill(out, LEN, 2);
	int fd = rig_open(rig, rig_path(rig, "d"), IO_READ | IO_WRITE | IO_CREATE | IO_DIRECT);
	cr_assert_geq(fd, 0);
	cr_assert_eq(rig_write_durable(rig, fd, 4096, span_of(out, LEN)), LEN);
	cr_assert_eq(rig_read(rig, fd, 4096, in, LEN), LEN);
	cr_assert_arr_eq(in, out, LEN);
	cr_assert_eq(rig_write(rig, fd, 100, span_of(out, 4096)), -EINVAL, "not aligned");
	rig_close(rig, fd);
	memory_free(&rig->memory, out, LEN);
	memory_free(&rig->memory, in, LEN);
}
BACKENDS(direct_durable_write_reads_back)

static void missing_and_existing_files_are_told(struct rig *rig)
{
	int32_t result = rig_open(rig, rig_path(rig, "none"), IO_READ);
	cr_assert_eq(result, -ENOENT);
	cr_assert_eq(io_err(result), ERR_NOTFOUND);
	int fd = rig_open(rig, rig_path(rig, "x"), IO_WRITE | IO_CREATE | IO_EXCLUSIVE);
	cr_assert_geq(fd, 0);
	cr_assert_eq(rig_open(rig, rig_path(rig, "x"), IO_WRITE | IO_CREATE | IO_EXCLUSIVE), -EEXIST);
	rig_close(rig, fd);
	struct call call;
	call_init(&call);
	io_unlink(rig->io, &call.op, rig_path(rig, "none"));
	cr_assert_eq(rig_call_wait(rig, &call), -ENOENT);
}
BACKENDS(missing_and_existing_files_are_told)

static uint64_t size_of(struct rig *rig, int fd)
{
	uint64_t bytes = UINT64_MAX;
	struct call call;
	call_init(&call);
	io_file_size(rig->io, &call.op, fd, &bytes);
	cr_assert_eq(bytes, UINT64_MAX);
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	return bytes;
}

static void sizes_follow_allocate_and_truncate(struct rig *rig)
{
	int fd = rig_open(rig, rig_path(rig, "s"), IO_READ | IO_WRITE | IO_CREATE);
	struct call call;
	call_init(&call);
	io_allocate(rig->io, &call.op, fd, 1 << 20);
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	cr_assert_eq(size_of(rig, fd), 1 << 20);
	uint8_t byte = 1;
	cr_assert_eq(rig_read(rig, fd, 12345, &byte, 1), 1);
	cr_assert_eq(byte, 0);
	call_init(&call);
	io_truncate(rig->io, &call.op, fd, 5000);
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	cr_assert_eq(size_of(rig, fd), 5000);
	rig_close(rig, fd);
	fd = rig_open(rig, rig_path(rig, "s"), IO_READ | IO_WRITE | IO_TRUNCATE);
	cr_assert_eq(size_of(rig, fd), 0);
	rig_close(rig, fd);
}
BACKENDS(sizes_follow_allocate_and_truncate)

static void truncation_hides_the_old_tail(struct rig *rig)
{
	uint8_t bytes[6000], zero[6000] = {0}, in[6000];
	pattern_fill(bytes, sizeof(bytes), 3);
	int fd = rig_open(rig, rig_path(rig, "t"), IO_READ | IO_WRITE | IO_CREATE);
	cr_assert_eq(rig_write(rig, fd, 0, span_of(bytes, 6000)), 6000);
	struct call call;
	call_init(&call);
	io_truncate(rig->io, &call.op, fd, 10);
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	call_init(&call);
	io_truncate(rig->io, &call.op, fd, 6000);
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	cr_assert_eq(rig_read(rig, fd, 0, in, 6000), 6000);
	cr_assert_arr_eq(in, bytes, 10);
	cr_assert_arr_eq(in + 10, zero, 5990);
	rig_close(rig, fd);
}
BACKENDS(truncation_hides_the_old_tail)

struct listing {
	unsigned count;
	uint64_t bytes;
	char     last[64];
};

static void listing_add(void *ctx, const char *name, uint64_t bytes)
{
	struct listing *listing = ctx;
	listing->count++;
	listing->bytes += bytes;
	strncpy(listing->last, name, sizeof(listing->last) - 1);
}

static void rename_replaces_and_unlink_removes(struct rig *rig)
{
	int a = rig_open(rig, rig_path(rig, "a"), IO_WRITE | IO_CREATE);
	int b = rig_open(rig, rig_path(rig, "b"), IO_WRITE | IO_CREATE);
	cr_assert_eq(rig_write(rig, a, 0, SPAN_LIT("from a")), 6);
	cr_assert_eq(rig_write(rig, b, 0, SPAN_LIT("b")), 1);
	rig_close(rig, a);
	rig_close(rig, b);
	struct call call;
	call_init(&call);
	io_rename(rig->io, &call.op, rig_path(rig, "a"), rig_path(rig, "b"));
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	cr_assert_eq(rig_sync_directory(rig), 0);
	struct listing listing = {0};
	cr_assert_eq(io_list_directory(rig->io, rig->dir, listing_add, &listing), OK);
	cr_assert_eq(listing.count, 1);
	cr_assert_eq(listing.bytes, 6);
	cr_assert_str_eq(listing.last, "b");
	call_init(&call);
	io_unlink(rig->io, &call.op, rig_path(rig, "b"));
	cr_assert_eq(rig_call_wait(rig, &call), 0);
	listing = (struct listing){0};
	cr_assert_eq(io_list_directory(rig->io, rig->dir, listing_add, &listing), OK);
	cr_assert_eq(listing.count, 0);
}
BACKENDS(rename_replaces_and_unlink_removes)

static void saved_file_loads(struct rig *rig)
{
	struct buf in;
	buf_init(&in, &rig->memory);
	const char *path = rig_path(rig, "conf");
	cr_assert_eq(io_load_file(rig->io, path, 100, &in), ERR_NOTFOUND);
	cr_assert_eq(io_save_file(rig->io, path, SPAN_LIT("one")), OK);
	cr_assert_eq(io_save_file(rig->io, path, SPAN_LIT("twelve")), OK);
	cr_assert_eq(io_load_file(rig->io, path, 6, &in), OK);
	cr_assert(span_equal(buf_span(&in), SPAN_LIT("twelve")));
	buf_clear(&in);
	cr_assert_eq(io_load_file(rig->io, path, 5, &in), ERR_TOOLARGE);
	uint64_t free_bytes = 0, total = 0;
	cr_assert_eq(io_disk_space(rig->io, rig->dir, &free_bytes, &total), OK);
	cr_assert(free_bytes > 0 && free_bytes <= total);
	buf_fini(&in);
}
BACKENDS(saved_file_loads)

static void lock_is_exclusive(struct rig *rig)
{
	const char *path = rig_path(rig, "lock");
	cr_assert_eq(io_lock_file(rig->io, path), OK);
	cr_assert_eq(io_lock_file(rig->io, path), ERR_BUSY);
}
BACKENDS(lock_is_exclusive)

static void more_operations_than_the_queue_holds(struct rig *rig)
{
	enum { MANY = 10000 };
	struct call *calls = memory_zalloc(&rig->memory, MANY * sizeof(*calls));
	uint8_t *in = memory_zalloc(&rig->memory, MANY);
	struct iovec *iov = memory_zalloc(&rig->memory, MANY * sizeof(*iov));
	int fd = rig_open(rig, rig_path(rig, "many"), IO_READ | IO_WRITE | IO_CREATE);
	uint8_t out[MANY];
	pattern_fill(out, MANY, 4);
	cr_assert_eq(rig_write(rig, fd, 0, span_of(out, MANY)), MANY);
	for (int i = 0; i < MANY; i++) {
		call_init(&calls[i]);
		iov[i] = (struct iovec){in + i, 1};
		/* Single bytes: poison needs granules, so each buffer is a whole allocation's part. */
		struct io_transfer transfer = {.fd = fd, .offset = (uint64_t)i, .iov = &iov[i],
		    .iov_count = 1};
		io_read(rig->io, &calls[i].op, &transfer);
	}
	for (int i = 0; i < MANY; i++) {
		rig_until(rig, &calls[i].done);
		cr_assert_eq(calls[i].result, 1);
	}
	cr_assert_arr_eq(in, out, MANY);
	cr_assert_geq(io_get_stats(rig->io)->file_bytes_read, MANY);
	rig_close(rig, fd);
	memory_free(&rig->memory, calls, MANY * sizeof(*calls));
	memory_free(&rig->memory, in, MANY);
	memory_free(&rig->memory, iov, MANY * sizeof(*iov));
}
BACKENDS(more_operations_than_the_queue_holds)

/* tests/unit/io/sim_test.c: what only the simulated machine does: power cuts, faults, the
 * same again from the same seed. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { S = 4096 };

struct world {
	struct rig rig;
	uint64_t   seed;
};

static void world_boot(struct world *world, uint64_t seed)
{
	world->seed = seed;
	world->rig.backend = IO_SIM;
	if (world->rig.disk == NULL)
		world->rig.disk = sim_disk_new(seed);
	world->rig.io = sim_new(world->rig.disk, seed + 1, NULL);
	strcpy(world->rig.dir, "/d");
	cr_assert_eq(io_make_directory(world->rig.io, "/d"), OK);
}

static void world_crash(struct world *world)
{
	sim_crash(world->rig.disk);
	sim_io_abandon(world->rig.io);
	world_boot(world, world->seed + 1);
}

static void world_end(struct world *world)
{
	io_free(world->rig.io);
	sim_disk_free(world->rig.disk);
}

static int create(struct world *world, const char *path, uint32_t flags)
{
	int fd = rig_open(&world->rig, path, IO_READ | IO_WRITE | IO_CREATE | flags);
	cr_assert_geq(fd, 0);
	return fd;
}

static void sectors_fill(uint8_t *sectors, size_t count, uint8_t with)
{
	memset(sectors, with, count * S);
}

Test(sim_disk, synced_content_survives_every_power_cut)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct world world = {0};
		uint8_t out[3 * S], in[3 * S];
		pattern_fill(out, sizeof(out), seed);
		world_boot(&world, seed);
		int fd = create(&world, "/d/a", 0);
		cr_assert_eq(rig_write(&world.rig, fd, 0, span_of(out, 2 * S)), 2 * S);
		cr_assert_eq(rig_sync(&world.rig, fd), 0);
		cr_assert_eq(rig_write_durable(&world.rig, fd, 2 * S, span_of(out + 2 * S, S)), S);
		cr_assert_eq(rig_sync_directory(&world.rig), 0);
		world_crash(&world);
		fd = rig_open(&world.rig, "/d/a", IO_READ);
		cr_assert_geq(fd, 0);
		cr_assert_eq(rig_read(&world.rig, fd, 0, in, sizeof(in)), 3 * S);
		cr_assert_arr_eq(in, out, sizeof(in));
		world_end(&world);
	}
}

/* 0: old, 1: new, 2: torn; fails the test for anything else. */
static int outcome(const uint8_t *sector)
{
	unsigned fresh = 0;
	for (unsigned granule = 0; granule < S / 512; granule++) {
		uint8_t first = sector[granule * 512];
		cr_assert(first == 1 || first == 2);
		for (unsigned i = 0; i < 512; i++)
			cr_assert_eq(sector[granule * 512 + i], first, "torn within a granule");
		fresh += first == 2;
	}
	return fresh == 0 ? 0 : fresh == S / 512 ? 1 : 2;
}

static void crash_with_unsynced_write(uint64_t seed, bool in_flight, unsigned seen[3])
{
	struct world world = {0};
	uint8_t sectors[4 * S];
	world_boot(&world, seed);
	int fd = create(&world, "/d/a", 0);
	sectors_fill(sectors, 4, 1);
	cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(sectors, 4 * S)), 4 * S);
	cr_assert_eq(rig_sync_directory(&world.rig), 0);
	sectors_fill(sectors, 4, 2);
	struct iovec iov = {sectors, 4 * S};
	struct io_transfer transfer = {.fd = fd, .durable = in_flight, .iov = &iov, .iov_count = 1};
	struct call call;
	call_init(&call);
	io_write(world.rig.io, &call.op, &transfer);
	if (!in_flight)
		cr_assert_eq(rig_call_wait(&world.rig, &call), 4 * S);
	world_crash(&world);
	cr_assert_eq(call.done, !in_flight);
	fd = rig_open(&world.rig, "/d/a", IO_READ);
	cr_assert_eq(rig_read(&world.rig, fd, 0, sectors, 4 * S), 4 * S);
	for (unsigned i = 0; i < 4; i++)
		seen[outcome(sectors + i * S)]++;
	world_end(&world);
}

Test(sim_disk, unsynced_sectors_are_old_new_or_torn)
{
	unsigned cached[3] = {0}, flying[3] = {0};
	for (uint64_t seed = 0; seed < 100; seed++) {
		crash_with_unsynced_write(seed, false, cached);
		crash_with_unsynced_write(seed, true, flying);
	}
	for (int i = 0; i < 3; i++) {
		cr_assert_gt(cached[i], 40, "%d", i);
		cr_assert_gt(flying[i], 20, "%d", i);
	}
}

static bool exists(struct world *world, const char *path)
{
	int fd = rig_open(&world->rig, path, IO_READ);
	if (fd >= 0)
		rig_close(&world->rig, fd);
	else
		cr_assert_eq(fd, -ENOENT);
	return fd >= 0;
}

Test(sim_disk, names_survive_for_sure_only_once_synced)
{
	unsigned created = 0, moved = 0, kept = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct world world = {0};
		struct call call;
		world_boot(&world, seed);
		rig_close(&world.rig, create(&world, "/d/sure", 0));
		rig_close(&world.rig, create(&world, "/d/from", 0));
		rig_close(&world.rig, create(&world, "/d/gone", 0));
		cr_assert_eq(rig_sync_directory(&world.rig), 0);
		rig_close(&world.rig, create(&world, "/d/new", 0));
		call_init(&call);
		io_rename(world.rig.io, &call.op, "/d/from", "/d/to");
		cr_assert_eq(rig_call_wait(&world.rig, &call), 0);
		call_init(&call);
		io_unlink(world.rig.io, &call.op, "/d/gone");
		cr_assert_eq(rig_call_wait(&world.rig, &call), 0);
		world_crash(&world);
		cr_assert(exists(&world, "/d/sure"));
		cr_assert_neq(exists(&world, "/d/from"), exists(&world, "/d/to"), "rename is atomic");
		created += exists(&world, "/d/new");
		moved += exists(&world, "/d/to");
		kept += exists(&world, "/d/gone");
		world_end(&world);
	}
	cr_assert(created > 50 && created < 150);
	cr_assert(moved > 50 && moved < 150);
	cr_assert(kept > 50 && kept < 150);
}

/* A crash at each step of io_save_file leaves the old content or the new. */
Test(sim_disk, saving_a_file_is_atomic_at_every_step)
{
	unsigned old = 0, new = 0;
	for (uint64_t step = 1; step <= 4; step++) {
		for (uint64_t seed = 0; seed < 50; seed++) {
			struct world world = {0};
			struct buf in = {0};
			buf_init(&in, &world.rig.memory);
			world_boot(&world, seed);
			cr_assert_eq(io_save_file(world.rig.io, "/d/f", SPAN_LIT("old")), OK);
			sim_crash_after(world.rig.io, step);
			cr_assert_eq(io_save_file(world.rig.io, "/d/f", SPAN_LIT("newer")), ERR_IO);
			cr_assert(sim_is_dead(world.rig.io));
			world_crash(&world);
			cr_assert_eq(io_load_file(world.rig.io, "/d/f", 100, &in), OK);
			bool is_old = span_equal(buf_span(&in), SPAN_LIT("old"));
			cr_assert(is_old || span_equal(buf_span(&in), SPAN_LIT("newer")));
			old += is_old;
			new += !is_old;
			buf_fini(&in);
			world_end(&world);
		}
	}
	cr_assert_gt(old, 50);
	cr_assert_gt(new, 3);
}

Test(sim_disk, power_cut_at_a_step_freezes_everything)
{
	struct world world = {0};
	struct call calls[5];
	uint8_t byte = 7;
	struct iovec iov = {&byte, 1};
	world_boot(&world, 1);
	int fd = create(&world, "/d/a", 0);
	struct io_transfer transfer = {.fd = fd, .iov = &iov, .iov_count = 1};
	sim_crash_after(world.rig.io, 5 + 2);
	for (int i = 0; i < 5; i++) {
		call_init(&calls[i]);
		io_write(world.rig.io, &calls[i].op, &transfer);
	}
	for (int i = 0; i < 20; i++)
		io_wait(world.rig.io, 1000);
	unsigned done = 0;
	for (int i = 0; i < 5; i++)
		done += calls[i].done;
	cr_assert(sim_is_dead(world.rig.io));
	cr_assert_eq(done, 1, "the second completion was the seventh step");
	cr_assert_eq(io_wait(world.rig.io, IO_FOREVER), 0);
	sim_io_abandon(world.rig.io);
	sim_disk_free(world.rig.disk);
}

/* ---- Faults ------------------------------------------------------------------------------- */

Test(sim_faults, each_call_fails_as_asked)
{
	struct world world = {0};
	uint8_t sectors[4 * S] = {0};
	world_boot(&world, 3);
	struct sim_disk *disk = world.rig.disk;
	int fd = create(&world, "/d/a", 0);
	cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(sectors, 4 * S)), 4 * S);

	sim_fail_call(disk, SIM_READ_EIO, 2);
	cr_assert_eq(rig_read(&world.rig, fd, 0, sectors, S), S);
	cr_assert_eq(rig_read(&world.rig, fd, 0, sectors, S), -EIO);
	cr_assert_eq(rig_read(&world.rig, fd, 0, sectors, S), S);
	cr_assert_eq(sim_fault_count(disk, SIM_READ_EIO), 1);

	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	cr_assert_eq(rig_write(&world.rig, fd, 0, span_of(sectors, S)), -EIO);

	sim_fail_call(disk, SIM_WRITE_SHORT, 1);
	int32_t put = rig_write(&world.rig, fd, 0, span_of(sectors, 4 * S));
	cr_assert(put > 0 && put < 4 * S);

	sim_fail_call(disk, SIM_NO_SPACE, 1);
	cr_assert_eq(rig_open(&world.rig, "/d/b", IO_WRITE | IO_CREATE), -ENOSPC);
	cr_assert(!exists(&world, "/d/b"));
	sim_fail_call(disk, SIM_NO_SPACE, 1);
	struct call call;
	call_init(&call);
	io_allocate(world.rig.io, &call.op, fd, 1 << 20);
	cr_assert_eq(rig_call_wait(&world.rig, &call), -ENOSPC);

	int64_t before = io_wall_ms(world.rig.io);
	sim_fail_call(disk, SIM_CLOCK_JUMP, 1);
	io_wait(world.rig.io, 1000);
	cr_assert_gt(llabs(io_wall_ms(world.rig.io) - before), 100);
	world_end(&world);
}

Test(sim_faults, lost_and_misdirected_writes_say_that_all_is_well)
{
	struct world world = {0};
	uint8_t sectors[8 * S];
	world_boot(&world, 5);
	int fd = create(&world, "/d/a", IO_DIRECT);
	uint8_t *buf = memory_try_alloc_aligned(&world.rig.memory, S, 8 * S);
	sectors_fill(buf, 8, 1);
	cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(buf, 8 * S)), 8 * S);
	sectors_fill(buf, 8, 2);
	sim_fail_call(world.rig.disk, SIM_WRITE_LOST, 1);
	cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(buf, S)), S);
	cr_assert_eq(rig_read(&world.rig, fd, 0, buf, 8 * S), 8 * S);
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(buf[i * S], 1);
	unsigned elsewhere = 0;
	for (int round = 0; round < 20; round++) {
		sectors_fill(buf, 8, (uint8_t)(10 + round));
		sim_fail_call(world.rig.disk, SIM_WRITE_MISDIRECTED, 1);
		cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(buf, S)), S);
		cr_assert_eq(rig_read(&world.rig, fd, 0, buf, 8 * S), 8 * S);
		memcpy(sectors, buf, sizeof(sectors));
		for (unsigned i = 1; i < 8; i++)
			elsewhere += sectors[i * S] == 10 + round;
	}
	cr_assert_gt(elsewhere, 10);
	memory_free(&world.rig.memory, buf, 8 * S);
	world_end(&world);
}

static unsigned bits_set(const uint8_t *bytes, size_t len)
{
	unsigned bits = 0;
	for (size_t i = 0; i < len; i++)
		bits += (unsigned)__builtin_popcount(bytes[i]);
	return bits;
}

Test(sim_faults, flips_pass_and_rot_stays)
{
	struct world world = {0};
	uint8_t in[2 * S] = {0};
	world_boot(&world, 6);
	int fd = create(&world, "/d/a", 0);
	cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(in, 2 * S)), 2 * S);
	sim_fail_call(world.rig.disk, SIM_READ_FLIP, 1);
	rig_read(&world.rig, fd, 0, in, 2 * S);
	cr_assert_eq(bits_set(in, 2 * S), 1);
	rig_read(&world.rig, fd, 0, in, 2 * S);
	cr_assert_eq(bits_set(in, 2 * S), 0);
	sim_fail_call(world.rig.disk, SIM_SECTOR_ROT, 1);
	rig_read(&world.rig, fd, 0, in, 2 * S);
	cr_assert_eq(bits_set(in, 2 * S), 1);
	rig_read(&world.rig, fd, 0, in, 2 * S);
	cr_assert_eq(bits_set(in, 2 * S), 1);
	cr_assert(sim_flip_bit(world.rig.disk, "/d/a", 12345));
	cr_assert(!sim_flip_bit(world.rig.disk, "/d/a", 2 * S * 8));
	cr_assert(!sim_flip_bit(world.rig.disk, "/d/none", 0));
	world_end(&world);
}

/* As Linux: after the failed sync the content reads well, the next sync succeeds, and yet
 * a power cut may show the old content. */
Test(sim_faults, failed_sync_loses_what_it_could_not_write)
{
	unsigned lost = 0, kept = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct world world = {0};
		uint8_t in[S], one[S], two[S];
		memset(one, 1, S);
		memset(two, 2, S);
		world_boot(&world, seed);
		int fd = create(&world, "/d/a", 0);
		cr_assert_eq(rig_write_durable(&world.rig, fd, 0, span_of(one, S)), S);
		cr_assert_eq(rig_sync_directory(&world.rig), 0);
		cr_assert_eq(rig_write(&world.rig, fd, 0, span_of(two, S)), S);
		sim_fail_call(world.rig.disk, SIM_SYNC_EIO, 1);
		cr_assert_eq(rig_sync(&world.rig, fd), -EIO);
		cr_assert_eq(rig_read(&world.rig, fd, 0, in, S), S);
		cr_assert_arr_eq(in, two, S);
		cr_assert_eq(rig_sync(&world.rig, fd), 0);
		world_crash(&world);
		fd = rig_open(&world.rig, "/d/a", IO_READ);
		cr_assert_eq(rig_read(&world.rig, fd, 0, in, S), S);
		lost += in[0] == 1;
		kept += in[0] == 2;
		world_end(&world);
	}
	cr_assert_eq(lost + kept, 60);
	cr_assert_gt(lost, 10);
	cr_assert_gt(kept, 10);
}

Test(sim_faults, full_disk_refuses_until_room_is_made)
{
	struct world world = {0};
	struct call call;
	uint64_t free_bytes = 0, total = 0;
	world_boot(&world, 8);
	sim_set_capacity(world.rig.disk, 10 * S);
	int a = create(&world, "/d/a", 0), b = create(&world, "/d/b", 0);
	call_init(&call);
	io_allocate(world.rig.io, &call.op, a, 8 * S);
	cr_assert_eq(rig_call_wait(&world.rig, &call), 0);
	call_init(&call);
	io_allocate(world.rig.io, &call.op, b, 8 * S);
	cr_assert_eq(rig_call_wait(&world.rig, &call), -ENOSPC);
	uint8_t bytes[4 * S] = {0};
	cr_assert_eq(rig_write(&world.rig, b, 0, span_of(bytes, 4 * S)), 2 * S, "all the room");
	cr_assert_eq(rig_write(&world.rig, b, 2 * S, span_of(bytes, 1)), -ENOSPC);
	cr_assert_eq(io_disk_space(world.rig.io, "/d", &free_bytes, &total), OK);
	cr_assert_eq(free_bytes, 0);
	rig_close(&world.rig, a);
	call_init(&call);
	io_unlink(world.rig.io, &call.op, "/d/a");
	cr_assert_eq(rig_call_wait(&world.rig, &call), 0);
	cr_assert_eq(rig_write(&world.rig, b, 2 * S, span_of(bytes, 4 * S)), 4 * S);
	world_end(&world);
}

Test(sim_faults, chances_and_latencies_are_kept)
{
	struct world world = {0};
	struct sim_faults faults = {.latency_us_min = 5000, .latency_us_max = 6000};
	uint8_t byte = 0;
	unsigned failed = 0;
	world_boot(&world, 9);
	int fd = create(&world, "/d/a", 0);
	cr_assert_eq(rig_write(&world.rig, fd, 0, span_of(&byte, 1)), 1);
	faults.chance_ppm[SIM_READ_EIO] = 300000;
	sim_set_faults(world.rig.disk, &faults);
	for (int i = 0; i < 200; i++) {
		uint64_t before = io_clock_us(world.rig.io);
		int32_t result = rig_read(&world.rig, fd, 0, &byte, 1);
		uint64_t took = io_clock_us(world.rig.io) - before;
		cr_assert(took >= 4990 && took <= 6200, "%zu", (size_t)took);
		cr_assert(result == 1 || result == -EIO);
		failed += result == -EIO;
	}
	cr_assert(failed > 30 && failed < 100, "%u", failed);
	cr_assert_eq(sim_fault_count(world.rig.disk, SIM_READ_EIO), failed);
	world_end(&world);
}

/* ---- The same again ------------------------------------------------------------------------ */

struct noise {
	struct io_op op;
	struct rig  *rig;
	unsigned     done;
	uint8_t      bytes[700];
	struct iovec iov;
	uint64_t     order;
	unsigned    *count;
};

static void noise_done(struct io_op *op, int32_t result)
{
	struct noise *noise = op->ctx;
	cr_assert_eq(result, 700);
	noise->order = ++*noise->count;
}

/* Fifty writes at once; returns the trace, and a number that tells the order of completion. */
static uint64_t noise_run(uint64_t seed, uint64_t *order)
{
	struct world world = {0};
	struct noise noises[50];
	unsigned count = 0;
	world_boot(&world, seed);
	int fd = create(&world, "/d/a", 0);
	for (unsigned i = 0; i < 50; i++) {
		noises[i] = (struct noise){.rig = &world.rig, .count = &count};
		noises[i].iov = (struct iovec){noises[i].bytes, 700};
		struct io_transfer transfer = {.fd = fd, .offset = i * 500, .iov = &noises[i].iov,
		    .iov_count = 1};
		io_op_init(&noises[i].op, noise_done, &noises[i]);
		io_write(world.rig.io, &noises[i].op, &transfer);
	}
	while (count < 50)
		io_wait(world.rig.io, IO_FOREVER);
	*order = 0;
	for (unsigned i = 0; i < 50; i++)
		*order = *order * 31 + noises[i].order;
	uint64_t trace = sim_trace_hash(world.rig.io);
	world_end(&world);
	return trace;
}

Test(sim_seed, same_seed_same_trace_other_seed_other_order)
{
	uint64_t a, b, c;
	uint64_t first = noise_run(1, &a), again = noise_run(1, &b), other = noise_run(2, &c);
	cr_assert_eq(first, again);
	cr_assert_eq(a, b);
	cr_assert_neq(first, other);
	cr_assert_neq(a, c, "completions are reordered");
}

Test(sim_seed, buffer_changed_while_lent_is_found_out, .signal = SIGABRT)
{
	struct world world = {0};
	uint8_t bytes[S] = {0};
	struct iovec iov = {bytes, S};
	struct call call;
	world_boot(&world, 1);
	struct io_transfer transfer = {.fd = create(&world, "/d/a", 0), .iov = &iov, .iov_count = 1};
	call_init(&call);
	io_write(world.rig.io, &call.op, &transfer);
	bytes[17] = 1;
	rig_call_wait(&world.rig, &call);
}

/* ---- Network, programs ---------------------------------------------------------------------- */

struct door {
	struct io_listener listener;
	struct rig        *rig;
	struct end         ends[8];
	unsigned           count;
};

static void door_accepted(struct io_listener *listener, int fd)
{
	struct door *door = listener->ctx;
	cr_assert_lt(door->count, 8);
	end_open(door->rig, &door->ends[door->count++], fd);
}

static void door_open(struct door *door, struct world *world)
{
	*door = (struct door){.rig = &world->rig};
	door->listener.accepted = door_accepted;
	door->listener.ctx = door;
	struct io_listen_options options = {.address = "127.0.0.1", .port = 6379, .backlog = 16};
	cr_assert_eq(io_listen(world->rig.io, &door->listener, &options), OK);
}

static void door_until(struct door *door, unsigned count)
{
	for (int i = 0; i < 10000 && door->count < count; i++)
		io_wait(door->rig->io, 100000);
	cr_assert_eq(door->count, count);
}

Test(sim_net, client_talks_to_the_server)
{
	struct world world = {0};
	struct door door;
	world_boot(&world, 4);
	cr_assert_null(sim_connect(world.rig.io, "127.0.0.1", 6379));
	door_open(&door, &world);
	struct sim_peer *peer = sim_connect(world.rig.io, "127.0.0.1", 6379);
	cr_assert_not_null(peer);
	door_until(&door, 1);
	sim_peer_send(peer, SPAN_LIT("PING\r\n"));
	end_until_received(&door.ends[0], 6);
	end_send(&door.ends[0], SPAN_LIT("+PONG\r\n"));
	rig_until(&world.rig, &door.ends[0].sent);
	cr_assert(span_equal(buf_span(sim_peer_received(peer)), SPAN_LIT("+PONG\r\n")));
	char address[IO_ADDRESS_MAX];
	io_stream_address(world.rig.io, &door.ends[0].stream, true, address);
	cr_assert_str_eq(address, "127.0.0.1:6379");
	sim_peer_send(peer, SPAN_LIT("bye"));
	sim_peer_close(peer);
	rig_until(&world.rig, &door.ends[0].eof);
	cr_assert_eq(door.ends[0].received.len, 9);
	end_fini(&door.ends[0]);
	sim_peer_free(peer);
	io_listener_close(world.rig.io, &door.listener);
	world_end(&world);
}

Test(sim_net, peer_that_does_not_read_holds_the_send)
{
	struct world world = {0};
	struct door door;
	world_boot(&world, 4);
	door_open(&door, &world);
	struct sim_peer *peer = sim_connect(world.rig.io, "127.0.0.1", 6379);
	door_until(&door, 1);
	sim_peer_set_reading(peer, false);
	uint8_t *bytes = memory_zalloc(&world.rig.memory, 1 << 20);
	end_send(&door.ends[0], span_of(bytes, 1 << 20));
	for (int i = 0; i < 1000; i++)
		io_wait(world.rig.io, 1000);
	cr_assert(!door.ends[0].sent);
	cr_assert_leq(sim_peer_received(peer)->len, 64 << 10);
	sim_peer_set_reading(peer, true);
	rig_until(&world.rig, &door.ends[0].sent);
	cr_assert_eq(sim_peer_received(peer)->len, 1 << 20);
	sim_peer_reset(peer);
	rig_until(&world.rig, &door.ends[0].broken);
	end_fini(&door.ends[0]);
	memory_free(&world.rig.memory, bytes, 1 << 20);
	sim_peer_free(peer);
	io_listener_close(world.rig.io, &door.listener);
	world_end(&world);
}

Test(sim_net, accept_recovers_when_descriptors_are_free_again)
{
	struct world world = {0};
	struct door door;
	world_boot(&world, 9);
	door_open(&door, &world);
	sim_set_fd_limit(world.rig.io, 2);
	struct sim_peer *one = sim_connect(world.rig.io, "127.0.0.1", 6379);
	struct sim_peer *two = sim_connect(world.rig.io, "127.0.0.1", 6379);
	door_until(&door, 1);
	for (int i = 0; i < 100; i++)
		io_wait(world.rig.io, 10000);
	cr_assert_eq(door.count, 1);
	end_fini(&door.ends[0]);
	door_until(&door, 2);
	cr_assert(sim_peer_is_closed(one) && !sim_peer_is_closed(two));
	end_fini(&door.ends[1]);
	sim_peer_free(one);
	sim_peer_free(two);
	io_listener_close(world.rig.io, &door.listener);
	world_end(&world);
}

Test(sim_net, peers_outlive_a_machine_that_lost_power)
{
	struct world world = {0};
	struct door door;
	world_boot(&world, 10);
	door_open(&door, &world);
	struct sim_peer *peer = sim_connect(world.rig.io, "127.0.0.1", 6379);
	door_until(&door, 1);
	end_send(&door.ends[0], SPAN_LIT("acknowledged"));
	rig_until(&world.rig, &door.ends[0].sent);
	world_crash(&world);
	cr_assert(sim_peer_is_closed(peer));
	cr_assert(span_equal(buf_span(sim_peer_received(peer)), SPAN_LIT("acknowledged")));
	sim_peer_free(peer);
	buf_fini(&door.ends[0].received);
	world_end(&world);
}

struct echo {
	struct io *io;
	pid_t      pid;
	uint8_t   *arena;
};

static void echo_received(void *ctx, struct sim_peer *channel)
{
	struct echo *echo = ctx;
	struct buf *in = sim_peer_received(channel);
	if (in->len == 0)
		return;
	echo->arena[0]++;
	sim_peer_send(channel, buf_span(in));
	if (in->ptr[0] == 'q')
		sim_program_exit(echo->io, echo->pid, 3 << 8);
	buf_clear(in);
}

static void echo_start(void *ctx, struct io *io, pid_t pid, struct sim_peer *channel,
    const struct io_spawn_options *options)
{
	struct echo *echo = ctx;
	echo->io = io;
	echo->pid = pid;
	cr_assert_eq(options->fd_count, 2);
	echo->arena = sim_memory_of(io, options->fds[1]);
	cr_assert_not_null(echo->arena);
	sim_peer_on_received(channel, echo_received, echo);
}

struct ward {
	struct io_child child;
	bool            exited;
	int             status;
};

static void ward_exited(struct io_child *child, int status)
{
	struct ward *ward = child->ctx;
	ward->exited = true;
	ward->status = status;
}

static void ward_start(struct world *world, struct ward *ward, struct end *end,
    struct io_memory *memory)
{
	int fds[2];
	*ward = (struct ward){.child = {.exited = ward_exited, .ctx = ward}};
	cr_assert_eq(io_memory_new(world->rig.io, 8192, true, memory), OK);
	cr_assert_eq(io_socket_pair(world->rig.io, fds), OK);
	int passed[2] = {fds[1], memory->fd};
	const char *argv[] = {"/bin/echo", NULL};
	struct io_spawn_options options = {.path = "/bin/echo", .argv = argv, .fds = passed,
	    .fd_count = 2};
	cr_assert_eq(io_spawn(world->rig.io, &ward->child, &options), OK);
	io_close_now(world->rig.io, fds[1]);
	end_open(&world->rig, end, fds[0]);
}

Test(sim_programs, program_answers_and_exits_or_is_killed)
{
	struct world world = {0};
	struct echo echo = {0};
	struct sim_program program = {.path = "/bin/echo", .start = echo_start, .ctx = &echo};
	struct io_memory memory;
	struct ward ward;
	struct end end;
	world_boot(&world, 12);
	sim_add_program(world.rig.io, &program);
	for (int kill_it = 0; kill_it < 2; kill_it++) {
		ward_start(&world, &ward, &end, &memory);
		end_send(&end, SPAN_LIT("hello"));
		end_until_received(&end, 5);
		cr_assert_eq(((uint8_t *)memory.ptr)[0], 1);
		if (kill_it)
			io_kill(world.rig.io, &ward.child);
		else
			end_send(&end, SPAN_LIT("quit"));
		rig_until(&world.rig, &ward.exited);
		cr_assert_eq(ward.status, kill_it ? SIGKILL : 3 << 8);
		rig_until(&world.rig, &end.eof);
		end_fini(&end);
		io_memory_free(world.rig.io, &memory);
	}
	world_end(&world);
}

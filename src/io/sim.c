/* io/sim.c: the simulated machine: its clock, events, descriptors, power, and the pass.
 *
 * Everything that happens is an event at a time; io_wait moves the clock to the first one
 * and runs what is due. A seeded slack of up to 100 us sometimes lets several completions
 * fall into one pass, as they do on a real machine under load.
 */
#include "base/arith.h"
#include "io/sim_machine.h"

#define XXH_STATIC_LINKING_ONLY
#include <errno.h>
#include <string.h>
#include <xxhash.h>

static const int64_t SIM_WALL_START_MS = 1700000000000;
enum { SIM_SLACK_US = 100, SIM_JUMP_MS = 3600 * 1000, SIM_FD_LIMIT = 20000 };

struct sim *sim_of(const struct io *io)
{
	CHECK_OBJ(io, IO_MAGIC);
	struct sim *sim = (struct sim *)(uintptr_t)io;
	ASSERT(strcmp(io->ops->name, "sim") == 0);
	return sim;
}

void sim_trace(struct sim *sim, uint64_t what, uint64_t a, uint64_t b)
{
	const uint64_t step[4] = {what, a, b, sim->clock_us};
	sim->trace = XXH3_64bits_withSeed(step, sizeof(step), sim->trace);
}

/* ---- Events --------------------------------------------------------------------------- */

void sim_event_init(struct sim_event *event, void (*run)(struct sim *sim, struct sim_event *event))
{
	ASSERT(run != NULL);
	heap_node_init(&event->node);
	event->run = run;
}

void sim_event_in(struct sim *sim, struct sim_event *event, uint64_t delay_us)
{
	ASSERT(event->run != NULL);
	heap_set(&sim->events, &event->node, sim->clock_us + max_u64(delay_us, 1));
}

void sim_event_once(struct sim *sim, struct sim_event *event, uint64_t delay_us)
{
	if (event->node.position == HEAP_OUT)
		sim_event_in(sim, event, delay_us);
}

uint64_t sim_latency(struct sim *sim, uint64_t min_us, uint64_t max_us)
{
	ASSERT(min_us <= max_us);
	return min_us + random_below(&sim->random, max_us - min_us + 1);
}

static void sim_events_run(struct sim *sim)
{
	/* Only what is due now: an event may set others, and they are at least 1 us away. */
	while (!sim->dead) {
		const struct heap_item *first = heap_first(&sim->events);
		if (first == NULL || first->deadline > sim->clock_us)
			return;
		struct sim_event *event = CONTAINER_OF(first->node, struct sim_event, node);
		heap_remove(&sim->events, &event->node);
		event->run(sim, event);
	}
}

static void sim_pass_begin(struct sim *sim)
{
	sim->io.now_us = sim->clock_us;
	if (sim_strikes(sim->disk, SIM_CLOCK_JUMP))
		sim->wall_offset_ms +=
		    (int64_t)random_below(&sim->random, 2 * SIM_JUMP_MS) - SIM_JUMP_MS;
	sim->io.wall_ms = SIM_WALL_START_MS + (int64_t)(sim->clock_us / 1000) + sim->wall_offset_ms;
}

static unsigned sim_wait(struct io *io, uint64_t wait_us)
{
	struct sim *sim = sim_of(io);
	if (sim->dead)
		return 0;
	uint64_t limit = wait_us > UINT64_MAX / 2 - sim->clock_us ? UINT64_MAX / 2
	    : sim->clock_us + max_u64(wait_us, 1);
	const struct heap_item *event = heap_first(&sim->events);
	const struct heap_item *timer = heap_first(&io->timers);
	uint64_t next = event == NULL ? UINT64_MAX : event->deadline;
	if (timer != NULL)
		next = min_u64(next, timer->deadline);
	/* Nothing will ever happen: the test has to do something first. */
	if (next == UINT64_MAX && limit == UINT64_MAX / 2)
		return 0;
	if (random_below(&sim->random, 4) == 0 && next < UINT64_MAX - SIM_SLACK_US)
		next += random_below(&sim->random, SIM_SLACK_US);
	sim->clock_us = max_u64(sim->clock_us + 1, min_u64(next, limit));
	sim_pass_begin(sim);
	sim->ran = 0;
	sim_events_run(sim);
	if (!sim->dead)
		sim->ran += io_timers_run(io);
	sim_trace(sim, 1, sim->ran, 0);
	io->stats.enters++;
	return sim->ran;
}

static void sim_submit(struct io *io)
{
	UNUSED(sim_of(io));
}

static uint64_t sim_clock(struct io *io)
{
	return ++sim_of(io)->clock_us;
}

static void sim_random(struct io *io, void *out, size_t len)
{
	struct sim *sim = sim_of(io);
	uint8_t *at = out;
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(random_next(&sim->random) >> 32);
}

/* ---- Power ---------------------------------------------------------------------------- */

void sim_crash(struct sim_disk *disk)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	struct sim *sim = disk->sim;
	if (sim != NULL) {
		sim->dead = true;
		sim_flights_crash(sim);
		disk->sim = NULL;
	}
	sim_names_crash(disk);
	for (struct list *at = disk->files.next; at != &disk->files; at = at->next)
		sim_file_crash(disk, LIST_OF(at, struct sim_file, link));
	sim_files_collect(disk);
}

bool sim_step(struct sim *sim)
{
	if (sim->dead)
		return true;
	sim->steps++;
	if (sim->steps == sim->crash_at)
		sim_crash(sim->disk);
	return sim->dead;
}

void sim_crash_after(struct io *io, uint64_t steps)
{
	struct sim *sim = sim_of(io);
	sim->crash_at = steps == 0 ? 0 : sim->steps + steps;
}

uint64_t sim_steps(const struct io *io) { return sim_of(io)->steps; }
bool sim_is_dead(const struct io *io) { return sim_of(io)->dead; }
uint64_t sim_trace_hash(const struct io *io) { return sim_of(io)->trace; }

/* ---- Descriptors ---------------------------------------------------------------------- */

int32_t sim_fd_add(struct sim *sim, enum sim_fd_kind kind, void *object)
{
	ASSERT(kind != SIM_FD_FREE);
	if (sim->fd_count >= sim->fd_limit)
		return -EMFILE;
	uint32_t fd = SIM_FD_FIRST;
	while (fd < sim->fd_cap && sim->fds[fd].kind != SIM_FD_FREE)
		fd++;
	if (fd >= sim->fd_cap) {
		uint32_t cap = sim->fd_cap == 0 ? 64 : sim->fd_cap * 2;
		sim->fds = memory_resize(&sim->io.memory, sim->fds, sim->fd_cap * sizeof(*sim->fds),
		    cap * sizeof(*sim->fds));
		memset(sim->fds + sim->fd_cap, 0, (cap - sim->fd_cap) * sizeof(*sim->fds));
		sim->fd_cap = cap;
	}
	sim->fds[fd] = (struct sim_fd){.kind = kind, .object = object};
	sim->fd_count++;
	return (int32_t)fd;
}

struct sim_fd *sim_fd_of(struct sim *sim, int fd, enum sim_fd_kind kind)
{
	if (fd < SIM_FD_FIRST || (uint32_t)fd >= sim->fd_cap || sim->fds[fd].kind != kind)
		return NULL;
	return &sim->fds[fd];
}

void sim_fd_remove(struct sim *sim, int fd)
{
	ASSERT(fd >= SIM_FD_FIRST && (uint32_t)fd < sim->fd_cap);
	ASSERT(sim->fds[fd].kind != SIM_FD_FREE);
	sim->fds[fd] = (struct sim_fd){0};
	sim->fd_count--;
}

void sim_set_fd_limit(struct io *io, uint32_t limit)
{
	sim_of(io)->fd_limit = limit;
}

/* ---- Begin and end ---------------------------------------------------------------------- */

static void sim_destroy(struct sim *sim)
{
	sim_flights_free(sim);
	sim_children_free(sim);
	sim_net_free(sim);
	heap_fini(&sim->events);
	memory_free(&sim->io.memory, sim->fds, sim->fd_cap * sizeof(*sim->fds));
	struct memory memory = sim->io.memory;
	io_fini(&sim->io);
	memory_free(&memory, sim, sizeof(*sim));
}

/* An orderly end leaves the disk as a running kernel would: cached content stays cached. */
static void sim_free(struct io *io)
{
	struct sim *sim = sim_of(io);
	ASSERT(sim->dead || list_is_empty(&sim->flights));
	for (uint32_t fd = SIM_FD_FIRST; fd < sim->fd_cap && !sim->dead; fd++)
		if (sim->fds[fd].kind == SIM_FD_FILE)
			((struct sim_file *)sim->fds[fd].object)->opens--;
	if (!sim->dead)
		sim->disk->sim = NULL;
	sim_destroy(sim);
}

void sim_io_abandon(struct io *io)
{
	struct sim *sim = sim_of(io);
	if (!sim->dead)
		sim_crash(sim->disk);
	io->in_wait = false;
	sim_destroy(sim);
}

static void sim_write_line(struct io *io, int fd, struct span line)
{
	UNUSED(fd);
	sim_trace(sim_of(io), 2, XXH3_64bits(line.ptr, line.len), line.len);
}

static void sim_usage(struct io *io, struct io_usage *out)
{
	struct sim *sim = sim_of(io);
	*out = (struct io_usage){
		.resident_bytes = 64 << 20,
		.resident_bytes_peak = 64 << 20,
		.total_system_bytes = 8ULL << 30,
		.cpu_user_s = (double)sim->clock_us / 1e6,
		.pid = 1,
		.fd_limit = sim->fd_limit,
	};
}

static const struct io_backend_ops sim_ops = {
	.name = "sim",
	.free = sim_free,
	.wait = sim_wait,
	.submit = sim_submit,
	.clock = sim_clock,
	.random = sim_random,
	.file = sim_file,
	.stream_open = sim_stream_open,
	.stream_send = sim_stream_send,
	.stream_pause = sim_stream_pause,
	.stream_resume = sim_stream_resume,
	.stream_fill = sim_stream_fill,
	.stream_close = sim_stream_close,
	.stream_address = sim_stream_address,
	.listen = sim_listen,
	.listener_port = sim_listener_port,
	.listener_close = sim_listener_close,
	.close_now = sim_close_now,
	.connect_begin = sim_connect_begin,
	.connect_check = sim_connect_check,
	.spawn = sim_spawn,
	.kill = sim_kill,
	.socket_pair = sim_socket_pair,
	.memory_new = sim_memory_new,
	.memory_free = sim_memory_free,
	.memory_release = sim_memory_release,
	.watch_signals = sim_watch_signals,
	.make_directory = sim_make_directory,
	.list_directory = sim_list_directory,
	.load_file = sim_load_file,
	.save_file = sim_save_file,
	.lock_file = sim_lock_file,
	.disk_space = sim_disk_space,
	.write_line = sim_write_line,
	.usage = sim_usage,
};

struct io *sim_new(struct sim_disk *disk, uint64_t seed, struct log *log)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	ASSERT(disk->sim == NULL);
	struct memory memory = {0};
	struct sim *sim = memory_zalloc(&memory, sizeof(*sim));
	io_init(&sim->io, &sim_ops, log);
	sim->io.memory = memory;
	sim->disk = disk;
	disk->sim = sim;
	random_init(&sim->random, seed);
	heap_init(&sim->events, &sim->io.memory);
	list_init(&sim->flights);
	list_init(&sim->peers);
	list_init(&sim->children);
	sim->fd_limit = SIM_FD_LIMIT;
	sim->port_next = 32768;
	sim->pid_next = 100;
	sim->clock_us = 1000000;
	sim_event_init(&sim->signal_event, sim_signals_run);
	sim_pass_begin(sim);
	return &sim->io;
}

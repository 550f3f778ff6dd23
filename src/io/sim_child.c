/* io/sim_child.c: programs, shared memory and signals of the simulated machine. A program is
 * a set of functions that the test registered; it talks through its end of a connection. */
#include "io/sim_machine.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

enum { EXIT_LATENCY_MIN_US = 10, EXIT_LATENCY_MAX_US = 2000, SIM_PAGE = 4096 };

static void exit_run(struct sim *sim, struct sim_event *event)
{
	struct sim_child *entry = CONTAINER_OF(event, struct sim_child, exit);
	struct io_child *child = entry->child;
	int status = entry->status;
	CHECK_OBJ(child, IO_CHILD_MAGIC);
	if (entry->channel != NULL)
		sim_peer_drop(entry->channel);
	sim_trace(sim, 8, (uint64_t)entry->pid, (uint64_t)status);
	list_remove(&entry->link);
	memory_free(&sim->io.memory, entry, sizeof(*entry));
	child->pid = 0;
	child->armed = 0;
	sim->ran++;
	child->exited(child, status);
}

void sim_add_program(struct io *io, const struct sim_program *program)
{
	struct sim *sim = sim_of(io);
	ASSERT(sim->program_count < ARRAY_COUNT(sim->programs));
	sim->programs[sim->program_count++] = program;
}

static const struct sim_program *program_find(const struct sim *sim, const char *path)
{
	for (unsigned i = 0; i < sim->program_count; i++)
		if (strcmp(sim->programs[i]->path, path) == 0)
			return sim->programs[i];
	return NULL;
}

enum err sim_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options)
{
	struct sim *sim = sim_of(io);
	const struct sim_program *program = program_find(sim, options->path);
	if (program == NULL)
		return ERR_UNSUPPORTED;
	struct sim_child *entry = memory_zalloc(&io->memory, sizeof(*entry));
	sim_event_init(&entry->exit, exit_run);
	entry->child = child;
	entry->pid = sim->pid_next++;
	struct sim_fd *fd =
	    options->fd_count > 0 ? sim_fd_of(sim, options->fds[0], SIM_FD_PEER) : NULL;
	if (fd != NULL) {
		entry->channel = fd->object;
		entry->channel->by_test = true;
		entry->channel->by_child = true;
	}
	list_append(&sim->children, &entry->link);
	child->pid = entry->pid;
	child->armed = 1;
	program->start(program->ctx, io, entry->pid, entry->channel, options);
	return OK;
}

static void child_end(struct sim *sim, pid_t pid, int status)
{
	for (struct list *at = sim->children.next; at != &sim->children; at = at->next) {
		struct sim_child *entry = LIST_OF(at, struct sim_child, link);
		if (entry->pid != pid || entry->exit.node.position != HEAP_OUT)
			continue;
		entry->status = status;
		sim_event_in(sim, &entry->exit,
		    sim_latency(sim, EXIT_LATENCY_MIN_US, EXIT_LATENCY_MAX_US));
		return;
	}
}

void sim_program_exit(struct io *io, pid_t pid, int status)
{
	child_end(sim_of(io), pid, status);
}

void sim_kill(struct io *io, struct io_child *child)
{
	child_end(sim_of(io), child->pid, SIGKILL);
}

/* Of the kernel's own zeroed pages: a pool of which a run touches a little costs that little. */
static struct io_memory *shared_new(struct io *io, size_t bytes)
{
	struct io_memory *memory = memory_zalloc(&io->memory, sizeof(*memory));
	void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	memory->bytes = bytes;
	memory->ptr = ptr == MAP_FAILED ? NULL : ptr;
	return memory;
}

static void shared_free(struct io *io, struct io_memory *memory)
{
	if (memory->ptr != NULL)
		munmap(memory->ptr, memory->bytes);
	memory_free(&io->memory, memory, sizeof(*memory));
}

void sim_children_free(struct sim *sim)
{
	while (!list_is_empty(&sim->children)) {
		struct sim_child *entry = LIST_OF(sim->children.next, struct sim_child, link);
		heap_remove(&sim->events, &entry->exit.node);
		list_remove(&entry->link);
		memory_free(&sim->io.memory, entry, sizeof(*entry));
	}
	for (uint32_t fd = SIM_FD_FIRST; fd < sim->fd_cap; fd++) {
		if (sim->fds[fd].kind != SIM_FD_MEMORY)
			continue;
		struct io_memory *memory = sim->fds[fd].object;
		shared_free(&sim->io, memory);
	}
}

/* ---- Memory --------------------------------------------------------------------------------- */

enum err sim_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out)
{
	struct sim *sim = sim_of(io);
	UNUSED(read_only_for_others);
	struct io_memory *memory = shared_new(io, bytes);
	memory->fd = memory->ptr == NULL ? -1 : sim_fd_add(sim, SIM_FD_MEMORY, memory);
	if (memory->fd < 0) {
		enum err err = memory->ptr == NULL ? ERR_MEMORY : ERR_OVERLOADED;
		shared_free(io, memory);
		return err;
	}
	*out = *memory;
	return OK;
}

void sim_memory_free(struct io *io, struct io_memory *memory)
{
	struct sim *sim = sim_of(io);
	struct sim_fd *fd = sim_fd_of(sim, memory->fd, SIM_FD_MEMORY);
	ASSERT(fd != NULL);
	shared_free(io, fd->object);
	sim_fd_remove(sim, memory->fd);
}

void sim_memory_release(struct io *io, const struct io_memory *memory, size_t offset, size_t bytes)
{
	UNUSED(sim_of(io));
	ASSERT(offset % SIM_PAGE == 0);
	memset((char *)memory->ptr + offset, 0, bytes);
}

void *sim_memory_of(struct io *io, int fd)
{
	struct sim_fd *entry = sim_fd_of(sim_of(io), fd, SIM_FD_MEMORY);
	return entry == NULL ? NULL : ((struct io_memory *)entry->object)->ptr;
}

/* ---- Signals -------------------------------------------------------------------------------- */

void sim_watch_signals(struct io *io)
{
	struct sim *sim = sim_of(io);
	if (sim->signals != 0)
		sim_event_once(sim, &sim->signal_event, 1);
}

void sim_raise(struct io *io, int signal)
{
	struct sim *sim = sim_of(io);
	ASSERT(signal > 0 && signal < 64);
	sim->signals |= 1ULL << signal;
	if (io->caught != NULL)
		sim_event_once(sim, &sim->signal_event, 1);
}

void sim_signals_run(struct sim *sim, struct sim_event *event)
{
	UNUSED(event);
	uint64_t signals = sim->signals;
	sim->signals = 0;
	for (int signal = 1; signal < 64; signal++) {
		if ((signals >> signal & 1) == 0)
			continue;
		sim->ran++;
		sim->io.caught(sim->io.caught_ctx, signal);
	}
}

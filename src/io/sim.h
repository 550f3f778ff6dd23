/* io/sim.h: a simulated machine behind io.h, for tests.
 *
 * One seed decides everything that is left to chance: latencies, the order of completions,
 * the sizes of network pieces, faults, and what a power cut leaves on the disk. The same
 * seed and the same calls give the same sim_trace_hash. Time is virtual: it moves in
 * io_wait, to the next event, and by one microsecond with each io_clock_us.
 *
 * A `struct sim_disk` outlives the machine that uses it, so that a server can lose power
 * and start again. Content is kept in sectors of 4096 bytes, each with what is durable and
 * what is only cached. A write is cached until io_sync of its file, or durable by itself
 * with io_transfer.durable. Names (creation, rename, unlink) are durable only by
 * io_sync_directory, or by io_save_file.
 *
 * A power cut decides for each sector with a write that was cached or in flight: the old
 * content, the new, or a mixture of 512-byte granules; and for each name change whether it
 * took place, keeping the order of changes to one name. After it the machine is dead:
 * io_wait does nothing and returns 0. sim_io_abandon then frees it without its cooperation.
 *
 * The machine checks its caller: a buffer that is lent for a write or a send must not
 * change until its callback.
 */
#pragma once
#include "io/io.h"

struct buf;
struct sim_disk;
struct sim_peer;

/* ---- Disk ------------------------------------------------------------------------- */

enum sim_fault {
	SIM_READ_EIO,
	SIM_WRITE_EIO,         /* any of its sectors may have been written */
	SIM_WRITE_SHORT,       /* a true prefix was written, and the result says so */
	SIM_SYNC_EIO,          /* some dirty sectors are lost; later syncs succeed, as on Linux */
	SIM_WRITE_LOST,        /* reported done and durable, never happened */
	SIM_WRITE_MISDIRECTED, /* lands on other sectors of the same file */
	SIM_READ_FLIP,         /* one bit of the answer; the medium is good */
	SIM_SECTOR_ROT,        /* one bit of a sector that is read, for good */
	SIM_NO_SPACE,          /* creation and io_allocate say -ENOSPC */
	SIM_CLOCK_JUMP,        /* io_wall_ms moves by up to an hour, either way; per pass */
	SIM_FAULT_COUNT
};

struct sim_faults {
	uint32_t chance_ppm[SIM_FAULT_COUNT];     /* of each call that it could strike */
	uint32_t latency_us_min, latency_us_max;  /* of file operations; 0, 0: 20 to 400 */
};

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);            /* no machine may be attached */

void sim_set_faults(struct sim_disk *disk, const struct sim_faults *faults);
/* The n-th call from now on (1: the next) that `fault` could strike is struck. */
void sim_fail_call(struct sim_disk *disk, enum sim_fault fault, uint64_t n);
uint64_t sim_fault_count(const struct sim_disk *disk, enum sim_fault fault);
/* Bytes that the files may take together; the default is 16 GiB. */
void sim_set_capacity(struct sim_disk *disk, uint64_t bytes);
/* Inverts one bit of a file's durable (and cached) content. False: no such place. */
bool sim_flip_bit(struct sim_disk *disk, const char *path, uint64_t bit);

/* Cuts the power of the attached machine, if there is one, and settles what survived.
 * The memory of what was in flight must still be there. */
void sim_crash(struct sim_disk *disk);

/* ---- Machine ------------------------------------------------------------------------ */

/* One machine per disk at a time. Ended by io_free, or by sim_io_abandon. */
struct io *sim_new(struct sim_disk *disk, uint64_t seed, struct log *log);
/* Frees a machine whatever is in flight; touches nothing of the caller's. A machine that
 * still has power loses it first, as by sim_crash. */
void sim_io_abandon(struct io *io);

/* Cuts the power at the n-th step from now on; 0: never. Each submission and each
 * completion of a file operation is a step, and each part of io_save_file. */
void sim_crash_after(struct io *io, uint64_t steps);
uint64_t sim_steps(const struct io *io);              /* so far */
bool sim_is_dead(const struct io *io);
uint64_t sim_trace_hash(const struct io *io);

/* Descriptors that can be open at once (the default is 20000); beyond it -EMFILE. */
void sim_set_fd_limit(struct io *io, uint32_t limit);
/* Calls what io_watch_signals gave, in the next pass. */
void sim_raise(struct io *io, int signal);

/* ---- The other end of connections ------------------------------------------------------ */

/* Connects to a listener by address and port, or by path and port 0. NULL: refused.
 * Valid until sim_peer_free, also after the machine is gone. */
struct sim_peer *sim_connect(struct io *io, const char *address, uint16_t port);
void sim_peer_free(struct sim_peer *peer);

/* The bytes are copied and arrive in pieces, in order. */
void sim_peer_send(struct sim_peer *peer, struct span bytes);
/* What has come so far; the test may consume it. */
struct buf *sim_peer_received(struct sim_peer *peer);
/* A peer that does not read lets only 64 KiB more come. */
void sim_peer_set_reading(struct sim_peer *peer, bool reading);
void sim_peer_finish(struct sim_peer *peer);          /* ends its side; goes on receiving */
void sim_peer_close(struct sim_peer *peer);           /* after what it sent has arrived */
void sim_peer_reset(struct sim_peer *peer);           /* at once */
/* The machine closed its end, or lost power. */
bool sim_peer_is_closed(const struct sim_peer *peer);
/* Called in io_wait whenever bytes or the end came. */
void sim_peer_on_received(struct sim_peer *peer, void (*received)(void *ctx, struct sim_peer *peer),
    void *ctx);

/* Which machine listens at an address that `io` connects to; NULL: none, or it is cut off. Without
 * this a machine reaches only itself. */
void sim_set_network(
    struct io *io, struct io *(*find)(void *ctx, struct io *from, const char *address, uint16_t port),
    void *ctx);

/* Is the way from this machine to that one cut? Then bytes between them wait, as they do when packets
 * are lost, and sim_set_network's `find` should say NULL. After a change to uncut: sim_net_healed, for
 * both machines. */
void sim_set_cut(struct io *io, bool (*is_cut)(void *ctx, struct io *from, struct io *to), void *ctx);
void sim_net_healed(struct io *io);

/* What `io` sends to other machines passes through `relay`, which takes bytes off `held` (all that has left
 * and was not passed on) and appends to `out` what arrives in their place. */
struct sim_way {
	struct io *from, *to;
	bool       forth;                 /* from who connected to who listens */
	uint64_t   state[4];              /* the relay's; zero when the connection begins */
};
typedef void sim_relay(void *ctx, struct sim_way *way, struct buf *held, struct buf *out);
void sim_set_relay(struct io *io, sim_relay *relay, void *ctx);

/* ---- Programs ---------------------------------------------------------------------------- */

struct sim_program {
	const char *path;                 /* what io_spawn must ask for */
	/* `channel` is the end that was passed as options->fds[0], or NULL; it belongs to the
	 * machine, and lives until the program exits. */
	void      (*start)(void *ctx, struct io *io, pid_t pid, struct sim_peer *channel,
	    const struct io_spawn_options *options);
	void       *ctx;
};

/* `program` must stay valid as long as the machine. Without one io_spawn says
 * ERR_UNSUPPORTED. */
void sim_add_program(struct io *io, const struct sim_program *program);
/* The program ends by itself; status as waitpid gives it. */
void sim_program_exit(struct io *io, pid_t pid, int status);
/* The memory behind a descriptor of io_memory_new. NULL: it is something else. */
void *sim_memory_of(struct io *io, int fd);

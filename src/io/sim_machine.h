/* io/sim_machine.h: the parts of the simulated machine among themselves. */
#pragma once
#include "base/buf.h"
#include "io/backend.h"
#include "io/sim.h"

#define SIM_DISK_MAGIC 0x74696f10u
#define SIM_PEER_MAGIC 0x74696f11u

enum {
	SIM_SECTOR = 4096,
	SIM_GRANULE = 512,                /* what a sector is torn into */
	SIM_PATH_MAX = 256,
	SIM_WINDOW = 64 << 10,            /* bytes that wait for a receiver */
	SIM_PIECE_MAX = 16 << 10,         /* bytes of one received() */
	SIM_FD_FIRST = 3,
};

/* ---- Disk: sim_disk.c, sim_names.c ---------------------------------------------------- */

/* NULL content reads as zero. */
struct sim_sector {
	uint8_t *durable;
	uint8_t *cached;                  /* NULL: as durable */
	bool     dirty;                   /* cached, and a sync would write it */
};

struct sim_file {
	struct list        link;
	struct sim_sector *sectors;
	size_t             sector_count;
	uint64_t           bytes, bytes_durable;
	uint64_t           allocated;     /* bytes that count against the capacity */
	uint32_t           opens;         /* descriptors */
};

/* A name and its file; NULL for a directory. */
struct sim_name {
	struct list      link;
	struct sim_file *file;
	char             path[SIM_PATH_MAX];
};

/* A change of names that no io_sync_directory has made durable yet. */
struct sim_change {
	struct list      link;
	struct sim_file *file;            /* creation: the new file */
	bool             lost;            /* decided at a power cut */
	char             path[SIM_PATH_MAX];
	char             path_to[SIM_PATH_MAX];   /* rename only; else empty */
};

struct sim_disk {
	uint32_t          magic;
	struct random     random;
	struct memory     memory;
	struct sim_faults faults;
	uint64_t          fail_in[SIM_FAULT_COUNT];     /* 0: not asked */
	uint64_t          fault_count[SIM_FAULT_COUNT];
	struct list       files;          /* sim_file.link, in order of creation */
	struct list       names;          /* sim_name.link: as a running machine sees them */
	struct list       names_durable;
	struct list       changes;        /* sim_change.link, in order */
	uint64_t          capacity;
	struct sim       *sim;
};

bool sim_strikes(struct sim_disk *disk, enum sim_fault fault);
uint64_t sim_used(const struct sim_disk *disk);

/* Content. Callers keep within what the sectors can address. */
void sim_file_read(const struct sim_file *file, uint64_t offset, struct span to);
void sim_file_write(struct sim_disk *disk, struct sim_file *file, uint64_t offset,
    struct span bytes);
void sim_file_resize(struct sim_disk *disk, struct sim_file *file, uint64_t bytes);
/* Makes the sectors of a range durable, and the size if they reach it. */
void sim_file_harden(struct sim_disk *disk, struct sim_file *file, uint64_t offset, uint64_t len);
/* As a failed sync: some dirty sectors reach the medium, none is dirty any more. */
void sim_file_sync_fails(struct sim_disk *disk, struct sim_file *file);
/* A power cut: see sim.h. */
void sim_file_crash(struct sim_disk *disk, struct sim_file *file);
bool sim_file_flip(struct sim_file *file, uint64_t bit);
void sim_file_free(struct sim_disk *disk, struct sim_file *file);

/* Names. Results are as the kernel's. */
struct sim_name *sim_name_find(struct list *names, const char *path);
int32_t sim_name_create(struct sim_disk *disk, const char *path, struct sim_file **out);
int32_t sim_name_unlink(struct sim_disk *disk, const char *path);
int32_t sim_name_rename(struct sim_disk *disk, const char *from, const char *to);
int32_t sim_names_sync(struct sim_disk *disk, const char *directory);
void sim_names_crash(struct sim_disk *disk);
bool sim_name_is_in(const char *path, const char *directory);
void sim_directory_add(struct sim_disk *disk, const char *path);
void sim_names_free(struct sim_disk *disk);
/* Frees the files that no name, change or descriptor refers to. */
void sim_files_collect(struct sim_disk *disk);

/* ---- Machine: sim.c ------------------------------------------------------------------- */

struct sim;

struct sim_event {
	struct heap_node node;
	void           (*run)(struct sim *sim, struct sim_event *event);
};

enum sim_fd_kind { SIM_FD_FREE, SIM_FD_FILE, SIM_FD_PEER, SIM_FD_LISTENER, SIM_FD_MEMORY };

struct sim_fd {
	enum sim_fd_kind kind;
	uint32_t         flags;           /* io_open's */
	void            *object;
};

struct sim {
	struct io       io;               /* first */
	struct sim_disk *disk;
	struct random   random;
	struct heap     events;
	struct list     flights;          /* sim_flight.link: file operations, as submitted */
	struct list     peers;            /* sim_peer.link: all ends of all connections */
	struct list     children;         /* sim_child.link */
	struct sim_fd  *fds;
	uint32_t        fd_cap, fd_limit, fd_count;
	uint64_t        clock_us;
	int64_t         wall_offset_ms;
	uint64_t        trace;
	uint64_t        steps, crash_at;  /* 0: never */
	bool            dead;
	unsigned        ran;
	uint16_t        port_next;
	pid_t           pid_next;
	const struct sim_program *programs[8];
	unsigned        program_count;
	uint64_t        signals;          /* bit set: to be delivered */
	struct sim_event signal_event;
	char            locks[IO_LOCKS_MAX][SIM_PATH_MAX];
	struct io    *(*network)(void *ctx, struct io *from, const char *address, uint16_t port);
	void           *network_ctx;
	bool          (*is_cut)(void *ctx, struct io *from, struct io *to);
	void           *cut_ctx;
	sim_relay      *relay;
	void           *relay_ctx;
};

struct sim *sim_of(const struct io *io);
void sim_event_init(struct sim_event *event, void (*run)(struct sim *sim, struct sim_event *event));
/* Sets or moves it; a set event stays where it is with sim_event_once. */
void sim_event_in(struct sim *sim, struct sim_event *event, uint64_t delay_us);
void sim_event_once(struct sim *sim, struct sim_event *event, uint64_t delay_us);
uint64_t sim_latency(struct sim *sim, uint64_t min_us, uint64_t max_us);
/* Counts a step; true when the power is gone, then or before. */
bool sim_step(struct sim *sim);
void sim_trace(struct sim *sim, uint64_t what, uint64_t a, uint64_t b);

/* -EMFILE over the limit. */
int32_t sim_fd_add(struct sim *sim, enum sim_fd_kind kind, void *object);
/* NULL if `fd` is not open, or not of this kind. */
struct sim_fd *sim_fd_of(struct sim *sim, int fd, enum sim_fd_kind kind);
void sim_fd_remove(struct sim *sim, int fd);

/* ---- sim_file.c ---- */
struct sim_flight {
	struct sim_event event;
	struct list      link;
	struct io_op    *op;
	uint32_t         crc;             /* of the bytes lent for a write */
};
void sim_file(struct io *io, struct io_op *op);
/* What was in flight when the power went may have happened in part. */
void sim_flights_crash(struct sim *sim);
void sim_flights_free(struct sim *sim);
enum err sim_make_directory(struct io *io, const char *path);
enum err sim_list_directory(struct io *io, const char *path, io_list_entry *each, void *ctx);
enum err sim_load_file(struct io *io, const char *path, size_t max, struct buf *out);
enum err sim_save_file(struct io *io, const char *path, struct span bytes);
enum err sim_lock_file(struct io *io, const char *path);
enum err sim_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total);

/* ---- sim_net.c, sim_stream.c ---- */

/* One end of a connection: a stream's, or the test's. */
struct sim_peer {
	uint32_t          magic;
	struct list       link;
	struct sim       *sim;            /* NULL once the machine is gone */
	struct memory    *memory;
	struct sim_peer  *other;          /* NULL: it is gone, sends fail */
	struct io_stream *stream;         /* NULL: driven by the test, or not opened yet */
	int               fd;             /* -1: the test's */
	bool              by_test, by_child;
	struct buf        inbox;          /* came, and was not taken yet */
	struct buf        outbox;         /* the test's bytes on their way */
	uint32_t          send_crc, sent_crc;
	bool              ended;          /* the other side sends no more, after the inbox */
	bool              ended_told;
	bool              broken;         /* the connection was reset */
	bool              finishing, closing;
	bool              reading;
	size_t            stalled_bytes;  /* room that is left while not reading */
	struct buf        held;           /* with the relay: left, and did not arrive */
	struct sim_way    way;
	bool              closed;         /* the machine's end is closed */
	struct sim_event  pump, transmit, pause, close;
	void            (*on_received)(void *ctx, struct sim_peer *peer);
	void             *on_received_ctx;
	char              address[IO_ADDRESS_MAX], address_other[IO_ADDRESS_MAX];
};

struct sim_listener {
	struct io_listener *listener;     /* NULL once closed */
	struct sim         *sim;
	struct sim_event    accept;
	struct sim_peer    *backlog[1024];
	unsigned            backlog_count;
	uint16_t            port;
	char                address[108];
};

struct sim_peer *sim_peer_new(struct sim *sim);
void sim_peer_join(struct sim_peer *a, struct sim_peer *b);
/* Frees an end; the other one learns that nobody is there. */
void sim_peer_drop(struct sim_peer *peer);
void sim_peer_wake(struct sim_peer *peer);
void sim_peer_push(struct sim_peer *peer);
/* The bytes that `peer` could take now. */
size_t sim_peer_room(const struct sim_peer *peer);
void sim_net_free(struct sim *sim);
enum err sim_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options);
uint16_t sim_listener_port(struct io *io, const struct io_listener *listener);
void sim_listener_close(struct io *io, struct io_listener *listener);
void sim_close_now(struct io *io, int fd);
int32_t sim_connect_begin(struct io *io, const char *address, uint16_t port);
int32_t sim_connect_check(struct io *io, int fd);
enum err sim_socket_pair(struct io *io, int fds[2]);

void sim_peer_init_events(struct sim_peer *peer);
void sim_stream_open(struct io *io, struct io_stream *stream);
void sim_stream_send(struct io *io, struct io_stream *stream);
void sim_stream_pause(struct io *io, struct io_stream *stream);
void sim_stream_resume(struct io *io, struct io_stream *stream);
void sim_stream_fill(struct io *io, struct io_stream *stream);
void sim_stream_close(struct io *io, struct io_stream *stream);
void sim_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX]);

/* ---- sim_child.c ---- */
struct sim_child {
	struct list      link;
	struct sim_event exit;
	struct io_child *child;
	pid_t            pid;
	int              status;
	struct sim_peer *channel;
};
enum err sim_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options);
void sim_kill(struct io *io, struct io_child *child);
void sim_children_free(struct sim *sim);
enum err sim_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out);
void sim_memory_free(struct io *io, struct io_memory *memory);
void sim_memory_release(struct io *io, const struct io_memory *memory, size_t offset, size_t bytes);
void sim_watch_signals(struct io *io);
void sim_signals_run(struct sim *sim, struct sim_event *event);

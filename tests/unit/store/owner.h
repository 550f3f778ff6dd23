/* tests/unit/store/owner.h: a store in a directory of its own, and an owner that remembers what
 * the store told it. The owner is naive on purpose: a list of keys and what they hold. */
#pragma once
#include "io/sim.h"
#include "store/store.h"

enum { OWNER_KEYS = 4096 };

struct owner_key {
	bool         used, deleted;
	char         key[32];
	uint64_t     lsn;
	uint8_t      type;
	struct place place;
	uint64_t     body_hash, body_bytes;
	char         meta[64];
};

struct owner {
	char              dir[2][128];
	struct memory     memory;
	struct io        *io;
	struct body_pool *pool;
	struct store     *store;
	struct log        log;
	struct owner_key    keys[OWNER_KEYS];
	enum err          opened, state;
	bool              is_opened, is_closed;
	uint64_t          durable, recovered, corrupt, relocated;
	uint64_t          last_recovered_lsn;
	bool              in_order;
	bool              no_cleaner;     /* the store does not ask what lives */
};

struct owner_options {
	uint32_t segment_bytes, spares;
	uint64_t disk_bytes_max;
	bool     warm, read_only;
	uint32_t delay_ms;             /* of batches that nobody waits for; 0: 2 ms */
};

void owner_init(struct owner *owner);                 /* fresh directories */
void owner_init_sim(struct owner *owner);             /* none: owner_use_sim follows */
void owner_start(struct owner *owner, const struct owner_options *options);     /* opens, waits */
/* On a simulated machine, to be set before each owner_start; and a power cut. */
void owner_use_sim(struct owner *owner, struct sim_disk *disk, uint64_t seed);
void owner_power_cut(struct owner *owner, struct sim_disk *disk);
void owner_stop(struct owner *owner);                 /* closes properly */
void owner_fini(struct owner *owner);                 /* removes the directories */
void owner_wait(struct owner *owner);                 /* one pass, at most 10 ms */
void owner_wait_durable(struct owner *owner, uint64_t lsn);

/* Appends and remembers; the body is `bytes` of a pattern that depends on the LSN to come. */
enum err owner_put(struct owner *owner, const char *key, uint8_t type, size_t bytes, uint8_t sync);
enum err owner_delete(struct owner *owner, const char *key);
struct owner_key *owner_find(struct owner *owner, const char *key);
/* Reads the body back and compares; returns the read's error. */
enum err owner_check(struct owner *owner, const char *key);
/* Reads the metadata only, and compares. */
enum err owner_check_meta(struct owner *owner, const char *key);
enum err owner_move(struct owner *owner, const char *key, enum tier tier);
struct store_stats owner_stats(const struct owner *owner);

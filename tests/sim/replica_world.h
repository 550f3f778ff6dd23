/* tests/sim/replica_world.h: the machines, links and clients of replica_sim.c, and what its clients may see
 * at any time.
 */
#pragma once
#include "base/random.h"
#include "engine/internal.h"
#include "io/sim.h"
#include "server/server.h"
#include "tests/sim/liar.h"

enum {
	NODES = 3, KEYS = 6, PAIRS = 4, PENDING = 16, STEPS_MAX = 16, PORT = 7001,
	STEP_US = 700000, DOWN_US = 250000, SETTLE_US = 30000000, PASSES_MAX = 3000000,
	NOBODY = NODES, PLANTED = 12, PARTIAL_US = 200000, LIAR = 2, QUIET_US = 3000000,
	ROT_BITS = 8 << 20, ROT_FRONT_BITS = 512 << 10,
};

enum verb { V_SET, V_MSET, V_HSET, V_PUSH, V_DEL, V_IMAGE };

struct op {
	enum verb verb;
	uint32_t  key;
	uint64_t  number;
};

struct node {
	struct world    *world;
	struct sim_disk *disk;
	struct io       *io;              /* NULL: without power */
	struct server   *server;
	struct settings  settings;
	struct log       log;
	struct sim_peer *writer, *reader, *operator;
	struct op        pending[PENDING];
	uint32_t         count, told;     /* told: whom the operator told it to follow, or itself */
	bool             cut, frozen, asked;
	uint64_t         partial_us;      /* when it last lacked something, and might show half of an MSET */
	uint64_t         late_us;         /* its clock began then */
};

struct world {
	uint64_t      seed, number, now_us, gone_us;      /* gone: the leader, since then */
	struct random random;
	struct memory memory;
	struct node   nodes[NODES];
	uint32_t      leader, failovers;
	bool          quorum, images, skew, rot;  /* rot: bits of disks flip */
	bool          verbose, plant;     /* plant: the servers wait for no quorum */
	uint64_t      acked[KEYS], acked_pair[PAIRS], acks, refused, asides, cuts, flips;
	char          schedule[STEPS_MAX + 1];
	struct liar   liar;               /* on links; if it lies for a server, it is number LIAR */
};

/* ---- Machines and links ---- */
void node_print_line(void *ctx, enum log_level level, struct span text);
uint32_t node_number(const struct node *node);
/* This one is cut off from the others; NOBODY. */
void world_set_cuts(struct world *world, uint32_t which);
void node_settings(struct node *node);
void node_on(struct node *node);
/* Bits on its disk flip, among the first so many of each segment; if it is up, it is told to look. */
void node_rot(struct world *world, struct node *node, uint64_t bits);
/* Without power. */
void node_off(struct node *node);
/* It may hold anything, as a liar leads it. */
bool node_is_fooled(const struct node *node);
/* With an empty disk. */
void node_replace(struct node *node);
bool node_is_up(const struct node *node);
bool node_thinks_it_leads(const struct node *node);
uint64_t node_lsn(const struct node *node);
/* The machine that is furthest behind makes a turn. */
void world_pass(struct world *world);

/* ---- Clients ---- */
/* A few commands of its writer's; what it was answered. */
void node_write(struct world *world, struct node *node);
void node_hear(struct world *world, struct node *node);
/* Its reader asks for all pairs. */
void node_ask(struct world *world, struct node *node);
/* False: it showed half of one; printed. */
MUST_CHECK bool node_pairs_are_whole(struct world *world, struct node *node);
/* The next bulk string as a number; -1: nil, -2: the reply is not whole, or an error. */
long long reply_take_number(struct span *in);

/* tests/sim/replica_sim.c: a leader and two followers on three simulated machines.
 *
 *   replica-sim [--seeds N | --lives N] [--from S] [--one S] [--length L] [--schedule 0231...]
 *
 * At the end twelve lives whose servers wait for no quorum: that must be found out.
 *
 * Every schedule of partitions up to length L (default 3; 6 in the night's run), one step a digit, then
 * N lives by chance (of --seeds, a hundredth: a life is long). In each step:
 *
 *   0  all links are whole        3  the second follower is cut off
 *   1  the leader is cut off      4  a machine loses its power, and comes back in a later step
 *   2  the first follower is      5  the leader does       6  a machine stands still, then goes on
 *
 * (4 to 6 in lives by chance only.) Clients write to every machine that takes itself for the leader. An
 * operator does what a Sentinel does: if the leader is gone and both others see each other, the one that
 * has more becomes the leader; whoever comes back is told to follow it.
 *
 * One goes only when the others have all of it. With min-replicas-to-ack 1, what was acknowledged is
 * there at the end, so no two leaders have both acknowledged. Two keys of one MSET are never seen apart,
 * but by a follower that says of itself that it lacks something. In two lives of three there are images,
 * too; in two of five the servers' clocks jump by up to an hour, each for itself. When all is healed, all
 * three hold the same, by IMG.DIGEST.
 */
#include "base/arith.h"
#include "engine/internal.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/replica.h"
#include "io/sim.h"
#include "server/aside.h"
#include "server/server.h"
#include "tests/sim/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NODES = 3, KEYS = 6, PAIRS = 4, PENDING = 16, STEPS_MAX = 16, PORT = 7001,
	STEP_US = 700000, DOWN_US = 250000, SETTLE_US = 30000000, PASSES_MAX = 3000000,
	NOBODY = NODES, PLANTED = 12, PARTIAL_US = 200000,
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
	bool          quorum, images, skew;
	bool          verbose, plant;     /* plant: the servers wait for no quorum */
	uint64_t      acked[KEYS], acked_pair[PAIRS], acks, refused, asides, cuts;
	char          schedule[STEPS_MAX + 1];
};

static void print_line(void *ctx, enum log_level level, struct span text)
{
	const struct node *node = ctx;
	UNUSED(level);
	if (node->world->verbose)
		fprintf(stderr, "%8llu ms  %c: %.*s\n", (unsigned long long)node->world->now_us / 1000,
		    'A' + (int)(node - node->world->nodes), (int)text.len, (const char *)text.ptr);
}

static void settle(struct settings *settings, const char *name, const char *value)
{
	const char *why = NULL;
	const struct setting *setting = settings_find(span_text(name));
	ASSERT(setting != NULL);
	enum err err = settings_set(settings, setting, span_text(value), &why);
	ASSERT(err == OK);
}

static uint32_t number_of(const struct node *node)
{
	return (uint32_t)(node - node->world->nodes);
}

/* ---- Network ---- */

static bool is_cut(void *ctx, struct io *from, struct io *to)
{
	const struct world *world = ctx;
	for (int i = 0; i < NODES; i++)
		if (world->nodes[i].cut && (world->nodes[i].io == from || world->nodes[i].io == to))
			return true;
	return false;
}

static struct io *find_node(void *ctx, struct io *from, const char *address, uint16_t port)
{
	struct world *world = ctx;
	UNUSED(address);
	if (port < PORT || port >= PORT + NODES)
		return NULL;
	struct io *io = world->nodes[port - PORT].io;
	return io == NULL || is_cut(world, from, io) ? NULL : io;
}

static void set_cuts(struct world *world, uint32_t which)
{
	for (uint32_t i = 0; i < NODES; i++)
		world->nodes[i].cut = i == which;
	for (int i = 0; i < NODES; i++)
		if (world->nodes[i].io != NULL)
			sim_net_healed(world->nodes[i].io);
}

/* ---- Machines ---- */

static void node_settings(struct node *node)
{
	struct settings *settings = &node->settings;
	char text[64];
	snprintf(text, sizeof(text), "%u", PORT + number_of(node));
	settings_init(settings);
	settle(settings, "dir", "/hot");
	settle(settings, "bind", "127.0.0.1");
	settle(settings, "protected-mode", "no");
	settle(settings, "port", text);
	settle(settings, "segment-bytes", "1mb");
	settle(settings, "spare-segments", "4");
	settle(settings, "body-memory", "24mb");
	settle(settings, "hot-memory", "1mb");
	settle(settings, "worker-dir", "");
	settle(settings, "analysis", "no");
	settle(settings, "repl-timeout", "2");
	settle(settings, "repl-ping-replica-period", "1");
	settle(settings, "cache-appendfsync", node->world->seed % 3 == 0 ? "always" : "everysec");
	settle(settings, "min-replicas-to-ack", node->world->quorum && !node->world->plant ? "1" : "0");
	settle(settings, "checkpoint-bytes", node->world->seed % 2 ? "20000" : "0");
	if (number_of(node) > 0)
		snprintf(settings->replicaof, sizeof(settings->replicaof), "127.0.0.1 %u", PORT);
	settings->hash_listpack_entries = 20;
	settings->rewrite_slice_bytes = 256;
	settings->flush_slice_keys = 1;
}

static void node_connect(struct node *node)
{
	node->writer = sim_connect(node->io, "127.0.0.1", (uint16_t)node->settings.port);
	node->reader = sim_connect(node->io, "127.0.0.1", (uint16_t)node->settings.port);
	node->operator = sim_connect(node->io, "127.0.0.1", (uint16_t)node->settings.port);
	ASSERT(node->writer != NULL && node->reader != NULL && node->operator != NULL);
	node->count = 0;
	node->asked = false;
	node->told = NOBODY;
}

static void node_start(struct node *node)
{
	struct server_options options = {
	    .settings = &node->settings, .log = &node->log, .config_file = "", .executable = "sim"};
	enum err err = server_new(node->io, &options, &node->server);
	ASSERT(err == OK);
	node_connect(node);
}

static void node_boot(struct node *node)
{
	struct world *world = node->world;
	ASSERT(node->io == NULL);
	node->io = sim_new(node->disk, random_next(&world->random), &node->log);
	node->late_us = world->now_us - io_now_us(node->io);
	const struct sim_faults skewed = {.chance_ppm[SIM_CLOCK_JUMP] = 300};
	if (world->skew)
		sim_set_faults(node->disk, &skewed);
	sim_set_network(node->io, find_node, world);
	sim_set_cut(node->io, is_cut, world);
}

static void node_on(struct node *node)
{
	node_boot(node);
	node_start(node);
}

static void peers_free(struct node *node)
{
	sim_peer_free(node->writer);
	sim_peer_free(node->reader);
	sim_peer_free(node->operator);
	node->writer = node->reader = node->operator = NULL;
	node->count = 0;
}

static void node_off(struct node *node)
{
	if (node->io == NULL)
		return;
	sim_crash(node->disk);
	sim_io_abandon(node->io);
	peers_free(node);
	node->io = NULL;                  /* the server's memory goes with this process */
	node->server = NULL;
}

/* What it has alone was put aside: it begins anew, empty. */
static void node_anew(struct node *node)
{
	bool aside = node->server->puts_aside;
	ASSERT(aside || node->server->restarts);
	peers_free(node);
	server_free(node->server);
	io_free(node->io);
	node->io = NULL;
	node_boot(node);
	enum err err = aside ? store_put_aside(node->io, &node->settings, &node->log) : OK;
	ASSERT(err == OK);
	*(aside ? &node->world->asides : &node->world->cuts) += 1;
	node_start(node);
}

static bool is_up(const struct node *node)
{
	return node->io != NULL && !node->frozen && !node->server->engine->loading;
}

static bool thinks_it_leads(const struct node *node)
{
	return is_up(node) && !engine_follows(node->server->engine);
}

static uint64_t has_lsn(const struct node *node)
{
	return replication_offset(node->server->engine);
}

/* The machine that is furthest behind makes a turn. */
static void world_pass(struct world *world)
{
	struct node *next = NULL;
	uint64_t least_us = UINT64_MAX;
	for (int i = 0; i < NODES; i++) {
		struct node *node = &world->nodes[i];
		if (node->io == NULL || node->frozen)
			continue;
		uint64_t now_us = io_now_us(node->io) + node->late_us;
		if (now_us < least_us) {
			least_us = now_us;
			next = node;
		}
	}
	if (next == NULL) {               /* nobody is there: time passes anyhow */
		world->now_us += 1000;
		return;
	}
	world->now_us = max_u64(world->now_us, least_us);
	if (!server_pass(next->server))
		node_anew(next);
}

/* ---- Clients ---- */

static void put_words(struct buf *out, uint32_t count, const char *const *words)
{
	buf_printf(out, "*%u\r\n", count);
	for (uint32_t i = 0; i < count; i++)
		buf_printf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

static void put_op(struct world *world, struct node *node, struct buf *out)
{
	if (world->images && random_below(&world->random, 30) == 0) {
		picture_command(out, &world->random, ++world->number);
		node->pending[node->count++] = (struct op){.verb = V_IMAGE, .number = world->number};
		return;
	}
	static const char *const names[] = {"SET", "MSET", "HSET", "RPUSH", "DEL"};
	char key[32], other[32], value[64], member[32];
	uint64_t roll = random_below(&world->random, 12);
	enum verb verb = roll < 5 ? V_SET : roll < 8 ? V_MSET : roll < 10 ? V_HSET
	    : roll < 11 ? V_PUSH : V_DEL;
	struct op op = {.verb = verb, .number = ++world->number,
	    .key = (uint32_t)random_below(&world->random, verb == V_MSET ? PAIRS : KEYS)};
	snprintf(value, sizeof(value), "%llu", (unsigned long long)op.number);
	snprintf(member, sizeof(member), "m%llu", (unsigned long long)(op.number % 37));
	snprintf(key, sizeof(key), "%s%u", verb == V_SET ? "k" : verb == V_MSET ? "a" : verb == V_HSET ? "h"
	    : verb == V_PUSH ? "l" : "d", op.key);
	snprintf(other, sizeof(other), "b%u", op.key);
	if (verb == V_DEL)                /* of a collection */
		key[0] = op.number % 2 ? 'h' : 'l';
	const char *words[5] = {names[verb], key, verb == V_HSET ? member : value,
	    verb == V_HSET ? value : other, value};
	put_words(out, verb == V_MSET ? 5 : verb == V_HSET ? 4 : verb == V_DEL ? 2 : 3, words);
	node->pending[node->count++] = op;
}

static void node_write(struct world *world, struct node *node)
{
	struct buf out;
	buf_init(&out, &world->memory);
	for (uint64_t i = 1 + random_below(&world->random, 4); i > 0 && node->count < PENDING; i--)
		put_op(world, node, &out);
	sim_peer_send(node->writer, buf_span(&out));
	buf_fini(&out);
}

static void op_acked(struct world *world, const struct op *op)
{
	world->acks++;
	if (op->verb == V_SET)
		world->acked[op->key] = max_u64(world->acked[op->key], op->number);
	else if (op->verb == V_MSET)
		world->acked_pair[op->key] = max_u64(world->acked_pair[op->key], op->number);
}

/* Takes the whole lines that came: each answers one command. */
static void node_hear(struct world *world, struct node *node)
{
	struct buf *in = sim_peer_received(node->writer);
	for (;;) {
		const uint8_t *end = in->len == 0 ? NULL : memchr(in->ptr, '\n', in->len);
		if (end == NULL)
			return;
		bool good = in->ptr[0] == '+' || in->ptr[0] == ':' || in->ptr[0] == '$';
		ASSERT(node->count > 0);
		if (in->ptr[0] == '$') {      /* an ETag in a line of its own */
			end = memchr(end + 1, '\n', in->len - (size_t)(end + 1 - in->ptr));
			if (end == NULL)
				return;
		}
		if (good)
			op_acked(world, &node->pending[0]);
		else
			world->refused++;
		if (!good && world->verbose && world->refused < 20)
			fprintf(stderr, "          %c refuses: %.*s\n", 'A' + (int)number_of(node),
			    (int)(end - in->ptr), (const char *)in->ptr);
		node->count--;
		memmove(&node->pending[0], &node->pending[1], node->count * sizeof(node->pending[0]));
		buf_consume(in, (size_t)(end - in->ptr) + 1);
	}
}

/* ---- What must hold at any time: pairs are whole ---- */

static void node_ask(struct world *world, struct node *node)
{
	struct buf out;
	buf_init(&out, &world->memory);
	buf_append_text(&out, "MGET a0 b0 a1 b1 a2 b2 a3 b3\r\n");
	sim_peer_send(node->reader, buf_span(&out));
	buf_fini(&out);
	node->asked = true;
}

/* The next bulk string as a number; -1: nil, -2: the reply is not whole, or an error. */
static long long take_number(struct span *in)
{
	unsigned long len;
	if (in->len < 5)
		return -2;
	if (memcmp(in->ptr, "$-1\r\n", 5) == 0) {
		*in = span_slice(*in, 5, in->len);
		return -1;
	}
	const uint8_t *end = memchr(in->ptr, '\n', in->len);
	if (in->ptr[0] != '$' || end == NULL)
		return -2;
	len = strtoul((const char *)in->ptr + 1, NULL, 10);
	struct span rest = span_slice(*in, (size_t)(end + 1 - in->ptr), in->len);
	if (rest.len < len + 2)
		return -2;
	*in = span_slice(rest, len + 2, rest.len);
	return strtoll((const char *)rest.ptr, NULL, 10);
}

/* False: printed. */
static bool node_pairs_are_whole(struct world *world, struct node *node)
{
	struct buf *in = sim_peer_received(node->reader);
	struct span rest = buf_span(in);
	if (rest.len < 4)
		return true;
	if (rest.ptr[0] == '-') {         /* -LOADING */
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		if (end == NULL)
			return true;
		buf_consume(in, (size_t)(end + 1 - rest.ptr));
		node->asked = false;
		return true;
	}
	rest = span_slice(rest, 4, rest.len);         /* "*8\r\n" */
	long long values[2 * PAIRS];
	for (int i = 0; i < 2 * PAIRS; i++)
		if ((values[i] = take_number(&rest)) == -2)
			return true;
	buf_consume(in, in->len - rest.len);
	node->asked = false;
	for (int i = 0; i < PAIRS; i++) {
		if (values[2 * i] == values[2 * i + 1] || world->now_us - node->partial_us < PARTIAL_US)
			continue;
		fprintf(stderr, "seed %llu, schedule %s: %c shows half an MSET: a%d %lld, b%d %lld\n",
		    (unsigned long long)world->seed, world->schedule, 'A' + (int)number_of(node), i,
		    values[2 * i], i, values[2 * i + 1]);
		return false;
	}
	return true;
}

/* ---- The operator ---- */

static void operator_says(struct node *node, uint32_t leader)
{
	char text[64];
	if (node->told == leader)
		return;
	node->told = leader;
	if (leader == number_of(node))
		snprintf(text, sizeof(text), "REPLICAOF NO ONE\r\n");
	else
		snprintf(text, sizeof(text), "REPLICAOF 127.0.0.1 %u\r\n", PORT + leader);
	sim_peer_send(node->operator, span_text(text));
}

static bool sees(const struct world *world, uint32_t i)
{
	return is_up(&world->nodes[i]) && !world->nodes[i].cut;
}

static void operator_step(struct world *world)
{
	uint32_t a = (world->leader + 1) % NODES, b = (world->leader + 2) % NODES;
	if (sees(world, world->leader)) {
		world->gone_us = 0;
	} else if (world->gone_us == 0) {
		world->gone_us = world->now_us;
	} else if (world->now_us - world->gone_us > DOWN_US && sees(world, a) && sees(world, b)) {
		bool both_followed = engine_follows(world->nodes[a].server->engine) &&
		    engine_follows(world->nodes[b].server->engine);
		if (!both_followed)
			return;           /* one is an older leader, which waits to hear of this one */
		world->leader = has_lsn(&world->nodes[a]) >= has_lsn(&world->nodes[b]) ? a : b;
		world->gone_us = 0;
		world->failovers++;
		if (world->verbose)
			fprintf(stderr, "%8llu ms  the operator makes %c the leader\n",
			    (unsigned long long)world->now_us / 1000, 'A' + (int)world->leader);
	}
	for (uint32_t i = 0; i < NODES; i++)
		if (sees(world, i))
			operator_says(&world->nodes[i], world->leader);
}

/* ---- Time ---- */

/* False: something is wrong; said what. */
static bool world_run(struct world *world, uint64_t us, bool write)
{
	uint64_t until = world->now_us + us;
	while (world->now_us < until) {
		for (int i = 0; i < NODES; i++) {
			struct node *node = &world->nodes[i];
			if (!is_up(node))
				continue;
			if (replication_is_partial(node->server->engine))
				node->partial_us = world->now_us;
			node_hear(world, node);
			if (!node_pairs_are_whole(world, node))
				return false;
			if (!node->asked && random_below(&world->random, 6) == 0)
				node_ask(world, node);
			if (write && thinks_it_leads(node) && node->count == 0 &&
			    random_below(&world->random, 3) == 0)
				node_write(world, node);
		}
		operator_step(world);
		world_pass(world);
	}
	return true;
}

/* All three are there, and the followers have what the leader has, but for the latest. */
static bool world_is_whole(const struct world *world, uint64_t latest)
{
	const struct node *leader = &world->nodes[world->leader];
	for (int i = 0; i < NODES; i++) {
		const struct node *node = &world->nodes[i];
		if (!is_up(node) || engine_follows(node->server->engine) == (node == leader))
			return false;
		const struct replication *replication = node->server->engine->replication;
		if (node != leader && (!replication_link_is_up(node->server->engine) ||
		    max_u64(replication->applied, replication->position) + latest < has_lsn(leader) ||
		    replication_is_partial(node->server->engine)))
			return false;
	}
	return true;
}

static void all_back(struct world *world)
{
	for (int i = 0; i < NODES; i++) {
		world->nodes[i].frozen = false;
		struct node *node = &world->nodes[i];
		if (node->io == NULL)
			node_on(node);
		else                      /* it stood still: now it sees how late it is */
			node->late_us = max_u64(node->late_us + io_now_us(node->io), world->now_us) -
			    io_now_us(node->io);
	}
	set_cuts(world, NOBODY);
}

/* What was acknowledged is in two places at least, so that one may go: who was away, or had to begin
 * anew, must have caught up before the next one goes. False: something is wrong. */
static bool step(struct world *world, char what)
{
	uint64_t until = world->now_us + SETTLE_US;
	all_back(world);
	while (what != '0' && !world_is_whole(world, 100) && world->now_us < until)
		if (!world_run(world, 20000, true))
			return false;
	uint32_t leader = world->leader, victim = (uint32_t)random_below(&world->random, NODES);
	set_cuts(world, what < '1' || what > '3' ? NOBODY : (leader + (uint32_t)(what - '1')) % NODES);
	if (what == '4')
		node_off(&world->nodes[victim]);
	else if (what == '5')
		node_off(&world->nodes[leader]);
	else if (what == '6')
		world->nodes[victim].frozen = true;
	if (world->verbose)
		fprintf(stderr, "%8llu ms  step %c\n", (unsigned long long)world->now_us / 1000, what);
	return true;
}

/* ---- The end ---- */

/* Sends a line to one machine and waits for a reply that ends the bytes which come at once. */
static bool ask_line(struct world *world, struct node *node, const char *line, struct buf *out)
{
	struct buf *in = sim_peer_received(node->operator);
	buf_clear(in);
	sim_peer_send(node->operator, span_text(line));
	uint64_t last = 0, still_us = world->now_us;
	for (int passes = 0; passes < PASSES_MAX; passes++) {
		world_pass(world);
		if (in->len != last)
			still_us = world->now_us;
		last = in->len;
		if (in->len > 0 && world->now_us - still_us > 50000) {
			buf_clear(out);
			buf_append(out, buf_span(in));
			buf_clear(in);
			return true;
		}
	}
	return false;
}

static bool world_is_settled(const struct world *world)
{
	for (int i = 0; i < NODES; i++)
		if (world->nodes[i].count > 0)
			return false;
	return world_is_whole(world, 0);
}

static bool check_acked(struct world *world)
{
	struct buf reply;
	struct node *leader = &world->nodes[world->leader];
	bool good = true;
	buf_init(&reply, &world->memory);
	if (!ask_line(world, leader, "MGET k0 k1 k2 k3 k4 k5 a0 a1 a2 a3\r\n", &reply))
		return false;
	struct span rest = span_slice(buf_span(&reply), 5, reply.len);
	for (int i = 0; i < KEYS + PAIRS; i++) {
		uint64_t least = i < KEYS ? world->acked[i] : world->acked_pair[i - KEYS];
		long long value = take_number(&rest);
		value = value < 0 ? 0 : value;
		if (!world->quorum || value >= (long long)least)
			continue;
		good = false;
		if (!world->plant)
			fprintf(stderr, "seed %llu, schedule %s: key %d: acknowledged %llu, found %lld\n",
			    (unsigned long long)world->seed, world->schedule, i, (unsigned long long)least,
			    value);
	}
	buf_fini(&reply);
	return good;
}

static bool check_same(struct world *world)
{
	struct buf one, other;
	bool good = true;
	buf_init(&one, &world->memory);
	buf_init(&other, &world->memory);
	for (int i = 0; i < NODES; i++) {
		if (!ask_line(world, &world->nodes[i], "IMG.DIGEST BUCKETS 16\r\n", i == 0 ? &one : &other))
			good = false;
		if (good && i > 0 && !span_equal(buf_span(&one), buf_span(&other))) {
			fprintf(stderr, "seed %llu, schedule %s: %c and A differ\n",
			    (unsigned long long)world->seed, world->schedule, 'A' + i);
			good = false;
		}
	}
	buf_fini(&one);
	buf_fini(&other);
	return good;
}

static bool world_end(struct world *world)
{
	uint64_t until = world->now_us + SETTLE_US;
	if (!step(world, '0'))
		return false;
	while (!world_is_settled(world) && world->now_us < until)
		if (!world_run(world, 100000, false))
			return false;
	if (!world_is_settled(world)) {
		fprintf(stderr, "seed %llu, schedule %s: the three do not come together\n",
		    (unsigned long long)world->seed, world->schedule);
		return false;
	}
	return check_acked(world) && check_same(world);
}

/* One life in a process of its own: what a crashed server held goes with it. */
static int life_run(uint64_t seed, const char *schedule, bool verbose, bool plant)
{
	static struct world world;
	world.seed = seed;
	world.verbose = verbose;
	world.plant = plant;
	random_init(&world.random, seed);
	world.quorum = random_below(&world.random, 4) != 0 || plant;
	world.images = seed % 3 != 0;
	world.skew = seed % 5 < 2;
	snprintf(world.schedule, sizeof(world.schedule), "%s", schedule);
	for (uint64_t i = 0; schedule[0] == 0 && i < 3 + seed % 8; i++)
		world.schedule[i] = (char)('0' + random_below(&world.random, 7));
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &world.nodes[i];
		node->world = &world;
		node->log = (struct log){.level = LOG_NOTICE, .sink = print_line, .ctx = node};
		node->disk = sim_disk_new(seed * NODES + i);
		node_settings(node);
		node_on(node);
	}
	bool good = world_run(&world, 2 * STEP_US, true);
	for (size_t i = 0; good && i < strlen(world.schedule); i++) {
		good = step(&world, world.schedule[i]) &&
		    world_run(&world, STEP_US / 2 + random_below(&world.random, STEP_US), true);
	}
	good = good && world_end(&world);
	if (verbose)
		fprintf(stderr, "%llu acknowledged, %llu refused, %u failovers, %llu put aside, %llu cut\n",
		    (unsigned long long)world.acks, (unsigned long long)world.refused, world.failovers,
		    (unsigned long long)world.asides, (unsigned long long)world.cuts);
	return good && world.acks > 0 ? 0 : 1;
}

static uint64_t wait_one(void)
{
	int status;
	if (wait(&status) < 0)
		return UINT64_MAX;
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

struct tally {
	uint64_t lives, running, failed;
};

static void run_one(struct tally *tally, uint64_t seed, const char *schedule, bool plant)
{
	if (tally->running == 2) {
		tally->failed += wait_one();
		tally->running--;
	}
	pid_t pid = fork();
	ASSERT(pid >= 0);
	if (pid == 0) {
		alarm(120);
		int result = life_run(seed, schedule, false, plant);
		if (result != 0 && !plant)
			fprintf(stderr, "FAILED: --one %llu%s%s\n", (unsigned long long)seed,
			    schedule[0] ? " --schedule " : "", schedule);
		_exit(result);
	}
	tally->running++;
	tally->lives++;
}

static void wait_all(struct tally *tally)
{
	for (uint64_t ended; (ended = wait_one()) != UINT64_MAX;)
		tally->failed += ended;
}

/* All of them of one length: the digits count upwards. */
static void run_schedules(struct tally *tally, uint64_t from, unsigned length)
{
	char schedule[STEPS_MAX + 1] = {0};
	ASSERT(length <= STEPS_MAX);
	memset(schedule, '0', length);
	for (;;) {
		run_one(tally, from + tally->lives, schedule, false);
		unsigned at = 0;
		for (; at < length && schedule[at] == '3'; at++)
			schedule[at] = '0';
		if (at == length)
			return;
		schedule[at]++;
	}
}

int main(int argc, char **argv)
{
	uint64_t seeds = 6000, lives = 0, from = 1, one = 0, length = 3;
	const char *schedule = "";
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--schedule") == 0) {
			schedule = argv[i + 1];
			continue;
		}
		uint64_t number = strtoull(argv[i + 1], NULL, 10);
		*(strcmp(argv[i], "--seeds") == 0       ? &seeds
		        : strcmp(argv[i], "--lives") == 0  ? &lives
		        : strcmp(argv[i], "--from") == 0   ? &from
		        : strcmp(argv[i], "--length") == 0 ? &length
		                                           : &one) = number;
	}
	if (one != 0)
		return life_run(one, schedule, true, false);
	struct tally tally = {0};
	lives = lives != 0 ? lives : seeds / 100;
	for (unsigned i = 1; i <= length; i++)
		run_schedules(&tally, from, i);
	uint64_t exhausted = tally.lives;
	for (uint64_t i = 0; i < lives; i++)
		run_one(&tally, from + tally.lives, "", false);
	wait_all(&tally);
	printf("%llu schedules of partitions and %llu lives of three servers, %llu failures\n",
	    (unsigned long long)exhausted, (unsigned long long)lives, (unsigned long long)tally.failed);
	/* Servers that do not wait for the quorum must be found out in the same run. */
	struct tally planted = {0};
	for (uint64_t i = 0; i < PLANTED; i++)
		run_one(&planted, from + i, "151", true);
	wait_all(&planted);
	printf("%llu of %d lives with an early reply were found out\n",
	    (unsigned long long)planted.failed, PLANTED);
	bool good = tally.failed == 0, found = planted.failed > 0;
	printf("%d passed, %d failed\n", good + found, !good + !found);
	return good && found ? 0 : 1;
}

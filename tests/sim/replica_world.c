/* tests/sim/replica_world.c: see replica_world.h. */
#include "tests/sim/replica_world.h"

#include "base/arith.h"
#include "engine/replica/replica.h"
#include "server/aside.h"
#include "tests/sim/pictures.h"
#include "tests/sim/settle.h"

#include <stdio.h>
#include <stdlib.h>

enum { MENDED_MAX = 400 << 10 };

void node_print_line(void *ctx, enum log_level level, struct span text)
{
	const struct node *node = ctx;
	UNUSED(level);
	if (node->world->verbose)
		fprintf(stderr, "%8llu ms  %c: %.*s\n", (unsigned long long)node->world->now_us / 1000,
		    'A' + (int)(node - node->world->nodes), (int)text.len, (const char *)text.ptr);
}

uint32_t node_number(const struct node *node)
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

void world_set_cuts(struct world *world, uint32_t which)
{
	for (uint32_t i = 0; i < NODES; i++)
		world->nodes[i].cut = i == which;
	for (int i = 0; i < NODES; i++)
		if (world->nodes[i].io != NULL)
			sim_net_healed(world->nodes[i].io);
}

/* ---- Machines ---- */

void node_settings(struct node *node)
{
	struct settings *settings = &node->settings;
	char text[64];
	snprintf(text, sizeof(text), "%u", PORT + node_number(node));
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
	settle(settings, "scrub-bytes-per-second", "1gb");
	settle(settings, "cache-appendfsync", node->world->seed % 3 == 0 ? "always" : "everysec");
	/* Of two followers one may be a liar, whose word counts for nothing. */
	const char *quorum = node->world->liar.kind > LIAR_NOISE ? "2" : "1";
	settle(settings, "min-replicas-to-ack", node->world->quorum && !node->world->plant ? quorum : "0");
	settle(settings, "checkpoint-bytes", node->world->seed % 2 ? "20000" : "0");
	if (node_number(node) > 0)
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
	if (world->liar.kind != LIAR_NONE)
		sim_set_relay(node->io, liar_relay, &world->liar);
}

void node_on(struct node *node)
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

void node_off(struct node *node)
{
	if (node->io == NULL)
		return;
	sim_crash(node->disk);
	sim_io_abandon(node->io);
	peers_free(node);
	node->io = NULL;                  /* the server's memory goes with this process */
	node->server = NULL;
}

void node_rot(struct world *world, struct node *node, uint64_t bits)
{
	char path[64];
	uint64_t left = 1 + random_below(&world->random, 8);
	for (uint64_t tries = 0; left > 0 && tries < 200; tries++) {
		snprintf(path, sizeof(path), "/hot/hot-%08llx.seg",
		    (unsigned long long)(1 + random_below(&world->random, 12)));
		bool flipped = sim_flip_bit(node->disk, path, random_below(&world->random, bits));
		left -= flipped;
		world->flips += flipped;
	}
	if (node_is_up(node))
		sim_peer_send(node->operator, SPAN_LIT("IMG.VERIFY\r\n"));
}

void node_replace(struct node *node)
{
	node_off(node);
	sim_disk_free(node->disk);
	node->disk = sim_disk_new(random_next(&node->world->random));
	node_on(node);
}

bool node_is_fooled(const struct node *node)
{
	const struct liar *liar = &node->world->liar;
	return liar->kind == LIAR_LEADS && !liar->resting && node_number(node) == LIAR;
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

bool node_is_up(const struct node *node)
{
	return node->io != NULL && !node->frozen && !node->server->engine->loading;
}

bool node_thinks_it_leads(const struct node *node)
{
	return node_is_up(node) && !engine_follows(node->server->engine);
}

uint64_t node_lsn(const struct node *node)
{
	return replication_offset(node->server->engine);
}

void world_pass(struct world *world)
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
		size_t before = out->len;
		picture_command(out, &world->random, ++world->number);
		while (world->rot && out->len - before > MENDED_MAX) {        /* in parts: not repaired */
			out->len = before;
			picture_command(out, &world->random, world->number);
		}
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

void node_write(struct world *world, struct node *node)
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
void node_hear(struct world *world, struct node *node)
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
			fprintf(stderr, "          %c refuses: %.*s\n", 'A' + (int)node_number(node),
			    (int)(end - in->ptr), (const char *)in->ptr);
		node->count--;
		memmove(&node->pending[0], &node->pending[1], node->count * sizeof(node->pending[0]));
		buf_consume(in, (size_t)(end - in->ptr) + 1);
	}
}

/* ---- What must hold at any time: pairs are whole ---- */

void node_ask(struct world *world, struct node *node)
{
	struct buf out;
	buf_init(&out, &world->memory);
	buf_append_text(&out, "MGET a0 b0 a1 b1 a2 b2 a3 b3\r\n");
	sim_peer_send(node->reader, buf_span(&out));
	buf_fini(&out);
	node->asked = true;
}

long long reply_take_number(struct span *in)
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

bool node_pairs_are_whole(struct world *world, struct node *node)
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
		if ((values[i] = reply_take_number(&rest)) == -2)
			return true;
	buf_consume(in, in->len - rest.len);
	node->asked = false;
	for (int i = 0; i < PAIRS; i++) {
		if (values[2 * i] == values[2 * i + 1] || world->now_us - node->partial_us < PARTIAL_US ||
		    node_is_fooled(node))
			continue;
		fprintf(stderr, "seed %llu, schedule %s: %c shows half an MSET: a%d %lld, b%d %lld\n",
		    (unsigned long long)world->seed, world->schedule, 'A' + (int)node_number(node), i,
		    values[2 * i], i, values[2 * i + 1]);
		return false;
	}
	return true;
}

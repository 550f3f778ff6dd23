/* tests/sim/replica_sim.c: a leader and two followers on three simulated machines.
 *
 *   replica-sim [--seeds N | --lives N] [--from S] [--one S] [--length L] [--schedule 0231...]
 *
 * At the end twelve lives whose servers wait for no quorum: that must be found out.
 *
 * Every schedule of partitions up to length L (default 3; 6 in the night's run), one step a digit, then
 * N lives by chance (of --seeds, a hundredth: a life is long) and N of 8888. In each step:
 *
 *   0  all links are whole        3  the second follower is cut off
 *   1  the leader is cut off      4  a machine loses its power, and comes back in a later step
 *   2  the first follower is      5  the leader does       6  a machine stands still, then goes on
 *
 *   7  bits on a machine's disk flip; it scrubs, and what is damaged comes from the others
 *   8  a machine loses its power, and comes back at once; bits of its disk have flipped
 *
 * (4 to 8 in lives by chance only.) Clients write to every machine that takes itself for the leader. An
 * operator does what a Sentinel does: if the leader is gone and both others see each other, the one that
 * has more becomes the leader; whoever comes back is told to follow it.
 *
 * One goes only when the others have all of it. With min-replicas-to-ack 1, what was acknowledged is
 * there at the end, so no two leaders have both acknowledged. Two keys of one MSET are never seen apart,
 * but by a follower that says of itself that it lacks something, or a leader that takes back what it
 * lost. In two lives of three there are images, too; in two of five the servers' clocks jump by up to an
 * hour, each for itself. When all is healed, all three hold the same, by IMG.DIGEST.
 *
 * In lives by chance the links do not always pass on what they get (liar.h): on some there is noise; on some
 * the third server lies about what it has, or is led by a liar. Then two must acknowledge, of whom one is
 * honest; who lies is not made the leader; and who was lied to is replaced before the end.
 */
#include "tests/sim/pictures.h"
#include "tests/sim/replica_world.h"

#include "base/arith.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The operator ---- */

static void operator_says(struct node *node, uint32_t leader)
{
	char text[64];
	if (node->told == leader)
		return;
	node->told = leader;
	if (leader == node_number(node))
		snprintf(text, sizeof(text), "REPLICAOF NO ONE\r\n");
	else
		snprintf(text, sizeof(text), "REPLICAOF 127.0.0.1 %u\r\n", PORT + leader);
	sim_peer_send(node->operator, span_text(text));
}

static bool sees(const struct world *world, uint32_t i)
{
	return node_is_up(&world->nodes[i]) && !world->nodes[i].cut;
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
		bool first = node_lsn(&world->nodes[a]) >= node_lsn(&world->nodes[b]);
		if (world->liar.kind > LIAR_NOISE)
			first = b == LIAR;        /* who lies does not become a leader */
		world->leader = first ? a : b;
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
			if (!node_is_up(node))
				continue;
			const struct engine *engine = node->server->engine;
			if (replication_is_partial(engine) || engine->rejoin->lost_lsn != 0)
				node->partial_us = world->now_us;
			node_hear(world, node);
			if (!node_pairs_are_whole(world, node))
				return false;
			if (!node->asked && random_below(&world->random, 6) == 0)
				node_ask(world, node);
			if (write && node_thinks_it_leads(node) && node->count == 0 &&
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
		if (world->liar.kind > LIAR_NOISE && !world->liar.resting && i == LIAR)
			continue;             /* what it says of itself means nothing */
		if (!node_is_up(node) || engine_follows(node->server->engine) == (node == leader))
			return false;
		const struct replication *replication = node->server->engine->replication;
		if (repairs_pending(node->server->engine) > 0)
			return false;
		if (node != leader && (!replication_link_is_up(node->server->engine) ||
		    max_u64(replication->applied, replication->position) + latest < node_lsn(leader) ||
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
	world_set_cuts(world, NOBODY);
}

/* What was acknowledged is in two places at least, so that one may go: who was away, or had to begin
 * anew, must have caught up before the next one goes. False: something is wrong. */
static bool step(struct world *world, char what)
{
	uint64_t begin = world->now_us, until = begin + SETTLE_US;
	all_back(world);
	while (what != '0' && !world_is_whole(world, 100) && world->now_us < until) {
		world->liar.resting = world->liar.kind == LIAR_NOISE && world->now_us > begin + QUIET_US;
		if (!world_run(world, 20000, true))
			return false;
	}
	world->liar.resting = false;
	uint32_t leader = world->leader, victim = (uint32_t)random_below(&world->random, NODES);
	world_set_cuts(world, what < '1' || what > '3' ? NOBODY : (leader + (uint32_t)(what - '1')) % NODES);
	if (what == '4')
		node_off(&world->nodes[victim]);
	else if (what == '5')
		node_off(&world->nodes[leader]);
	else if (what == '6')
		world->nodes[victim].frozen = true;
	else if (what == '8')
		node_off(&world->nodes[victim]);
	if (what == '7' || what == '8')
		node_rot(world, &world->nodes[victim], what == '8' ? ROT_FRONT_BITS : ROT_BITS);
	if (what == '8')
		node_on(&world->nodes[victim]);
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
		long long value = reply_take_number(&rest);
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

/* Of an image that was not acknowledged there may be no copy that can be read: it is given up. */
static bool give_corrupt_up(struct world *world)
{
	struct node *leader = &world->nodes[world->leader];
	struct buf reply;
	char line[64];
	bool good = true;
	buf_init(&reply, &world->memory);
	for (int i = 0; i < PICTURES && good; i++) {
		snprintf(line, sizeof(line), "IMG.VERIFY i%d\r\n", i);
		good = ask_line(world, leader, line, &reply);
		if (!good || memmem(reply.ptr, reply.len, "corrupt", 7) == NULL)
			continue;
		snprintf(line, sizeof(line), "DEL i%d\r\n", i);
		good = ask_line(world, leader, line, &reply);
	}
	buf_fini(&reply);
	return good;
}

/* A start from a checkpoint reads little: what rots in the rest is found by whoever reads it. */
static bool all_verify(struct world *world)
{
	struct buf reply;
	bool good = true;
	buf_init(&reply, &world->memory);
	for (int i = 0; i < NODES && good; i++)
		good = ask_line(world, &world->nodes[i], "IMG.VERIFY\r\n", &reply);
	buf_fini(&reply);
	return good && world_run(world, QUIET_US, false);
}

static bool world_settle(struct world *world)
{
	uint64_t until = world->now_us + SETTLE_US;
	while (!world_is_settled(world) && world->now_us < until)
		if (!world_run(world, 100000, false))
			return false;
	if (!world_is_settled(world))
		fprintf(stderr, "seed %llu, schedule %s: the three do not come together\n",
		    (unsigned long long)world->seed, world->schedule);
	return world_is_settled(world);
}

static bool world_end(struct world *world)
{
	if (!step(world, '0'))
		return false;
	if (node_is_fooled(&world->nodes[LIAR]))
		node_replace(&world->nodes[LIAR]);
	world->liar.resting = true;
	if (!world_settle(world))
		return false;
	if (world->rot && (!all_verify(world) || !world_settle(world)))
		return false;
	if (world->rot && (!give_corrupt_up(world) || !world_run(world, QUIET_US, false)))
		return false;
	return check_acked(world) && check_same(world);
}

static bool is_on_a_lie(void *ctx, const struct sim_way *way)
{
	const struct world *world = ctx;
	const struct io *liar = world->nodes[LIAR].io;
	return world->liar.kind == LIAR_NOISE ||
	    (world->liar.kind == LIAR_LEADS ? way->to : way->from) == liar;
}

/* In lives by chance: in two of seven there is noise, in one of seven each a server lies or is lied to. */
static void world_lies(struct world *world)
{
	static const enum liar_kind kinds[7] = {
	    [1] = LIAR_NOISE, [2] = LIAR_LEADS, [4] = LIAR_NOISE, [5] = LIAR_FOLLOWS};
	world->liar.kind = kinds[world->seed % 7];
	world->liar.lies = is_on_a_lie;
	world->liar.ctx = world;
	random_init(&world->liar.random, world->seed);
	world->liar.one_in = 6 + (uint32_t)random_below(&world->liar.random, 80);
	if (world->liar.kind > LIAR_NOISE)
		world->quorum = true;
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
	world.rot = seed % 4 == 1;
	snprintf(world.schedule, sizeof(world.schedule), "%s", schedule);
	for (uint64_t i = 0; schedule[0] == 0 && i < 3 + seed % 8; i++)
		world.schedule[i] = (char)('0' + random_below(&world.random, world.rot ? 9 : 7));
	if (schedule[0] == 0 && !plant)
		world_lies(&world);
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &world.nodes[i];
		node->world = &world;
		node->log = (struct log){.level = LOG_NOTICE, .sink = node_print_line, .ctx = node};
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
	if (verbose && world.rot)
		fprintf(stderr, "%llu bits flipped\n", (unsigned long long)world.flips);
	if (verbose && world.liar.kind != LIAR_NONE)
		fprintf(stderr, "%llu lies in %llu pieces\n", (unsigned long long)world.liar.lied,
		    (unsigned long long)world.liar.passed);
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
		alarm(600);
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
	/* The same schedule for seeds whose disks rot: a leader has lost something in many of them. */
	for (uint64_t i = 0; i < lives; i++)
		run_one(&tally, (from + tally.lives) / 4 * 4 + 1 + 4 * i, "8888", false);
	wait_all(&tally);
	printf("%llu schedules of partitions and %llu lives of three servers, %llu failures\n",
	    (unsigned long long)exhausted, (unsigned long long)(2 * lives), (unsigned long long)tally.failed);
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

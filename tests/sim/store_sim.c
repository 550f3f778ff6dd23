/* tests/sim/store_sim.c: crash after crash on a simulated machine.
 *
 *   store-sim [--seeds N] [--from S] [--every S] [--plant early|expire] [--verbose]
 *
 * Each seed is one life of a store: a random workload on a disk with faults of its own,
 * power cuts at random steps, also in the middle of recovery, and the checks of owner.h after
 * each. --every S cuts the power of the workload of seed S at every single step instead.
 * --plant early treats what was handed to the disk as acknowledged, to see that it is caught;
 * --plant expire says to the cleaner that no EXPIRE is needed.
 * Every other life has so small a disk that the cleaner works all the time.
 * Prints the seeds that fail, and "N crash points, F failures".
 */
#include "tests/sim/keeper.h"

#include "io/sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYNC_MIXED = 3, SEGMENT_BYTES = 1 << 20, POOL_BYTES = 24 << 20, MOVES = 3, STEPS_MAX = 120 };

enum plant { PLANT_NONE, PLANT_EARLY, PLANT_EXPIRE };

struct options {
	uint64_t   points, from, every;
	enum plant plant;
	bool       verbose;
};

/* What cleaners did. */
struct cleaned {
	uint64_t victims, evacuated, records, marks, marks_dropped;
	uint64_t checkpoints, loads, late;        /* written, loaded; behind the open store */
};

struct life {
	struct owner      owner;
	struct memory     memory;
	struct sim_disk  *disk;
	struct io        *io;
	struct body_pool *pool;
	struct store     *store;
	struct random     random;
	struct log        log;
	struct store_move moves[MOVES];
	bool              moving[MOVES];
	bool              plant, full;
	bool              keeps, short_bodies;    /* checkpoints; no body in several records */
	uint8_t           sync;           /* what each record asks for, or SYNC_MIXED */
	uint64_t          disk_bytes_max; /* 0: plenty; else the cleaner has to work all the time */
	uint32_t          lengthen;       /* rounds are so many times longer */
	struct cleaned    cleaned;
	uint32_t          group;          /* records still to come of an atomic group */
};

static void life_opened(void *ctx, enum err err)
{
	struct owner *owner = ctx;
	owner->opened = true;
	owner->open_err = err;
	owner->whole = err == OK ? store_durable_lsn(owner->store) : 0;
}

static void life_corrupt(void *ctx, struct place place, const struct record *record)
{
	struct owner *owner = ctx;
	UNUSED(place);
	owner->corrupt++;
	if (record != NULL && !owner->opened)
		owner_unreadable(owner, record);
	else if (owner->trust)
		owner_fail(owner, "an honest disk is said to be corrupt");
}

static void life_state(void *ctx, enum err state)
{
	((struct owner *)ctx)->state = state;
}

static void life_closed(void *ctx)
{
	((struct owner *)ctx)->closed = true;
}

static const struct store_events life_events = {
	.recovered = owner_recovered,
	.opened = life_opened,
	.durable = owner_durable,
	.relocated = owner_relocated,
	.corrupt = life_corrupt,
	.state = life_state,
	.is_live = owner_is_live,
	.load_begin = keeper_load_begin,
	.load_chunk = keeper_load_chunk,
	.load_settings = keeper_load_settings,
	.load_reset = keeper_load_reset,
	.key_hash = keeper_key_hash,
	.loaded = keeper_loaded,
};

static void life_power_on(struct life *life, uint64_t seed, uint64_t crash_after)
{
	const struct body_pool_options pool = {.bytes = POOL_BYTES};
	const struct store_options options = {
		.dir = {"/hot", "/warm"},
		.segment_bytes = SEGMENT_BYTES,
		.spare_segments = 4,
		.disk_bytes_max = life->disk_bytes_max,
		.batches_in_flight = 1 + (uint32_t)random_below(&life->random, 4),
		.batch_delay_ms = (uint32_t)random_below(&life->random, 3),
		.load_bytes_first = random_below(&life->random, 2),
		.memory = &life->memory,
		.log = &life->log,
	};
	struct store_options with_pool = options;
	life->io = sim_new(life->disk, seed, &life->log);
	sim_crash_after(life->io, crash_after);
	owner_forget(&life->owner);
	memset(life->moving, 0, sizeof(life->moving));
	life->group = 0;
	if (body_pool_new(life->io, &pool, &life->pool) != OK)
		abort();
	with_pool.pool = life->pool;
	if (store_new(life->io, &with_pool, &life_events, &life->owner, &life->store) != OK)
		abort();
	life->owner.store = life->store;
	enum err err = store_open(life->store);
	if (err != OK) {
		life->owner.opened = true;
		life->owner.open_err = err;
	}
	while (!life->owner.opened && !sim_is_dead(life->io))
		io_wait(life->io, 10000);
}

static void life_power_off(struct life *life)
{
	if (!sim_is_dead(life->io))
		sim_crash(life->disk);
	struct store_stats stats;
	store_get_stats(life->store, &stats);
	life->cleaned.victims += stats.cleaner.victims;
	life->cleaned.evacuated += stats.cleaner.evacuated;
	life->cleaned.records += stats.cleaner.records;
	life->cleaned.marks += stats.cleaner.marks;
	life->cleaned.marks_dropped += stats.cleaner.marks_dropped;
	store_abandon(life->store);
	body_pool_free(life->pool);
	sim_io_abandon(life->io);
	life->store = NULL;
	if (life->memory.bytes != 0)
		owner_fail(
		    &life->owner, "%llu bytes leaked", (unsigned long long)life->memory.bytes);
}

/* ---- The workload ---- */

static uint32_t life_length(struct life *life)
{
	switch (random_below(&life->random, 8)) {
	case 0:
		return 0;
	case 1:
		return (uint32_t)(BODY_INLINE_MAX - 2 + random_below(&life->random, 5));
	case 2:
		return (uint32_t)random_below(&life->random, 300000);
	case 3:
		if (!life->short_bodies && random_below(&life->random, 6) == 0)
			return (uint32_t)(600000 + random_below(&life->random, 1500000));
		return (uint32_t)random_below(&life->random, 70000);
	default:
		return (uint32_t)random_below(&life->random, life->disk_bytes_max != 0 ? 60000 : 3000);
	}
}

/* What to append next. False: nothing is known yet of its key. */
static bool life_choose(struct life *life, struct op *op)
{
	static const uint8_t types[] = {
		RECORD_IMAGE, RECORD_IMAGE, RECORD_VALUE, RECORD_VALUE, RECORD_VALUE, RECORD_META,
		RECORD_EXPIRE, RECORD_DELETE, RECORD_DELETE,
	};
	struct random *random = &life->random;
	*op = (struct op){
		.type = types[random_below(random, ARRAY_COUNT(types))],
		.key = (uint8_t)random_below(random, OWNER_KEYS),
	};
	if (random_below(random, 60) == 0)
		op->type = RECORD_FLUSH;
	if (life->full)                       /* what a full disk still takes, to free something */
		op->type = RECORD_DELETE;
	if (op->type == RECORD_FLUSH ? !keeper_knows_all(&life->owner)
	                             : !keeper_knows(&life->owner, op->key))
		return false;
	if (op->type == RECORD_IMAGE || op->type == RECORD_VALUE)
		op->len = life_length(life);
	if (op->type == RECORD_EXPIRE)
		op->expire_ms = (int64_t)random_below(random, 2) * 1000;
	return true;
}

static enum err life_put(struct life *life, struct op op)
{
	uint8_t sync = life->sync == SYNC_MIXED ? (uint8_t)random_below(&life->random, 3) : life->sync;
	enum err err = owner_append(&life->owner, life->pool, op, sync);
	life->full = err == ERR_DISKFULL;
	if (err != OK && err != ERR_OVERLOADED && err != ERR_DISKFULL && err != ERR_READONLY)
		owner_fail(&life->owner, "append says %s", err_name(err));
	if (life->plant && err == OK)
		life->owner.acked = store_last_lsn(life->store);
	return err;
}

/* A group for which room is made before its first record: then none of it is refused. */
static void life_group(struct life *life)
{
	enum { MOST = 5, HEAD_BYTES = 300 };
	struct op ops[MOST];
	uint32_t count = 0, wanted = 2 + (uint32_t)random_below(&life->random, MOST - 1);
	uint64_t bytes = 0;
	while (count < wanted && life_choose(life, &ops[count]) && ops[count].len < 400000)
		bytes += HEAD_BYTES + ops[count++].len;
	if (count == 0 || life->owner.op_count + count > OWNER_OPS)
		return;
	enum err err = store_begin_group(life->store, count, count, bytes);
	life->full = err == ERR_DISKFULL;
	if (err != OK)
		return;
	for (uint32_t i = 0; i < count; i++) {
		ops[i].continues = i + 1 < count;
		err = life_put(life, ops[i]);
		/* The pool of bodies may be used up, which an engine sees before. */
		if (err == ERR_OVERLOADED && !ops[i].continues) {
			ops[i].type = RECORD_DELETE;
			ops[i].len = 0;
			err = life_put(life, ops[i]);
		}
		if (err != OK && err != ERR_READONLY && err != ERR_OVERLOADED)
			owner_fail(&life->owner, "a group is refused half way: %s", err_name(err));
	}
	store_end_group(life->store);
}

static void life_append(struct life *life)
{
	enum { GROUP_MOST = 8 };
	struct op op;
	bool grouped = random_below(&life->random, 6) == 0;
	if (life->group == 0 && life->owner.op_count + GROUP_MOST > OWNER_OPS)
		return;                       /* it remembers no more */
	/* With plenty of room, groups may take their time, and cross batches and segments. */
	if (grouped && life->disk_bytes_max != 0) {
		life_group(life);
		return;
	}
	if (!life_choose(life, &op))
		return;
	if (grouped && life->group == 0)
		life->group = 1 + (uint32_t)random_below(&life->random, 4);
	op.continues = life->group > 1;
	if (life_put(life, op) == OK && life->group > 0)
		life->group--;
}

struct check {
	struct life *life;
	uint8_t      key;
	bool         done;
};

static void life_read_done(struct store_read *read, enum err err)
{
	struct check *check = read->ctx;
	struct owner *owner = &check->life->owner;
	const struct value *want = &owner->slots[check->key].now;
	check->done = true;
	if (err != OK) {
		if (owner->trust && err != ERR_OVERLOADED &&
		    store_state(owner->store) != ERR_READONLY)
			owner_fail(owner, "reading LSN %llu: %s", (unsigned long long)read->lsn,
			    err_name(err));
		return;
	}
	if (want->main_lsn != read->lsn)
		return;               /* overwritten meanwhile */
	struct span body = {0};
	if (read->record.body != NULL)
		body = body_span(read->record.body);
	if (read->record.lsn != read->lsn || body.len != want->len ||
	    !content_is(want->content, body))
		owner_fail(owner, "LSN %llu reads back wrong", (unsigned long long)read->lsn);
}

static void life_read(struct life *life, uint8_t key)
{
	const struct slot *slot = &life->owner.slots[key];
	if (slot->main.segment == 0 || !keeper_knows(&life->owner, key))
		return;
	struct check check = {.life = life, .key = key};
	struct store_read read = {
	    .done = life_read_done,
	    .ctx = &check,
	    .place = slot->main,
	    .lsn = slot->now.main_lsn,
	};
	store_read_start(life->store, &read);
	while (!check.done && !sim_is_dead(life->io))
		io_wait(life->io, 10000);
	store_read_fini(&read);
}

static void life_moved(struct store_move *move, enum err err)
{
	struct life *life = move->ctx;
	UNUSED(err);
	life->moving[move - life->moves] = false;
}

static void life_move(struct life *life)
{
	struct random *random = &life->random;
	uint8_t key = (uint8_t)random_below(random, OWNER_KEYS);
	const struct slot *slot = &life->owner.slots[key];
	uint32_t at = (uint32_t)random_below(random, MOVES);
	if (life->moving[at] || slot->main.segment == 0 || !keeper_knows(&life->owner, key))
		return;
	life->moving[at] = true;
	life->moves[at] = (struct store_move){
		.done = life_moved,
		.ctx = life,
		.tier = random_below(random, 3) == 0 ? TIER_HOT : TIER_WARM,
	};
	store_move_start(life->store, &life->moves[at], slot->main, slot->now.main_lsn);
}

static void life_step(struct life *life)
{
	struct random *random = &life->random;
	switch (random_below(random, 10)) {
	case 0:
		life_read(life, (uint8_t)random_below(random, OWNER_KEYS));
		break;
	case 1:
		life_move(life);
		break;
	case 2:
		store_sync(life->store);
		break;
	case 3:
		/* Now and then until the next tick; more often where there is something to clean. */
		io_wait(life->io,
		    random_below(random, life->disk_bytes_max != 0 ? 2 : 4) == 0 ? 1200000 : 5000);
		break;
	default:
		for (uint64_t n = 1 + random_below(random, 4); n > 0; n--)
			life_append(life);
		break;
	}
	if (life->keeps && random_below(random, 3) == 0)
		keeper_step(&life->owner);
	store_flush(life->store);
	if (random_below(random, 2) == 0)
		io_wait(life->io, random_below(random, 3) * 200);
}

/* Nothing of a group that is not complete counts as durable: whoever waits would wait for ever. */
static void life_end_group(struct life *life)
{
	for (int i = 0; i < 10000 && life->group > 0 && !sim_is_dead(life->io); i++) {
		life_append(life);
		store_flush(life->store);
		io_wait(life->io, 1000);
	}
}

/* Hardly anything comes behind the checkpoint: it is loaded behind the open store. */
static void life_keep(struct life *life)
{
	uint64_t before = life->owner.checkpoints;
	life_end_group(life);
	for (int i = 0; i < 2000 && life->owner.checkpoints == before && !sim_is_dead(life->io); i++) {
		keeper_step(&life->owner);
		store_flush(life->store);
		io_wait(life->io, 1000);
	}
	for (uint64_t n = random_below(&life->random, 8); n > 0; n--)
		life_append(life);
	store_flush(life->store);
	io_wait(life->io, random_below(&life->random, 3) * 1000);
}

static void life_work(struct life *life, uint32_t steps)
{
	for (uint32_t i = 0; i < steps && !sim_is_dead(life->io); i++)
		life_step(life);
}

/* Until an append is refused. */
static void life_fill(struct life *life)
{
	struct owner *owner = &life->owner;
	for (int tries = 0; tries < 300 && !life->full && !sim_is_dead(life->io); tries++) {
		struct op op = {
		    .type = RECORD_IMAGE, .key = (uint8_t)(tries % OWNER_KEYS), .len = 250000};
		if (owner->op_count > OWNER_OPS / 2 || !keeper_knows(owner, op.key))
			return;
		enum err err = life_put(life, op);
		store_flush(life->store);
		io_wait(life->io, err == OK ? 1000 : 20000);
	}
}

/* All is deleted: on a disk without faults there must be room again soon, whether anybody waits
 * for the disk or not. */
static void life_clear(struct life *life)
{
	enum { SECONDS = 30, TRIES_A_SECOND = 20 };
	struct owner *owner = &life->owner;
	life_end_group(life);
	if (life->disk_bytes_max != 0)
		life_fill(life);
	for (uint8_t key = 0; key < OWNER_KEYS; key++) {
		struct op op = {.type = RECORD_DELETE, .key = key};
		if (!keeper_knows(owner, key))
			return;
		for (int tries = 0; owner->slots[key].now.main_lsn != 0; tries++) {
			enum err err = life_put(life, op);
			if (err == ERR_READONLY || sim_is_dead(life->io) || owner->op_count == OWNER_OPS)
				return;
			if (tries == SECONDS * TRIES_A_SECOND) {
				owner_fail(owner, "a delete is refused: %s", err_name(err));
				return;
			}
			store_flush(life->store);
			io_wait(life->io, err != OK ? 1000000 / TRIES_A_SECOND
			                            : random_below(&life->random, 4) * 300);
		}
	}
	struct op op = {.type = RECORD_IMAGE, .len = 200000};
	for (int tries = 0; owner->op_count < OWNER_OPS && !sim_is_dead(life->io); tries++) {
		enum err err = life_put(life, op);
		if (err == OK || err == ERR_READONLY)
			return;
		if (tries == SECONDS * TRIES_A_SECOND) {
			owner_fail(owner, "nothing lives, and still: %s", err_name(err));
			return;
		}
		store_flush(life->store);
		io_wait(life->io, 1000000 / TRIES_A_SECOND);
	}
}

static void life_close(struct life *life)
{
	life_end_group(life);
	store_close(life->store, life_closed);
	for (uint32_t i = 0; i < 100000 && !life->owner.closed && !sim_is_dead(life->io); i++) {
		if (life->owner.keeping == KEEPING_CHUNKS)
			keeper_step(&life->owner);
		io_wait(life->io, life->owner.keeping == KEEPING_CHUNKS ? 0 : 100000);
	}
	if (!life->owner.closed && !sim_is_dead(life->io))
		owner_fail(&life->owner, "the store does not close");
	if (life->owner.closed && store_state(life->store) != ERR_READONLY)
		life->owner.acked = store_last_lsn(life->store);
}

/* ---- Lives ---- */

static void life_faults(struct life *life, uint64_t kind)
{
	struct sim_faults faults = {0};
	life->owner.trust = true;
	switch (kind) {
	case 0:
		faults.chance_ppm[SIM_WRITE_EIO] = 3000;
		break;
	case 1:
		faults.chance_ppm[SIM_SYNC_EIO] = 20000;
		faults.chance_ppm[SIM_WRITE_SHORT] = 3000;
		break;
	case 2:
		faults.chance_ppm[SIM_NO_SPACE] = 100000;
		break;
	case 3:
		faults.chance_ppm[SIM_CLOCK_JUMP] = 10000;
		break;
	case 4:
		faults.chance_ppm[SIM_WRITE_LOST] = 2000;
		faults.chance_ppm[SIM_WRITE_MISDIRECTED] = 2000;
		life->owner.trust = false;
		break;
	case 5:
		faults.chance_ppm[SIM_SECTOR_ROT] = 3000;
		faults.chance_ppm[SIM_READ_FLIP] = 3000;
		faults.chance_ppm[SIM_READ_EIO] = 1000;
		life->owner.trust = false;
		break;
	default:
		break;
	}
	sim_set_faults(life->disk, &faults);
}

static void life_sink(void *ctx, enum log_level level, struct span text)
{
	UNUSED(ctx);
	UNUSED(level);
	printf("    %.*s\n", (int)text.len, (const char *)text.ptr);
}

static struct life *life_new(uint64_t seed, enum plant plant, bool verbose)
{
	struct life *life = calloc(1, sizeof(*life));
	if (life == NULL)
		abort();
	random_init(&life->random, seed);
	life->plant = plant == PLANT_EARLY;
	life->owner.plant_expire = plant == PLANT_EXPIRE;
	life->log.level = verbose ? LOG_DEBUG : LOG_WARNING + 1;
	life->log.sink = life_sink;
	life->disk = sim_disk_new(seed);
	uint64_t kind = random_below(&life->random, 8);
	if (kind < 4)
		life->disk_bytes_max = (8 + random_below(&life->random, 8)) * SEGMENT_BYTES;
	life->keeps = random_below(&life->random, 3) > 0;
	life->short_bodies = random_below(&life->random, 2) == 0;
	static const uint8_t levels[] = {SYNC_MIXED, SYNC_MIXED, SYNC_EVERYSEC, SYNC_NO};
	life->sync = levels[random_below(&life->random, ARRAY_COUNT(levels))];
	life->lengthen = kind == 0 ? 8 : kind < 4 ? 2 : 1;
	return life;
}

/* What a checkpoint holds is loaded behind the open store. */
static void life_wait_loaded(struct life *life)
{
	struct store_load_progress progress;
	for (store_get_load(life->store, &progress); progress.left > 0;
	     store_get_load(life->store, &progress))
		io_wait(life->io, 10000);
}

/* Recovers without a cut, compares, reads everything, and writes a little. */
static void life_judge(struct life *life, uint64_t seed)
{
	struct owner *owner = &life->owner;
	const struct sim_faults none = {0};
	sim_set_faults(life->disk, &none);
	life_power_on(life, seed, 0);
	if (owner->open_err != OK) {
		if (owner->trust)
			owner_fail(owner, "does not open: %s", err_name(owner->open_err));
		life_power_off(life);
		return;
	}
	owner_settle(owner);
	life_wait_loaded(life);
	owner_compare(owner);
	for (uint8_t key = 0; key < OWNER_KEYS && owner->failure[0] == 0; key++)
		life_read(life, key);
}

/* One life: several power cuts, the last recovery undisturbed. */
static uint32_t life_run(uint64_t seed, enum plant plant, bool verbose, struct cleaned *cleaned)
{
	struct life *life = life_new(seed, plant, verbose);
	struct owner *owner = &life->owner;
	uint32_t cuts = 0;
	if (verbose)
		printf("seed %llu\n", (unsigned long long)seed);
	uint64_t kind = random_below(&life->random, 12);
	life_faults(life, kind);
	for (uint32_t round = 0; round < 3 && owner->failure[0] == 0; round++) {
		uint64_t after = 1 + random_below(&life->random, 600 * life->lengthen);
		life_faults(life, kind);
		life->full = false;
		life_power_on(life, seed + round, after);
		if (owner->opened && owner->open_err == OK) {
			if (round > 0)
				owner_settle(owner);
			if (round > 0 && keeper_knows_all(owner))
				owner_compare(owner);
			uint32_t steps = 1 + (uint32_t)random_below(&life->random, STEPS_MAX);
			life_work(life, life->lengthen * steps);
			if (life->keeps && !sim_is_dead(life->io) && random_below(&life->random, 2) == 0)
				life_keep(life);
			if (owner->trust && !sim_is_dead(life->io) && random_below(&life->random, 2) == 0)
				life_clear(life);
			if (!sim_is_dead(life->io) && random_below(&life->random, 2) == 0)
				life_close(life);
		} else if (owner->opened && owner->trust && kind > 2 && !sim_is_dead(life->io)) {
			owner_fail(owner, "does not open: %s", err_name(owner->open_err));
		}
		cuts++;
		life_power_off(life);
		if (owner->failure[0] != 0)
			break;
		life_judge(life, seed + 100 + round);
		if (life->store != NULL)
			life_power_off(life);
	}
	bool failed = owner->failure[0] != 0;
	if (failed)
		printf("seed %llu: %s\n", (unsigned long long)seed, owner->failure);
	cleaned->checkpoints += owner->checkpoints;
	cleaned->loads += owner->loads;
	cleaned->late += owner->loaded_late;
	cleaned->victims += life->cleaned.victims;
	cleaned->evacuated += life->cleaned.evacuated;
	cleaned->records += life->cleaned.records;
	cleaned->marks += life->cleaned.marks;
	cleaned->marks_dropped += life->cleaned.marks_dropped;
	sim_disk_free(life->disk);
	free(life);
	return failed ? 0 : cuts;
}

/* The same workload, cut at step `after`. Sets *steps to those that there were. */
static bool life_run_cut(uint64_t seed, uint64_t after, enum plant plant, uint64_t *steps)
{
	struct life *life = life_new(seed, plant, false);
	struct owner *owner = &life->owner;
	owner->trust = true;
	life_power_on(life, seed, after);
	if (owner->opened && owner->open_err == OK) {
		life_work(life, STEPS_MAX);
		if (!sim_is_dead(life->io))
			life_close(life);
	}
	*steps = sim_steps(life->io);
	life_power_off(life);
	life_judge(life, seed + 1);
	if (life->store != NULL)
		life_power_off(life);
	bool failed = owner->failure[0] != 0;
	if (failed)
		printf("seed %llu, step %llu: %s\n", (unsigned long long)seed,
		    (unsigned long long)after, owner->failure);
	sim_disk_free(life->disk);
	free(life);
	return !failed;
}

/* What one process comes to, and all of them. */
struct tally {
	uint64_t       points, failures;
	struct cleaned cleaned;
};

static void tally_add(struct tally *sum, const struct tally *part)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)part;
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static uint64_t now_living;              /* the seed whose life it is */

/* A life takes milliseconds; one that has not ended by now waits for what never comes. */
static void say_it_hangs(int signal)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "FAILED: seed %llu does not end\n",
	    (unsigned long long)now_living);
	ssize_t written = write(STDOUT_FILENO, text, (size_t)len);
	_exit(written == len ? 1 : signal);
}

/* Every `step`th seed from `from` on, until there are so many crash points. */
static void run_lives(const struct options *options, uint64_t from, uint64_t step, struct tally *out)
{
	uint64_t points = (options->points + step - 1) / step;
	signal(SIGALRM, say_it_hangs);
	for (uint64_t seed = from; out->points < points; seed += step) {
		now_living = seed;
		alarm(120);
		uint32_t cuts = life_run(seed, options->plant, options->verbose, &out->cleaned);
		out->failures += cuts == 0;
		out->points += cuts == 0 ? 1 : cuts;
	}
	alarm(0);
}

/* Lives on two processors: each process does its share and sends what it came to. */
static void run_many(const struct options *options, struct tally *out)
{
	enum { JOBS = 2 };
	int ends[2];
	struct tally part;
	if (pipe(ends) != 0)
		abort();
	for (uint64_t job = 0; job < JOBS; job++) {
		pid_t pid = fork();
		if (pid < 0)
			abort();
		if (pid > 0)
			continue;
		memset(&part, 0, sizeof(part));
		run_lives(options, options->from + job, JOBS, &part);
		fflush(stdout);
		_exit(write(ends[1], &part, sizeof(part)) == (ssize_t)sizeof(part) ? 0 : 1);
	}
	close(ends[1]);
	for (int job = 0; job < JOBS; job++) {
		if (read(ends[0], &part, sizeof(part)) == (ssize_t)sizeof(part))
			tally_add(out, &part);
		else
			out->failures++;      /* it crashed */
	}
	while (wait(NULL) > 0)
		;
	close(ends[0]);
}

/* The power is cut at each step of one workload. */
static void run_every(const struct options *options, struct tally *out)
{
	uint64_t steps = 0, ignored;
	out->failures += life_run_cut(options->every, 0, options->plant, &steps) ? 0 : 1;
	for (uint64_t step = 1; step <= steps; step++, out->points++)
		out->failures += life_run_cut(options->every, step, options->plant, &ignored) ? 0 : 1;
}

static const char *word_after(int argc, char **argv, int at)
{
	if (at + 1 >= argc) {
		fprintf(stderr, "%s: a word is missing\n", argv[at]);
		exit(2);
	}
	return argv[at + 1];
}

static uint64_t number_after(int argc, char **argv, int at)
{
	return strtoull(word_after(argc, argv, at), NULL, 10);
}

static void options_read(int argc, char **argv, struct options *out)
{
	*out = (struct options){.points = 1000, .from = 1};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0)
			out->points = number_after(argc, argv, i++);
		else if (strcmp(argv[i], "--from") == 0)
			out->from = number_after(argc, argv, i++);
		else if (strcmp(argv[i], "--every") == 0)
			out->every = number_after(argc, argv, i++);
		else if (strcmp(argv[i], "--plant") == 0)
			out->plant = strcmp(word_after(argc, argv, i++), "expire") == 0 ? PLANT_EXPIRE
			                                                                : PLANT_EARLY;
		else if (strcmp(argv[i], "--verbose") == 0)
			out->verbose = true;
	}
}

static void print_tally(const struct tally *tally)
{
	const struct cleaned *cleaned = &tally->cleaned;
	printf("%llu crash points, %llu failures\n", (unsigned long long)tally->points,
	    (unsigned long long)tally->failures);
	printf("cleaned %llu of %llu segments, copied %llu records (%llu marks), dropped %llu marks\n",
	    (unsigned long long)cleaned->evacuated, (unsigned long long)cleaned->victims,
	    (unsigned long long)cleaned->records, (unsigned long long)cleaned->marks,
	    (unsigned long long)cleaned->marks_dropped);
	printf("checkpoints: %llu written, %llu loaded, %llu of them behind the open store\n",
	    (unsigned long long)cleaned->checkpoints, (unsigned long long)cleaned->loads,
	    (unsigned long long)cleaned->late);
}

int main(int argc, char **argv)
{
	struct options options;
	struct tally tally = {0};
	setvbuf(stdout, NULL, _IOLBF, 0);
	options_read(argc, argv, &options);
	if (options.every > 0)
		run_every(&options, &tally);
	else if (options.verbose || options.points == 1)
		run_lives(&options, options.from, 1, &tally);
	else
		run_many(&options, &tally);
	print_tally(&tally);
	if (options.plant != PLANT_NONE)
		return tally.failures > 0 ? 0 : 1;
	return tally.failures > 0 ? 1 : 0;
}

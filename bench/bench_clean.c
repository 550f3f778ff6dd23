/* bench/bench_clean.c: write amplification of the store on a scaled disk (promise S7).
 *
 *   bench_clean DIR [--disk-mib 512] [--segment-mib 2] [--turnovers 6] [--only NAME]
 *
 * The real store writes real files under DIR; the owner is an array. Objects are log-normal
 * around 40 KiB. Each workload first fills the store to its share of the room, then writes
 * `turnovers` times the room; only these count. 80% full means: of what the segments can hold of
 * such objects, which begin on sectors, with the reserve and the segments being written apart.
 * Write amplification is bytes written to the device,
 * commit blocks and padding and all, over bytes of the records appended. Making the segments (they
 * are zeroed once) is told apart. Prints one line for each workload.
 *
 *   ttl       every object expires after the same time, deleted in order: 70% full
 *   mixed     70% live as above, 30% are kept until they make up 3/8 of the store; 80% full
 *   zipf      overwrites of keys by Zipf .99, 80% full
 *   uniform   overwrites of random keys, 80% full
 */
#include "base/random.h"
#include "io/io.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIZES = 256, KEYS_MAX = 1 << 20, POOL_BYTES = 64 << 20, BODY_MAX = 400 << 10 };

struct key {
	struct place place;
	uint64_t     lsn;
	uint32_t     bytes;
};

struct options {
	const char *dir, *only;
	uint64_t    disk_bytes, turnovers;
	uint32_t    segment_bytes;
};

struct bench {
	struct io        *io;
	struct memory     memory;
	struct body_pool *pool;
	struct store     *store;
	struct log        log;
	struct random     random;
	struct body      *bodies[SIZES];
	struct key       *keys;
	double           *zipf;           /* cumulative, of zipf_count keys */
	uint32_t          zipf_count;
	uint32_t          first, next;    /* ttl: living keys, a window of a ring */
	uint32_t          kept, kept_count;       /* mixed: behind the ring */
	bool              opened, closed;
	uint64_t          live_bytes, room_bytes;
};

static uint32_t key_of(const struct record *record)
{
	uint32_t key;
	ASSERT(record->key.len == sizeof(key));
	memcpy(&key, record->key.ptr, sizeof(key));
	return key;
}

static void bench_recovered(void *ctx, const struct record *record)
{
	UNUSED(ctx);
	UNUSED(record);
}

static void bench_opened(void *ctx, enum err err)
{
	ASSERT(err == OK);
	((struct bench *)ctx)->opened = true;
}

static void bench_durable(void *ctx, uint64_t lsn)
{
	UNUSED(ctx);
	UNUSED(lsn);
}

static bool bench_relocated(void *ctx, const struct record *record, struct place from,
    struct place to)
{
	struct bench *bench = ctx;
	struct key *key = &bench->keys[key_of(record)];
	if (!place_equal(key->place, from))
		return false;
	key->place = to;
	return true;
}

static void bench_corrupt(void *ctx, struct place place, const struct record *record)
{
	UNUSED(ctx);
	UNUSED(place);
	UNUSED(record);
	ASSERT(false);
}

static void bench_state(void *ctx, enum err state)
{
	UNUSED(ctx);
	if (state != OK)
		fprintf(stderr, "the store is %s\n", err_name(state));
}

static enum liveness bench_is_live(void *ctx, const struct record *record)
{
	const struct bench *bench = ctx;
	bool same = place_equal(bench->keys[key_of(record)].place, record->place);
	return same ? RECORD_LIVES : RECORD_DEAD;
}

static void bench_closed(void *ctx)
{
	((struct bench *)ctx)->closed = true;
}

static const struct store_events bench_events = {
	.recovered = bench_recovered,
	.opened = bench_opened,
	.durable = bench_durable,
	.relocated = bench_relocated,
	.corrupt = bench_corrupt,
	.state = bench_state,
	.is_live = bench_is_live,
};

/* A standard normal number (Box and Muller). */
static double normal(struct random *random)
{
	double a = ((double)random_below(random, 1U << 30) + 1) / (1U << 30);
	double b = (double)random_below(random, 1U << 30) / (1U << 30);
	return sqrt(-2 * log(a)) * cos(2 * M_PI * b);
}

static void bench_make_bodies(struct bench *bench)
{
	for (int i = 0; i < SIZES; i++) {
		double bytes = 40 * 1024 * exp(0.8 * normal(&bench->random));
		size_t len = bytes < 1024 ? 1024 : bytes > BODY_MAX ? BODY_MAX : (size_t)bytes;
		enum err err = body_new(bench->pool, len, &bench->bodies[i]);
		ASSERT(err == OK);
		for (size_t at = 0; at < len; at++)
			bench->bodies[i]->ptr[at] = (uint8_t)random_next(&bench->random);
		body_advance(bench->bodies[i], len);
	}
}

/* Bytes of such records that fit: the end of a body and the next head share a sector mostly, and
 * what is left of that counts to the record; part of one is lost at the end of each segment. */
static uint64_t bench_room(const struct bench *bench, const struct options *options)
{
	enum { KEPT_SEGMENTS = 8, HEAD = 128 };
	double bytes = 0, sectors = 0;
	for (int i = 0; i < SIZES; i++) {
		bytes += (double)bench->bodies[i]->len + 2048;
		sectors += (double)((bench->bodies[i]->len + HEAD) / 4096 * 4096 + 4096);
	}
	double tail = sectors / SIZES / options->segment_bytes / 2 + 0.01;
	double kept = (double)options->segment_bytes * KEPT_SEGMENTS;
	return (uint64_t)(((double)options->disk_bytes - kept) * (bytes / sectors) * (1 - tail));
}

static void bench_append(struct bench *bench, struct record *record)
{
	enum err err;
	while ((err = store_append(bench->store, record)) == ERR_OVERLOADED ||
	    err == ERR_DISKFULL) {
		store_flush(bench->store);
		io_wait(bench->io, 10000);
	}
	ASSERT(err == OK);
	if (random_below(&bench->random, 8) != 0)
		return;
	store_flush(bench->store);
	io_wait(bench->io, 0);
}

static void bench_drop(struct bench *bench, struct key *key)
{
	if (key->place.segment == 0)
		return;
	bench->live_bytes -= key->place.bytes;
	store_release(bench->store, key->place);
	key->place = (struct place){0};
}

static void bench_put(struct bench *bench, uint32_t number)
{
	struct key *key = &bench->keys[number];
	struct record record = {
		.type = RECORD_IMAGE,
		.sync = SYNC_EVERYSEC,
		.key = span_of(&number, sizeof(number)),
		.body = bench->bodies[random_below(&bench->random, SIZES)],
	};
	bench_append(bench, &record);
	bench_drop(bench, key);
	key->place = record.place;
	key->lsn = record.lsn;
	bench->live_bytes += key->place.bytes;
}

static void bench_delete(struct bench *bench, uint32_t number)
{
	struct record record = {
		.type = RECORD_DELETE,
		.sync = SYNC_EVERYSEC,
		.key = span_of(&number, sizeof(number)),
	};
	bench_append(bench, &record);
	bench_drop(bench, &bench->keys[number]);
}

/* ---- Workloads: one step each ---- */

enum { RING = KEYS_MAX / 2 };

static void step_ttl(struct bench *bench)
{
	while (bench->live_bytes > bench->room_bytes * 7 / 10)
		bench_delete(bench, bench->first++ % RING);
	bench_put(bench, bench->next++ % RING);
}

/* Of ten objects three are kept for good, while there is room for such; the rest expires. */
static void step_mixed(struct bench *bench)
{
	uint64_t share = bench->room_bytes * 8 / 10;
	while (bench->live_bytes > share)
		bench_delete(bench, bench->first++ % RING);
	if (random_below(&bench->random, 10) >= 3) {
		bench_put(bench, bench->next++ % RING);
		return;
	}
	/* When the kept ones are many, the oldest of them go. */
	if (bench->kept_count * UINT64_C(55000) > share * 3 / 8)
		bench_delete(bench, RING + (bench->kept - bench->kept_count--) % RING);
	bench_put(bench, RING + bench->kept++ % RING);
	bench->kept_count++;
}

static void bench_fill(struct bench *bench, double share)
{
	uint32_t keys = 0;
	while ((double)bench->live_bytes < share * (double)bench->room_bytes)
		bench_put(bench, keys++);
	if (bench->zipf_count != 0)
		return;
	bench->zipf_count = keys;
	bench->zipf = memory_alloc(&bench->memory, keys * sizeof(*bench->zipf));
	double sum = 0;
	for (uint32_t i = 0; i < keys; i++)
		bench->zipf[i] = sum += 1 / pow(i + 1, 0.99);
}

static void step_zipf(struct bench *bench)
{
	if (bench->zipf_count == 0)
		bench_fill(bench, 0.8);
	double sum = bench->zipf[bench->zipf_count - 1];
	double want = sum * (double)random_below(&bench->random, 1U << 30) / (1U << 30);
	uint32_t low = 0, high = bench->zipf_count - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (bench->zipf[middle] < want)
			low = middle + 1;
		else
			high = middle;
	}
	/* Popularity has nothing to do with the order of the first upload. */
	bench_put(bench, (uint32_t)((uint64_t)low * 2654435761U % bench->zipf_count));
}

static void step_uniform(struct bench *bench)
{
	if (bench->zipf_count == 0)
		bench_fill(bench, 0.8);
	bench_put(bench, (uint32_t)random_below(&bench->random, bench->zipf_count));
}

struct workload {
	const char *name, *what, *goal;
	void      (*step)(struct bench *bench);
};

static const struct workload workloads[] = {
	{"ttl", "age-based deletes, 70% full", "1.00", step_ttl},
	{"mixed", "70% expire, 30% kept, 80% full", "1.10, stretch 1.06", step_mixed},
	{"zipf", "Zipf .99 overwrites, 80% full", "2.1, stretch 2.0", step_zipf},
	{"uniform", "uniform overwrites, 80% full", "none", step_uniform},
};

static void bench_open(struct bench *bench, const struct options *options)
{
	const struct io_options io_options = {.log = &bench->log};
	const struct body_pool_options pool = {.bytes = POOL_BYTES};
	enum err err = io_new(&bench->io, &io_options);
	if (err == OK)
		err = body_pool_new(bench->io, &pool, &bench->pool);
	const struct store_options store = {
		.dir = {options->dir},
		.segment_bytes = options->segment_bytes,
		.spare_segments = 6,
		.disk_bytes_max = options->disk_bytes,
		.batches_in_flight = 4,
		.batch_delay_ms = 20,
		.pool = bench->pool,
		.memory = &bench->memory,
		.log = &bench->log,
	};
	if (err == OK)
		err = store_new(bench->io, &store, &bench_events, bench, &bench->store);
	if (err == OK)
		err = store_open(bench->store);
	if (err != OK) {
		fprintf(stderr, "%s: %s\n", options->dir, err_name(err));
		exit(1);
	}
	while (!bench->opened)
		io_wait(bench->io, 10000);
}

static void bench_close(struct bench *bench)
{
	store_close(bench->store, bench_closed);
	while (!bench->closed)
		io_wait(bench->io, 10000);
	store_free(bench->store);
	for (int i = 0; i < SIZES; i++)
		body_unref(bench->bodies[i]);
	body_pool_free(bench->pool);
	io_free(bench->io);
	free(bench->keys);
}

static void bench_run(const struct workload *workload, const struct options *options)
{
	static struct bench bench;
	struct store_stats before, after;
	bench = (struct bench){.log.level = LOG_WARNING};
	random_init(&bench.random, 7);
	bench.keys = calloc(KEYS_MAX, sizeof(*bench.keys));
	ASSERT(bench.keys != NULL);
	bench_open(&bench, options);
	bench_make_bodies(&bench);
	bench.room_bytes = bench_room(&bench, options);
	do {
		workload->step(&bench);
		store_get_stats(bench.store, &before);
	} while (before.appended_bytes < options->disk_bytes);
	clock_t cpu = clock();
	do {
		workload->step(&bench);
		store_get_stats(bench.store, &after);
	} while (after.appended_bytes - before.appended_bytes <
	    options->turnovers * options->disk_bytes);
	double appended = (double)(after.appended_bytes - before.appended_bytes);
	uint64_t zeroed = after.zeroed_bytes - before.zeroed_bytes;
	double written = (double)(after.written_bytes - before.written_bytes - zeroed);
	double copied = (double)(after.cleaner.bytes - before.cleaner.bytes);
	printf("S7 %-8s %-32s write amplification %.3f (copies alone %.3f), live %.0f%%, goal %s\n"
	       "   %llu victims, %llu marks carried, %llu dropped, zeroed %.3f, CPU %.1f s/GB\n",
	    workload->name, workload->what, written / appended, 1 + copied / appended,
	    100.0 * (double)bench.live_bytes / (double)bench.room_bytes, workload->goal,
	    (unsigned long long)(after.cleaner.victims - before.cleaner.victims),
	    (unsigned long long)(after.cleaner.marks - before.cleaner.marks),
	    (unsigned long long)(after.cleaner.marks_dropped - before.cleaner.marks_dropped),
	    (double)zeroed / appended,
	    (double)(clock() - cpu) / CLOCKS_PER_SEC / (appended / 1e9));
	fflush(stdout);
	bench_close(&bench);
}

int main(int argc, char **argv)
{
	struct options options = {
	    .disk_bytes = 512 << 20, .segment_bytes = 2 << 20, .turnovers = 6};
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-')
			options.dir = argv[i];
		else if (i + 1 == argc)
			break;
		else if (strcmp(argv[i], "--disk-mib") == 0)
			options.disk_bytes = strtoull(argv[++i], NULL, 10) << 20;
		else if (strcmp(argv[i], "--segment-mib") == 0)
			options.segment_bytes = (uint32_t)strtoul(argv[++i], NULL, 10) << 20;
		else if (strcmp(argv[i], "--turnovers") == 0)
			options.turnovers = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--only") == 0)
			options.only = argv[++i];
	}
	if (options.dir == NULL) {
		fprintf(stderr, "bench_clean DIR [--disk-mib n] [--segment-mib n] [--turnovers n]"
				" [--only name]\n");
		return 2;
	}
	for (size_t i = 0; i < ARRAY_COUNT(workloads); i++) {
		char dir[512];
		if (options.only != NULL && strcmp(options.only, workloads[i].name) != 0)
			continue;
		struct options own = options;
		snprintf(dir, sizeof(dir), "%s/%s", options.dir, workloads[i].name);
		own.dir = dir;
		bench_run(&workloads[i], &own);
	}
	return 0;
}

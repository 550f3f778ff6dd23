/* tests/sim/server_sim.c: whole servers on a simulated machine, crash after crash.
 *
 *   server-sim [--seeds N] [--from S] [--one S] [--plant early]
 *
 * Three clients, each with a database of its own, send pipelines of SET, APPEND, DEL, MSET, RENAME,
 * IMG.PUT, IMG.EDIT, IMG.RESTORE, IMG.TIER, FLUSHDB, WAITAOF and EXEC, and a fourth one changes collections
 * (hoard.h); a worker looks at the images. The power is cut at a random step; the server starts
 * again on what the disk kept. For each client there must be a number j such that its keys look
 * as after all acknowledged commands and the first j of those that were not answered yet; or, where
 * answers do not promise to be durable, as after those that were known to be and some of the rest:
 * an acknowledged write is never lost, a deleted key never comes back, MSET, RENAME and EXEC are
 * whole. And IMG.GET ... AT shows, of each of the last lives, what was known then.
 * On disks that lie (lost, misdirected, rotten writes) that cannot hold: there a key must be
 * something that it once was, absent, or -CORRUPT; never anything else.
 * --plant early tells the server not to wait for the disk, to see that it is found out.
 */
#include "tests/sim/hoard.h"
#include "tests/sim/settle.h"
#include "tests/sim/worker.h"

#include "base/arith.h"
#include "engine/internal.h"
#include "engine/past/past_state.h"
#include "io/sim.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SURE_US = 2500000 };       /* `everysec`, and some time for the disk */
enum { CLIENTS = 3, CUTS_A_LIFE = 8, PASSES_MAX = 400000, WRONG = 3 };

struct life {
	uint64_t         seed;
	struct random    random;
	struct memory    memory;
	struct sim_disk *disk;
	struct io       *io;
	struct server   *server;
	struct settings  settings;
	struct log       log;
	struct shadow    shadows[CLIENTS];
	struct sim_peer *peers[CLIENTS], *hoard_peer;
	struct hoard     hoard;
	struct sim_workers workers;
	enum shadow_disk kind;            /* the worst that this life's disk has been */
	bool             plant, verbose;
	bool             everysec;        /* what is answered is durable within a second */
	bool             honest;          /* the disk does as it is told in this part of the life */
	bool             damaged;         /* a checkpoint was said to be, or to name what is gone */
	uint32_t         cuts;
};

static bool says(struct span text, struct span words)
{
	ASSERT(words.len > 0);
	return text.len >= words.len && memmem(text.ptr, text.len, words.ptr, words.len) != NULL;
}

static void print_line(void *ctx, enum log_level level, struct span text)
{
	struct life *life = ctx;
	UNUSED(level);
	static const char damaged[] = "The checkpoint is damaged", lost[] = "is missing: ";
	life->damaged = life->damaged || says(text, span_text(damaged)) || says(text, span_text(lost));
	if (life->verbose)
		fprintf(stderr, "%.*s\n", (int)text.len, (const char *)text.ptr);
}

/* How durable an answer is: in every other life it means so, in the others it may not. */
static void life_promises(struct life *life)
{
	static const char *const levels[] = {"always", "everysec", "no"};
	struct settings *settings = &life->settings;
	uint64_t images = 0, strings = 0;
	if (random_below(&life->random, 2) == 0) {
		images = min_u64(random_below(&life->random, 4), 2);
		strings = min_u64(random_below(&life->random, 4), 2);
	}
	if (life->plant)                      /* told to the server only */
		images = strings = 2;
	settle(settings, "appendfsync", levels[images]);
	settle(settings, "cache-appendfsync", levels[strings]);
	life->everysec = images < 2 && strings < 2;
	for (int i = 0; i < CLIENTS; i++) {
		life->shadows[i].images_sure = images == 0 || life->plant;
		life->shadows[i].strings_sure = strings == 0 || life->plant;
	}
}

static void life_settings(struct life *life)
{
	struct settings *settings = &life->settings;
	settings_init(settings);
	settle(settings, "dir", "/hot");
	settle(settings, "warm-dir", "/warm");
	settle(settings, "bind", "127.0.0.1");
	settle(settings, "protected-mode", "no");
	settle(settings, "segment-bytes", "1mb");
	settle(settings, "spare-segments", "4");
	settle(settings, "body-memory", "24mb");
	settle(settings, "hot-memory", random_below(&life->random, 2) ? "0" : "4mb");
	/* Without history whatever is shared is let go of at once. */
	settle(settings, "history-window", random_below(&life->random, 4) ? "86400" : "0");
	life_promises(life);
	settle(settings, "worker-dir", random_below(&life->random, 3) ? "/workers" : "");
	settle(settings, "workers", "1");
	settle(settings, "worker-output", "1mb");
	settle(settings, "worker-deadline", "500");
	sim_workers_init(&life->workers, life->seed, "/workers/tintype-vips");
	/* Half of the disks are so small that segments are cleaned all the time, history is given up
	 * again and again, and commands are refused: any of those under way may have been. */
	if (random_below(&life->random, 2) == 0) {
		settings->disk_bytes_max = (8 + random_below(&life->random, 8)) << 20;
		settle(settings, "dedupe", random_below(&life->random, 2) ? "yes" : "no");
		if (!life->plant)
			life->kind = SHADOW_FAILS;
	}
	settings->batches_in_flight = 1 + (int64_t)random_below(&life->random, 4);
	settings->batch_delay_ms = 1 + (int64_t)random_below(&life->random, 5);
	/* Two lives of three write checkpoints, as fast as they can or now and then. */
	settings->checkpoint_interval_s = 0;
	settings->checkpoint_bytes = life->seed % 3 == 0 ? 0 : life->seed % 3 == 1 ? 1 : 100000;
	/* Small forms of collections end early, so that large ones are common. */
	settings->hash_listpack_entries = settings->set_listpack_entries = 40;
	settings->zset_listpack_entries = 30;
	settings->rewrite_slice_bytes = 256;
	settings->flush_slice_keys = 1;
	/* And half of them are loaded while the server serves already. */
	settings->load_first_bytes = life->seed / 3 % 2;
}

/* Disks of three kinds: honest, failing (errors are told), lying. */
static void life_faults(struct life *life)
{
	struct sim_faults faults = {0};
	uint64_t kind = life->plant ? 0 : random_below(&life->random, 4);
	if (kind == 2) {
		if (life->kind == SHADOW_HONEST)
			life->kind = SHADOW_FAILS;
		faults.chance_ppm[SIM_WRITE_EIO] = 3000;
		faults.chance_ppm[SIM_SYNC_EIO] = 3000;
		faults.chance_ppm[SIM_WRITE_SHORT] = 3000;
	} else if (kind == 3) {
		life->kind = SHADOW_LIES;
		faults.chance_ppm[SIM_WRITE_LOST] = 4000;
		faults.chance_ppm[SIM_WRITE_MISDIRECTED] = 4000;
		faults.chance_ppm[SIM_SECTOR_ROT] = 1000;
	}
	life->honest = kind < 2;
	sim_set_faults(life->disk, &faults);
}

/* False: the server gave up (only a disk with faults may make it). */
static bool life_power_on(struct life *life)
{
	static const struct sim_faults none = {0};
	struct server_options options = {
	    .settings = &life->settings, .log = &life->log, .config_file = "", .executable = "sim"};
	life->io = sim_new(life->disk, random_next(&life->random), &life->log);
	sim_set_faults(life->disk, &none);
	sim_add_program(life->io, &life->workers.program);
	enum err err = server_new(life->io, &options, &life->server);
	if (err != OK)
		return false;
	for (int passes = 0; life->server->engine->loading; passes++) {
		ASSERT(passes < PASSES_MAX);
		if (!server_pass(life->server))
			return false;
	}
	return true;
}

/* Now and then the power goes again while the server starts, or soon after: in the middle of its
 * recovery, or while the checkpoint is being loaded behind the open store. */
static void life_stumble(struct life *life)
{
	static const struct sim_faults none = {0};
	struct server_options options = {
	    .settings = &life->settings, .log = &life->log, .config_file = "", .executable = "sim"};
	life->io = sim_new(life->disk, random_next(&life->random), &life->log);
	sim_set_faults(life->disk, &none);
	sim_add_program(life->io, &life->workers.program);
	sim_crash_after(life->io, 1 + random_below(&life->random, 200));
	bool runs = server_new(life->io, &options, &life->server) == OK;
	for (int passes = 0; runs && !sim_is_dead(life->io) && passes < 1000; passes++)
		runs = server_pass(life->server);
	sim_crash(life->disk);
	sim_io_abandon(life->io);
}

/* Everything a client can see, compared with what it knows. False: printed. */
static bool life_check(struct life *life)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct shadow *shadow = &life->shadows[i];
		struct sim_peer *peer =
		    sim_connect(life->io, "127.0.0.1", (uint16_t)life->settings.port);
		ASSERT(peer != NULL);
		struct buf request;
		buf_init(&request, &life->memory);
		shadow_ask(shadow, &request);
		sim_peer_send(peer, buf_span(&request));
		buf_fini(&request);
		for (int passes = 0; !shadow_read(shadow, sim_peer_received(peer)); passes++) {
			ASSERT(passes < PASSES_MAX);
			ASSERT(!sim_peer_is_closed(peer));
			server_pass(life->server);
		}
		sim_peer_close(peer);
		if (!shadow_judge(shadow, life->kind)) {
			if (!life->plant)
				fprintf(stderr, "seed %llu, cut %u, client %d: %s\n",
				    (unsigned long long)life->seed, life->cuts, i, shadow->why);
			return false;
		}
		/* LSNs behind it may yet be given to others, should the power go now. On the floor
		 * nothing durable says yet that history is kept: all may be forgotten. */
		const struct engine *engine = life->server->engine;
		uint64_t durable_lsn = store_durable_lsn(engine->store);
		if (life->settings.history_window_s > 0 && durable_lsn > engine->past->history.floor_lsn)
			shadow_note_moment(shadow, durable_lsn);
	}
	return true;
}

/* The same of collections. */
static bool life_check_hoard(struct life *life)
{
	struct sim_peer *peer = sim_connect(life->io, "127.0.0.1", (uint16_t)life->settings.port);
	struct buf request;
	ASSERT(peer != NULL);
	buf_init(&request, &life->memory);
	hoard_ask(&life->hoard, &request);
	sim_peer_send(peer, buf_span(&request));
	buf_fini(&request);
	for (int passes = 0; !hoard_read(&life->hoard, sim_peer_received(peer)); passes++) {
		ASSERT(passes < PASSES_MAX);
		ASSERT(!sim_peer_is_closed(peer));
		server_pass(life->server);
	}
	sim_peer_close(peer);
	if (hoard_judge(&life->hoard, life->kind))
		return true;
	if (!life->plant)
		fprintf(stderr, "seed %llu, cut %u, collections: %s\n", (unsigned long long)life->seed,
		    life->cuts, life->hoard.why);
	return false;
}

/* What is answered is durable, or they are left alone. */
static void life_hoard(struct life *life)
{
	struct buf request;
	if (!life->shadows[0].strings_sure || life->hoard.pending > 0 || random_below(&life->random, 3) == 0)
		return;
	buf_init(&request, &life->memory);
	hoard_send(&life->hoard, &life->random, &request);
	sim_peer_send(life->hoard_peer, buf_span(&request));
	buf_fini(&request);
}

/* Whatever the checkpoint kept of it: each image has one document, and no document has none. */
struct index_check {
	struct engine *engine;
	uint64_t       images, wrong;
	uint8_t        db;
};

static void index_check_entry(void *ctx, struct entry *entry)
{
	struct index_check *check = ctx;
	if (entry->type != ENTRY_IMAGE)
		return;
	uint32_t docid = entry_image(entry)->docid;
	check->images++;
	check->wrong += docid == DOCID_NONE ||
	    index_owner(check->engine->indexes[check->db], docid) != entry;
}

static bool life_check_index(struct life *life)
{
	struct engine *engine = life->server->engine;
	/* What cannot be read has no document; on a disk that lies that may be anything. */
	for (int passes = 0; engine->reindex != NULL || engine->partly; passes++) {
		if (life->kind == SHADOW_LIES && passes > 2000)
			return true;
		ASSERT(passes < PASSES_MAX);
		server_pass(life->server);
	}
	for (unsigned db = 0; db < DATABASE_COUNT && life->kind != SHADOW_LIES; db++) {
		struct index_check check = {.engine = engine, .db = (uint8_t)db};
		struct index_stats stats = {0};
		uint64_t cursor = 0;
		do
			cursor = directory_scan(
			    &engine->directories[db], cursor, index_check_entry, &check);
		while (cursor != 0);
		if (engine->indexes[db] != NULL)
			index_get_stats(engine->indexes[db], &stats);
		if (check.wrong == 0 && stats.docs == check.images)
			continue;
		fprintf(stderr, "seed %llu, cut %u: %llu of %llu images without a document, %llu documents\n",
		    (unsigned long long)life->seed, life->cuts, (unsigned long long)check.wrong,
		    (unsigned long long)check.images, (unsigned long long)stats.docs);
		return false;
	}
	return true;
}

static void life_hear(struct life *life)
{
	hoard_answered(&life->hoard, sim_peer_received(life->hoard_peer));

	for (int i = 0; i < CLIENTS; i++) {
		life->shadows[i].time_us = io_now_us(life->io);
		shadow_answered(&life->shadows[i], sim_peer_received(life->peers[i]));
	}
}

typedef void life_say(struct shadow *shadow, struct buf *out);

/* Each client says this, and waits for the answers. False: the power went, or the disk failed. */
static bool life_ask_all(struct life *life, life_say *say, int clients)
{
	for (int i = 0; i < clients; i++) {
		struct buf request;
		if (life->shadows[i].pending > 0)
			return false;
		buf_init(&request, &life->memory);
		say(&life->shadows[i], &request);
		sim_peer_send(life->peers[i], buf_span(&request));
		buf_fini(&request);
	}
	bool waiting = true;
	for (int passes = 0; waiting && !sim_is_dead(life->io) && passes < PASSES_MAX; passes++) {
		server_pass(life->server);
		life_hear(life);
		waiting = false;
		for (int i = 0; i < clients; i++)
			waiting |= life->shadows[i].pending > life->shadows[i].uncertain;
	}
	return !waiting && life->shadows[0].uncertain == 0;
}

/* A disk full to the brim, then all is deleted: soon there must be room again, whoever waits for
 * the disk or not. False: there is none. */
static bool life_clear(struct life *life)
{
	enum { SECONDS = 120 };
	uint64_t until = io_now_us(life->io) + SECONDS * 1000000ULL;
	struct shadow *shadow = &life->shadows[0];
	for (int i = 0; i < CLIENTS; i++)
		if (life->shadows[i].pending > 0)
			return true;
	/* One by one: the last of them come when what the first ones freed is on its way already. */
	for (int i = 0; i < CLIENTS; i++)
		life->shadows[i].delete_next = 0;
	for (int key = 0; key < SHADOW_KEYS; key++) {
		if (!life_ask_all(life, shadow_send_delete, 1 + (int)random_below(&life->random, CLIENTS)))
			return true;
		for (uint64_t passes = random_below(&life->random, 6); passes > 0; passes--)
			server_pass(life->server);
	}
	for (int key = 0; key < SHADOW_KEYS; key++)
		if (!life_ask_all(life, shadow_send_delete, CLIENTS))
			return true;
	while (shadow->known.keys[0].kind != SHADOW_IMAGE && io_now_us(life->io) < until) {
		if (shadow->loose_count + SHADOW_PENDING > SHADOW_LOOSE)
			return true;
		if (!life_ask_all(life, shadow_send_put, 1))
			return true;
		for (int passes = 0; passes < 20; passes++)
			server_pass(life->server);
	}
	if (shadow->known.keys[0].kind == SHADOW_IMAGE)
		return true;
	fprintf(stderr, "seed %llu, cut %u: nothing is left, and the disk stays full\n",
	    (unsigned long long)life->seed, life->cuts);
	return false;
}

static void life_send(struct life *life, int i)
{
	struct buf request;
	buf_init(&request, &life->memory);
	shadow_send(&life->shadows[i], &life->random, &request);
	sim_peer_send(life->peers[i], buf_span(&request));
	buf_fini(&request);
}

/* The power goes. What arrived before counts as acknowledged. */
static void life_cut(struct life *life)
{
	uint64_t now_us = io_now_us(life->io);
	life_hear(life);
	for (int i = 0; i < CLIENTS && life->honest && life->everysec; i++)
		shadow_sure_before(&life->shadows[i], now_us > SURE_US ? now_us - SURE_US : 0);
	sim_crash(life->disk);
	sim_io_abandon(life->io);
	for (int i = 0; i < CLIENTS; i++)
		sim_peer_free(life->peers[i]);
	sim_peer_free(life->hoard_peer);
}

/* False: said why. */
static bool life_work(struct life *life, uint64_t steps)
{
	bool good = true, clears = life->honest && random_below(&life->random, 4) == 0;
	uint64_t rests = 0;
	int most = clears ? 20 + (int)random_below(&life->random, 600) : 3000;
	for (int i = 0; i < CLIENTS; i++) {
		struct buf greeting;
		buf_init(&greeting, &life->memory);
		life->peers[i] = sim_connect(life->io, "127.0.0.1", (uint16_t)life->settings.port);
		shadow_greet(&life->shadows[i], &greeting);
		sim_peer_send(life->peers[i], buf_span(&greeting));
		buf_fini(&greeting);
	}
	life->hoard_peer = sim_connect(life->io, "127.0.0.1", (uint16_t)life->settings.port);
	sim_crash_after(life->io, clears ? 0 : steps);
	for (int passes = 0; !sim_is_dead(life->io) && passes < most; passes++) {
		life_hear(life);
		rests -= rests > 0;
		/* Now and then nothing happens for some seconds. */
		if (rests == 0 && random_below(&life->random, 200) == 0)
			rests = 1 + random_below(&life->random, 60);
		for (int i = 0; i < CLIENTS && rests == 0; i++)
			if (life->shadows[i].pending == 0 && random_below(&life->random, 3) > 0)
				life_send(life, i);
		if (rests == 0)
			life_hoard(life);
		server_pass(life->server);
	}
	if (clears)
		good = life_clear(life);
	life_cut(life);
	return good;
}

/* One life in a process of its own: what a crashed server held goes with it. */
static int life_run(uint64_t seed, bool plant, bool verbose)
{
	static struct life life;
	life.seed = seed;
	life.plant = plant;
	life.verbose = verbose;
	life.log = (struct log){.level = LOG_NOTICE, .sink = print_line, .ctx = &life};
	random_init(&life.random, seed);
	life.disk = sim_disk_new(seed);
	for (int i = 0; i < CLIENTS; i++)
		shadow_init(&life.shadows[i], &life.memory, i);
	hoard_init(&life.hoard, &life.memory);
	life_settings(&life);
	if (!life_power_on(&life))
		return 1;
	for (life.cuts = 1; life.cuts <= CUTS_A_LIFE; life.cuts++) {
		life_faults(&life);
		uint64_t steps = life.settings.disk_bytes_max != 0 ? 1200 : 400;
		if (!life_work(&life, 1 + random_below(&life.random, steps)))
			return 1;
		while (random_below(&life.random, 3) == 0)
			life_stumble(&life);
		if (!life_power_on(&life)) {
			if (life.kind == SHADOW_LIES)
				return 0;         /* refusing such a disk is an answer */
			fprintf(stderr, "seed %llu, cut %u: does not start\n",
			    (unsigned long long)seed, life.cuts);
			return 1;
		}
		if (life.damaged && life.kind != SHADOW_LIES) {
			fprintf(stderr, "seed %llu, cut %u: a disk that does not lie spoilt a checkpoint\n",
			    (unsigned long long)seed, life.cuts);
			return 1;
		}
		if (!life_check(&life) || !life_check_hoard(&life))
			return WRONG;
		if (!life_check_index(&life))
			return WRONG;
	}
	for (int i = 0; verbose && i < CLIENTS; i++)
		printf("client %d: %llu WAITAOFs were kept, %llu hashes were right; the worker gave %llu\n", i,
		    (unsigned long long)life.shadows[i].waited,
		    (unsigned long long)life.shadows[i].hashes,
		    (unsigned long long)life.workers.answers);
	return 0;
}

/* What ended lives came to. */
struct tally {
	uint64_t failed, wrong;           /* wrong: of those, found to show a wrong state */
	struct { pid_t pid; uint64_t seed; } running[2];
};

static bool wait_one(struct tally *tally, bool plant)
{
	int status, at = 0;
	pid_t pid = wait(&status);
	if (pid < 0)
		return false;
	at = tally->running[0].pid == pid ? 0 : 1;
	ASSERT(tally->running[at].pid == pid);
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	if (failed && !plant)
		printf("FAILED: --one %llu\n", (unsigned long long)tally->running[at].seed);
	tally->running[at].pid = 0;
	tally->failed += failed;
	tally->wrong += WIFEXITED(status) && WEXITSTATUS(status) == WRONG;
	return true;
}

static struct tally run_many(uint64_t from, uint64_t lives, bool plant)
{
	struct tally tally = {0};
	for (uint64_t i = 0; i < lives; i++) {
		if (tally.running[0].pid != 0 && tally.running[1].pid != 0)
			(void)wait_one(&tally, plant);
		fflush(stdout);
		pid_t pid = fork();
		ASSERT(pid >= 0);
		if (pid == 0) {
			alarm(120);
			_exit(life_run(from + i, plant, false));
		}
		int at = tally.running[0].pid == 0 ? 0 : 1;
		tally.running[at].pid = pid;
		tally.running[at].seed = from + i;
	}
	while (wait_one(&tally, plant))
		;
	return tally;
}

int main(int argc, char **argv)
{
	uint64_t points = 2000, from = 1, one = 0;
	bool plant = false;
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t number = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--seeds") == 0)
			points = number;
		else if (strcmp(argv[i], "--from") == 0)
			from = number;
		else if (strcmp(argv[i], "--one") == 0)
			one = number;
		else if (strcmp(argv[i], "--plant") == 0)
			plant = strcmp(argv[i + 1], "early") == 0;
	}
	if (one != 0)
		return life_run(one, plant, true);
	uint64_t lives = (points + CUTS_A_LIFE - 1) / CUTS_A_LIFE;
	uint64_t failed = run_many(from, lives, plant).failed;
	printf("%llu crash points, %llu failures\n", (unsigned long long)(lives * CUTS_A_LIFE),
	    (unsigned long long)failed);
	/* The early reply that is planted must be found out in the same run. */
	uint64_t caught = run_many(from, 12, true).wrong;
	printf("%llu of 12 lives with an early reply were found out\n", (unsigned long long)caught);
	printf(
	    "%d passed, %d failed\n", (failed == 0) + (caught > 0), (failed != 0) + (caught == 0));
	return failed == 0 && caught > 0 ? 0 : 1;
}

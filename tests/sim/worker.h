/* tests/sim/worker.h: the image worker of the simulated machine. It answers what follows from
 * the bytes of its source, when it pleases; now and then it dies, hangs or talks nonsense.
 */
#pragma once
#include "base/hash.h"
#include "base/random.h"
#include "image/analysis.h"
#include "io/sim.h"

enum { SIM_WORKERS = 256, SIM_WORKER_OUTPUT = 1 << 20 };

struct sim_workers;

struct sim_worker {
	struct sim_workers *all;
	struct io          *io;
	pid_t               pid;
	struct sim_peer    *channel;
	const uint8_t      *input;
	uint8_t            *arena;
};

/* All that were ever started. `random` decides what they do. */
struct sim_workers {
	struct random      random;
	uint32_t           count;
	uint64_t           answers;
	struct sim_program program;
	struct sim_worker  list[SIM_WORKERS];
};

void sim_workers_init(struct sim_workers *workers, uint64_t seed, const char *path);
/* What it says of an image whose bytes have this digest. */
void sim_worker_phash(const struct digest *digest, uint8_t out[PHASH_BYTES]);

/* tests/sim/liar.h: what stands between two machines of replica_sim.c and does not pass on what it gets.
 *
 * LIAR_NOISE   bits change, bytes are cut out, frames and commands are lost, doubled, exchanged; checks and
 *              seals stay what they were. Whoever hears that must notice: nothing of it may have an effect
 *              other than a link that is begun anew.
 * LIAR_LEADS   frames of a leader that lies: the numbers in them are wrong, bodies are cut, records have
 *              other types and flags; what seals them is made good. A follower may believe what it cannot
 *              know, but does not crash; it is thrown away afterwards.
 * LIAR_FOLLOWS a follower that lies: it acknowledges what it never had, asks for nonsense, in words whose
 *              checks are good. No server takes harm.
 */
#pragma once
#include "base/random.h"
#include "io/sim.h"

enum liar_kind { LIAR_NONE, LIAR_NOISE, LIAR_LEADS, LIAR_FOLLOWS, LIAR_KINDS };

struct liar {
	struct random  random;
	enum liar_kind kind;
	bool           resting;           /* passes everything on as it is */
	uint32_t       one_in;            /* so many pieces is one not passed on */
	bool         (*lies)(void *ctx, const struct sim_way *way);      /* on this way? */
	void          *ctx;
	uint64_t       passed, lied;
};

/* A sim_relay; `ctx` is the liar. */
void liar_relay(void *ctx, struct sim_way *way, struct buf *held, struct buf *out);

/* tests/unit/engine/stage.h: a server on a simulated machine, and followers of it that the test plays word by
 * word, through connections as any follower has them.
 */
#pragma once
#include "engine/internal.h"
#include "engine/replica/repair_parts.h"
#include "io/sim.h"
#include "repl/frame.h"
#include "server/server.h"

struct stage {
	struct sim_disk *disk;
	struct io       *io;
	struct server   *server;
	struct settings  settings;
	struct log       log;
	struct memory    memory;
	struct sim_peer *client;
	struct buf       said;            /* what the server logged */
};

/* One that follows. */
struct actor {
	struct stage    *stage;
	struct sim_peer *peer;
	uint32_t         commands, frames;
	struct buf       heard;           /* payload of the frame that stage_hear waited for */
};

void stage_begin(struct stage *stage);
void stage_end(struct stage *stage);
struct engine *stage_engine(const struct stage *stage);
/* Lets time pass. */
void stage_run(struct stage *stage, uint64_t us);
/* A command of a client's; what is answered at once is dropped. */
void stage_command(struct stage *stage, const struct span *words, uint32_t count);
/* A picture of so many bytes, at least. */
void stage_put_image(struct stage *stage, const char *key, size_t bytes);
bool stage_has_said(const struct stage *stage, const char *text);

void actor_enter(struct actor *actor, struct stage *stage);
void actor_leave(struct actor *actor);
/* REPLCONF and what follows; its check is put behind. */
void actor_say(struct actor *actor, const struct span *words, uint32_t count);
/* Waits for a frame of this type, and no longer than `us`; others before it are passed over. */
MUST_CHECK bool actor_hears(struct actor *actor, enum frame_type type, uint64_t us);

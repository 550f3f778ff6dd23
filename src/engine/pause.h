/* engine/pause.h: CLIENT PAUSE: sessions wait before their next command (all commands, or those
 * that may write) until the time is up or CLIENT UNPAUSE comes. Meanwhile no key expires or is
 * evicted, so that nothing changes. */
#pragma once
#include "base/list.h"
#include "io/io.h"

struct call;
struct engine;

struct pause {
	bool            is_on, writes_only;
	uint64_t        until_us;
	struct list     sessions;         /* parked by it */
	struct io_timer timer;
};

void pause_init(struct engine *engine);
/* The longer and the stricter of two pauses holds, as in Redis. */
void engine_pause(struct engine *engine, uint64_t ms, bool writes_only);
void engine_unpause(struct engine *engine);
/* True: the session was parked until the pause is over. `writes`: the command may. */
bool call_is_paused(struct call *call, bool writes);

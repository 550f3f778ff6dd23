/* tests/sim/shadow.h: what one client of the simulated server knows: the state of its keys
 * after every acknowledged command, and the commands that are not answered yet.
 *
 * Each client has a database of its own. A key is absent, a string, or an image with a title. Contents are
 * named by a number from which their bytes follow, so that a state is small and can be compared.
 */
#pragma once
#include "base/buf.h"
#include "base/hash.h"
#include "base/random.h"

enum { SHADOW_KEYS = 5, SHADOW_PENDING = 8, SHADOW_LOOSE = 256, SHADOW_PAST = 1 << 16, SHADOW_MOMENTS = 4 };

enum shadow_kind { SHADOW_ABSENT, SHADOW_STRING, SHADOW_IMAGE, SHADOW_CORRUPT };

struct shadow_value {
	uint8_t  kind;
	uint32_t parts;                   /* a string: `content`, and what APPEND added */
	uint64_t content, title;          /* title: of an image, 0 without */
};

struct shadow_state {
	struct shadow_value keys[SHADOW_KEYS];
};

enum shadow_verb {
	DO_SET, DO_APPEND, DO_DEL, DO_MSET, DO_RENAME, DO_PUT, DO_EDIT, DO_RESTORE, DO_EXEC, DO_TIER,
	DO_FLUSH, DO_WAIT
};

struct shadow_op {
	uint8_t  verb, key, other;
	bool     warm;
	uint8_t  moment;                  /* RESTORE: which one */
	uint64_t content, content2;
};

/* One key as the server shows it. */
struct shadow_seen {
	uint8_t       kind;
	struct digest bytes;
	uint64_t      title;
	char          phash[64];          /* as it is printed; empty: not known yet */
};

/* Everything of this client as it was known to be when the log had come to this LSN. */
struct shadow_moment {
	uint64_t            lsn;          /* 0: not used yet */
	struct shadow_state state;
};

/* After an answer that does not say that it is durable. */
struct shadow_loose {
	struct shadow_state state;
	uint64_t            time_us;
};

struct shadow {
	struct memory      *memory;
	int                 client;
	bool                strings_sure, images_sure;    /* an answer says that it is durable, */
	uint64_t            time_us;                      /* and comes now */
	struct shadow_state known;                        /* after what was acknowledged */
	struct shadow_state sure;                         /* after what is durable */
	struct shadow_loose loose[SHADOW_LOOSE];          /* what came behind that, answer by answer */
	uint32_t            loose_count, wait_replies;    /* had of the WAITAOF at hand */
	uint32_t            delete_next;                  /* key */
	uint64_t            waited, hashes;               /* WAITAOFs that said yes; hashes seen */
	struct shadow_op    ops[SHADOW_PENDING];          /* under way */
	uint32_t            pending, uncertain;           /* uncertain: answered -READONLY; the first */
	struct shadow_seen  seen[SHADOW_KEYS];
	uint32_t            exec_replies;                 /* had of the EXEC at hand, */
	bool                exec_unsafe;                  /* one of them -READONLY */
	bool                greeted;                      /* the answer to SELECT is still to come */
	uint32_t            token;                        /* of the answers to shadow_ask */
	struct shadow_moment moments[SHADOW_MOMENTS];
	uint32_t            moment_count;
	struct shadow_seen  seen_then[SHADOW_MOMENTS][SHADOW_KEYS];
	bool                forgotten[SHADOW_MOMENTS];
	struct shadow_value past[SHADOW_PAST];            /* everything that a key ever was */
	uint32_t            past_count;
	uint64_t            next_content;
	char                why[400];
};

void shadow_init(struct shadow *shadow, struct memory *memory, int client);
/* Answered before then counts as durable, as with `everysec`. */
void shadow_sure_before(struct shadow *shadow, uint64_t time_us);
/* DEL of one key after the other; IMG.PUT of the first. None may be pending. */
void shadow_send_delete(struct shadow *shadow, struct buf *out);
void shadow_send_put(struct shadow *shadow, struct buf *out);
/* The first word of a connection. */
void shadow_greet(struct shadow *shadow, struct buf *out);
/* A pipeline of random commands. None may be pending. */
void shadow_send(struct shadow *shadow, struct random *random, struct buf *out);
/* Takes complete replies out of `in`. */
void shadow_answered(struct shadow *shadow, struct buf *in);
/* Asks for every key, then takes the answers; true when all are there. */
void shadow_ask(struct shadow *shadow, struct buf *out);
bool shadow_read(struct shadow *shadow, struct buf *in);
/* What is known now is what the log says up to `lsn`: asked for again in later lives. */
void shadow_note_moment(struct shadow *shadow, uint64_t lsn);
/* Is what was read right? It becomes what is known. */
enum shadow_disk { SHADOW_HONEST, SHADOW_FAILS, SHADOW_LIES };
bool shadow_judge(struct shadow *shadow, enum shadow_disk disk);

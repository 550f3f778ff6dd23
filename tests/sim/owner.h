/* tests/sim/owner.h: what a power cut may not take away, in naive form.
 *
 * The model is the list of everything that was ever appended, by LSN. The owner keeps what a
 * real one would: per key the places it needs, fed by appends and by recovery. After a
 * recovery the owner's state must equal the model's up to some LSN, which is not before what
 * was acknowledged and not within an atomic group.
 */
#pragma once
#include "base/random.h"
#include "store/chunks.h"

enum { OWNER_KEYS = 64, OWNER_OPS = 4096, OWNER_CHUNKS = 8 };

struct op {
	uint64_t lsn, content;            /* of the body and metadata */
	uint8_t  type, key;
	bool     continues, always;
	uint32_t len;
	int64_t  expire_ms;
};

/* What a key is, wherever it lies. */
struct value {
	uint64_t main_lsn, meta_lsn;      /* 0: none */
	uint64_t content, meta_content;
	uint32_t len;
	uint8_t  type;
	int64_t  expire_ms;
};

struct slot {
	struct value now;
	struct place main, meta;
	uint64_t     lsn;                 /* of the last operation on it */
	bool         awaited;             /* a value whose record is to be told */
};

/* A checkpoint under way: begun; the next chunk may be given; the store's turn. */
enum keeping { KEEPING_NOTHING, KEEPING_BEGUN, KEEPING_CHUNKS, KEEPING_WAIT };

struct owner {
	struct op     ops[OWNER_OPS];
	uint32_t      op_count;
	struct slot   slots[OWNER_KEYS];
	struct store *store;
	uint64_t      acked;              /* LSNs up to here were promised */
	uint64_t      last;               /* largest LSN that recovery told */
	uint64_t      whole;              /* the log is whole up to here, as recovery says: marks
	                                     that nobody needs any more are not told */
	uint64_t      contents;           /* used so far */
	bool trust; /* the disk keeps its word: nothing promised may be lost */
	bool plant_expire; /* says that no EXPIRE is needed, to see that it is found out */
	bool          opened, closed;
	enum err      open_err, state;
	uint64_t      corrupt, relocated;
	struct store_checkpoint job;      /* keeper.c, from here on */
	uint8_t       keeping;
	uint32_t      chunk;              /* the next */
	bool          touched[2][OWNER_CHUNKS];       /* since it was written to that slot */
	uint64_t      replay_lsn;         /* of the checkpoint that was loaded; 0: none */
	bool          reset;              /* it was of no use after all */
	uint64_t      checkpoints, loads, loaded_late;
	char          failure[200];       /* empty: none */
};

void owner_fail(struct owner *owner, const char *format, ...) PRINTF_LIKE(2, 3);

/* Bytes of a body, and metadata: both follow from `content`. */
void content_fill(uint64_t content, uint8_t *out, size_t len);
bool content_is(uint64_t content, struct span bytes);
uint32_t content_meta(uint64_t content, char out[64]);

/* Appends one operation on `key`; the model and the owner remember it. */
enum err owner_append(struct owner *owner, struct body_pool *pool, struct op op, uint8_t sync);
void owner_durable(void *ctx, uint64_t lsn);
void owner_recovered(void *ctx, const struct record *record);
/* In recovery: the key is unreadable from here on, unless a later record follows. */
void owner_unreadable(struct owner *owner, const struct record *record);
bool owner_relocated(void *ctx, const struct record *record, struct place from, struct place to);

enum liveness owner_is_live(void *ctx, const struct record *record);

/* After a recovery, at once: is what was acknowledged there? Forgets what was cut. */
void owner_settle(struct owner *owner);
/* Then, when all is loaded: is each key what it should be? */
void owner_compare(struct owner *owner);
/* Before a recovery: forgets what only memory knew. */
void owner_forget(struct owner *owner);

/* engine/twins.h: which bodies are stored, by the digest of their bytes.
 *
 * An entry names a body by LSN, and the document of the image that was stored with it, through
 * which its place is found while no one else needs it. 44 bits of the digest are kept: enough
 * to find candidates, whose bytes are then compared. Nothing is removed when a body dies: an
 * entry that names nothing alive is passed over, and goes when its shard would have to grow.
 *
 * Open addressing in shards of their own growth; 16 bytes an entry.
 */
#pragma once
#include "base/hash.h"
#include "base/memory.h"

enum { TWIN_SHARDS = 256 };

struct twin {
	uint64_t lsn : 48;                /* 0: free */
	uint64_t tag_high : 16;
	uint32_t docid;
	uint32_t tag_low : 28;
	uint32_t db : 4;
};
_Static_assert(sizeof(struct twin) == 16, "one per body in memory");

struct twins {
	struct twin_shard {
		struct twin *slots;
		uint32_t     cap, count;      /* cap: a power of two, or 0 */
	} shards[TWIN_SHARDS];
	uint64_t       count;
	struct memory *memory;
	/* Is the body still there? */
	bool         (*is_alive)(void *ctx, const struct twin *twin);
	void          *ctx;
};

void twins_init(struct twins *twins, struct memory *memory,
    bool (*is_alive)(void *ctx, const struct twin *twin), void *ctx);
void twins_fini(struct twins *twins);
/* The body of this LSN has this digest, and belongs to this document. Known already: it belongs
 * to this document from now on. */
void twins_note(struct twins *twins, const struct digest *digest, const struct twin *twin);
/* {u32 document, u64 LSN, u64 tag} of each in this shard and database; and one of them again. */
struct buf;
void twins_dump(const struct twins *twins, uint32_t shard, uint8_t db, struct buf *out);
void twins_note_tag(struct twins *twins, uint64_t tag, const struct twin *twin);
/* One that is alive and may have this digest, or NULL. Borrowed until the next note. */
const struct twin *twins_find(const struct twins *twins, const struct digest *digest);

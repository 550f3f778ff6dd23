/* store/directory.h: key -> entry, for one database. Images and cache keys alike.
 *
 * A table of 64-byte buckets (one cache line a probe): nine one-byte tags and nine entry
 * pointers of six bytes. A bucket that overflows chains to another; linear probing was not taken because
 * SCAN promises, while the table grows, to show every key that stayed, and a chain keeps a
 * key inside its home bucket. Growth moves a few buckets with every insertion. Scanning
 * counts the cursor in reversed bits, as P. Noordhuis's dictScan does, so that it survives
 * doubling.
 *
 * An entry is one allocation: a header, what its type needs, the key, and short values:
 *
 *   struct entry | [struct entry_expiry] | struct entry_image [struct entry_meta] | key
 *                                        | struct entry_value | key | value or pointer
 *
 * Entries move when they grow; the directory, the expiry heap and the index are told.
 */
#pragma once
#include "base/hash.h"
#include "base/heap.h"
#include "base/random.h"
#include "store/store.h"

/* All but images are values, and laid out as a string is. */
enum entry_type {
	ENTRY_IMAGE = 1, ENTRY_STRING, ENTRY_HASH, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_TYPE_COUNT
};

enum {
	ENTRY_HAS_EXPIRY = 1,     /* struct entry_expiry follows the header */
	ENTRY_HAS_META = 2,       /* image: struct entry_meta follows */
	ENTRY_VALUE_BODY = 4,     /* string: a struct body *, for values over BODY_INLINE_MAX */
	ENTRY_VALUE_BLOCK = 8,    /* string: an own block, for values over ENTRY_INLINE_MAX */
	ENTRY_CORRUPT = 16,       /* its record failed a check */
	ENTRY_MOVING = 32,        /* a move to another tier is queued or under way */
	ENTRY_AWAITED = 128,      /* a value that is still to be read; while loading only */
	ENTRY_SHARED = 64,        /* image: others need its body too; engine/held.h has its place */
	ENTRY_UNSEEN = 256,       /* image: its pixels have not been analysed yet */
	ENTRY_QUIET_META = 512,   /* image: its metadata record began no version of its own */
	ENTRY_ENDED = 2048,       /* image: flushed, and the past has it already */
	ENTRY_VALUE_OBJECT = 1024, /* value: the owner's object, for what does not lie in one run of bytes */
};

enum { ENTRY_INLINE_MAX = 128, ENTRY_SHARED_MIN = 4096 };

#define LSN_MASK ((UINT64_C(1) << 48) - 1)      /* an LSN fits its bits in these structs */

struct entry {
	uint64_t lsn : 48;        /* of the last change */
	uint64_t type : 4;
	uint64_t flags : 12;
	uint32_t access_s;        /* server clock of the last access, seconds */
	uint32_t key_len;
};
_Static_assert(sizeof(struct entry) == 16, "entry header");

struct entry_expiry {
	uint64_t         at_ms;       /* Unix ms */
	struct heap_node node;
	uint32_t         spare;
};
_Static_assert(sizeof(struct entry_expiry) == 16, "entry expiry");

struct entry_image {
	struct place body;            /* of a shared one: nowhere, but its bytes */
	uint32_t     docid;           /* in the search index */
	uint64_t     body_lsn : 48;   /* LSN of the record at `body` */
	uint64_t     since_ms : 16;   /* from created_s until the record was logged, at most */
	uint32_t     created_s;       /* Unix seconds of the upload */
	uint32_t     heat;            /* reads, ageing */
};
_Static_assert(sizeof(struct entry_image) == 32, "entry image");

struct entry_meta {               /* metadata newer than the body's record */
	struct place place;
	uint32_t     since_s;         /* Unix seconds at which it was logged, and the rest: */
	uint64_t     lsn : 48;
	uint64_t     since_ms : 16;
};
_Static_assert(sizeof(struct entry_meta) == 24, "entry meta");

struct entry_value {
	struct place place;
	uint32_t     len;
};
_Static_assert(sizeof(struct entry_value) == 16, "entry value");

static inline struct entry_expiry *entry_expiry(struct entry *entry)
{
	return (entry->flags & ENTRY_HAS_EXPIRY) ? (struct entry_expiry *)(void *)(entry + 1)
	                                         : NULL;
}

/* Unix ms, 0: never. */
uint64_t entry_expire_ms(const struct entry *entry);
struct entry_image *entry_image(struct entry *entry);       /* type must be ENTRY_IMAGE */
struct entry_meta *entry_meta(struct entry *entry);         /* NULL if it has none */
struct entry_value *entry_value(struct entry *entry);       /* of any value */
/* LSN of the record that made the image what it is (its body's, or of its newest metadata), and
 * the time of that record in Unix ms. */
uint64_t entry_version_lsn(struct entry *entry);
int64_t entry_since_ms(struct entry *entry);
/* After created_s, or the LSN of struct entry_meta, was set. */
void entry_set_since(struct entry *entry, int64_t time_ms);
struct span entry_key(const struct entry *entry);
/* The bytes of a value that is no object, wherever they lie. Borrowed until the entry changes. */
struct span entry_string(const struct entry *entry);
/* Of a value in a block of ENTRY_SHARED_MIN bytes or more: keeps its bytes until entry_block_unref,
 * whatever becomes of the entry. NULL: it is another one. */
void *entry_block_ref(const struct entry *entry);
void entry_block_unref(void *owner);
struct body *entry_body(const struct entry *entry);         /* NULL unless ENTRY_VALUE_BODY */
size_t entry_bytes(const struct entry *entry);              /* allocated for it, values too */

/* A new entry, not yet in a directory. `flags` may hold ENTRY_HAS_EXPIRY and ENTRY_HAS_META;
 * those parts are zero and out of every heap. A value is made as a string; its type may be set. */
struct entry *entry_new_image(struct memory *memory, struct span key, uint32_t flags);
/* The value is copied, or `body` is taken over when it is given. */
struct entry *entry_new_string(struct memory *memory, struct span key, uint32_t flags,
    struct span value, struct body *body);
/* An object's bytes are its owner's: whoever frees or replaces the entry has seen to it before. */
struct entry *entry_new_object(
    struct memory *memory, struct span key, uint32_t flags, void *object);
void *entry_object(const struct entry *entry);              /* NULL unless ENTRY_VALUE_OBJECT */
void entry_free(struct memory *memory, struct entry *entry);      /* must be in no heap */

/* Overwrites the value of a string in place if the allocation fits exactly; else false. */
bool entry_string_overwrite(struct entry *entry, struct span value);

struct directory {
	struct directory_table {
		struct bucket *buckets;
		uint64_t       mask;      /* buckets - 1; with buckets NULL: empty */
		uint64_t       count;     /* entries */
	} tables[2];                      /* [1] is the larger one while growing */
	uint64_t moved; /* buckets of tables[0] already moved; UINT64_MAX: not growing */
	uint64_t       expected;          /* directory_expect */
	uint64_t       seed;
	uint64_t       entry_bytes;       /* of all entries, values too */
	uint64_t       drained;           /* buckets that directory_drain has emptied */
	struct heap    expiry;            /* entries with a deadline */
	struct memory *memory;
	struct memory  overhead;          /* buckets */
};

void directory_init(struct directory *directory, struct memory *memory, uint64_t seed);
/* Of an empty one: so many entries are coming. */
void directory_reserve(struct directory *directory, uint64_t count);
/* About so many are coming: it may grow in larger steps. 0: nobody knows. */
void directory_expect(struct directory *directory, uint64_t count);
void directory_fini(struct directory *directory);         /* frees every entry */

static inline uint64_t directory_hash(const struct directory *directory, struct span key)
{
	return hash_key(key, directory->seed);
}

static inline uint64_t directory_count(const struct directory *directory)
{
	return directory->tables[0].count + directory->tables[1].count;
}

/* Two steps of warming the cache for a lookup that comes soon. */
void directory_prefetch(const struct directory *directory, uint64_t hash);
void directory_prefetch_entry(const struct directory *directory, uint64_t hash);

struct entry *directory_find(const struct directory *directory, struct span key, uint64_t hash);
/* The same for a key whose hash is not at hand. */
static inline struct entry *directory_lookup(const struct directory *directory, struct span key)
{
	return directory_find(directory, key, directory_hash(directory, key));
}
/* The same in one that is being drained: what was not yet drained is found. */
struct entry *directory_find_undrained(const struct directory *directory, struct span key);
/* The key must not be there. The directory owns the entry from now on. */
void directory_insert(struct directory *directory, struct entry *entry, uint64_t hash);
/* `new` has the same key and takes the place of `old`, which is freed. */
void directory_replace(
    struct directory *directory, struct entry *old, struct entry *new, uint64_t hash);
/* Takes it out and frees it. */
void directory_remove(struct directory *directory, struct entry *entry, uint64_t hash);

/* Sets, moves or (at_ms 0) clears the deadline; returns the entry, which may have moved. */
struct entry *directory_expire(struct directory *directory, struct entry *entry, uint64_t hash,
    uint64_t at_ms);
/* The same entry with room for struct entry_meta. */
struct entry *directory_add_meta(struct directory *directory, struct entry *entry, uint64_t hash);
/* The entry whose deadline is first, if that is <= now_ms; else NULL. */
struct entry *directory_expired(const struct directory *directory, uint64_t now_ms);

/* One of those with a deadline, by its place in the heap: at < expiry.count. */
struct entry *directory_expiring(const struct directory *directory, uint32_t at);

/* Calls `each` for the entries of one cursor position; returns the next cursor, 0 at the
 * end. `each` must not change the directory. */
typedef void directory_each(void *ctx, struct entry *entry);
uint64_t directory_scan(
    const struct directory *directory, uint64_t cursor, directory_each *each, void *ctx);
struct entry *directory_random(
    const struct directory *directory, struct random *random); /* NULL if empty */
/* Moves up to `buckets` buckets if it is growing. */
void directory_step(struct directory *directory, unsigned buckets);
/* The same as directory_fini in pieces, for one that is not used any more: frees about `entries` of them;
 * `each` sees them before. True: it is empty, and as after directory_init. */
bool directory_drain(
    struct directory *directory, uint32_t entries, directory_each *each, void *ctx);
/* Where the emptied part of a table lies, and how long it is: its bytes are not needed any more. */
void *directory_drained(const struct directory *directory, size_t *bytes);
uint64_t directory_bytes(const struct directory *directory);

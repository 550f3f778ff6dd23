/* store/recovery.h: what recovery's files share. Private to src/store.
 *
 * Recovery reads the log twice: once through the footers of sealed segments and the headers of
 * records elsewhere, to learn what there is (24 bytes of memory per record) and how far it can
 * be trusted, and once in the order of LSNs, to tell the owner. In between it decides, in recover_sort.c:
 *
 *   A bad place before the durable position that any commit block of its stream names is
 *   corruption: single records behind it are still looked for. Elsewhere it is a torn tail.
 *   Behind the durable LSN, LSNs must follow each other without a gap, and bodies are
 *   verified; from the first gap on everything is cut, and an incomplete atomic group with
 *   it. The owner hears nothing of what was cut. A seal is written at the end of each segment
 *   that has none, and a VOID record keeps LSNs from being believed later that were cut.
 */
#pragma once
#include "store/state.h"

enum recovery_phase {
	RECOVERY_FILES,
	RECOVERY_SCAN,
	RECOVERY_SALVAGE,
	RECOVERY_VERIFY,
	RECOVERY_SORT,
	RECOVERY_LOAD,
	RECOVERY_SEAL,
	RECOVERY_DELIVER,
	RECOVERY_MAKE,
};

/* Of the chunks of a checkpoint; see recover_chunks.c. */
enum load_part { LOAD_PART_PAST, LOAD_PART_FIRST, LOAD_PART_REST, LOAD_PARTS };

struct found {
	uint64_t lsn;
	uint32_t segment, bytes;
	uint32_t offset : 24;             /* in RECORD_ALIGN units: segments are at most 1 GiB */
	uint32_t type : 8;
	uint32_t batch : 18;              /* sector where its batch starts */
	uint32_t flags : 8;
	uint32_t mark : 1, drop : 1;
	uint32_t head : 1;                /* its segment's footer holds the head */
	uint32_t known : 1;               /* its effect is in the checkpoint: not told */
};
_Static_assert(sizeof(struct found) == 24, "one per record in memory");

struct footer_ref {
	uint64_t at;                      /* of a block, in the file */
	uint32_t first;                   /* offset of its first record */
};

struct scanned {
	struct segment *segment;
	uint64_t        stop;             /* nothing valid lies here, or the seal's end */
	uint64_t        end;              /* told by a later segment, or UINT64_MAX */
	uint64_t        follows;          /* up to here whole batches follow what is known to be durable */
	uint32_t        end_told_by, end_life;    /* by a commit block of this segment and life */
	uint32_t        batches;
	bool            sealed, salvaged;
	bool            footer_tried, from_footer;
	bool            skip;             /* a checkpoint holds all that is in it */
	uint64_t        covered;          /* or what is in it up to here */
	struct footer_ref *blocks;        /* of the footer */
	uint32_t        block_count;
	bool            used;             /* some record or commit block was found */
};

/* Whole batches, one right behind the other; offsets. */
struct batch_run {
	uint32_t segment;
	uint64_t from, to;
};

/* A LINK that is to be replayed names the image of this LSN. */
struct link_body {
	uint64_t     lsn;
	struct place place;               /* segment 0: not seen among what was loaded */
};

/* Bytes of one segment around where we are. */
struct window {
	struct segment *segment;
	uint8_t        *buf;              /* PIECE_BYTES */
	uint64_t        from;
	size_t            len, size, want;
	size_t            careful;        /* after an error: sectors up to here were read singly */
	bool              is_careful;
	struct iovec    iov;
	struct io_op    op;
};

struct recovery {
	struct store     *store;
	uint8_t           phase, file_step;
	bool              running, stopped;
	uint64_t          started_us;
	char            **names;          /* of segment files, with their tier */
	uint8_t          *name_tiers;
	uint32_t          name_count, name_at;
	uint32_t          foreign_count;  /* segments of another store */
	int               file_fd;
	uint64_t          file_bytes;
	char             *file_path;
	size_t            file_path_bytes;
	struct io_op      op;
	struct iovec      iov;
	uint8_t          *sector;
	struct segment_header header;
	bool              header_zero;
	struct window     window[TIER_COUNT];
	struct scanned   *scanned;
	uint32_t          scanned_count, at;
	struct scan       scan;
	bool              scanning;
	size_t            batch_from;     /* first entry of the batch being scanned */
	struct found     *found;
	size_t            found_count, found_cap;
	struct void_range *voids;
	uint32_t          void_count, void_cap;
	struct void_range *gaps;          /* LSNs that were left out: `from` up to that of the END */
	size_t            gap_count, gap_cap;
	struct batch_run *runs;           /* found behind bad places */
	size_t            run_count, run_cap;
	struct position   durable[STREAM_COUNT];
	uint64_t          durable_lsn, lsn_seen;
	uint32_t          durable_lsn_in;         /* the segment whose commit block says so */
	size_t            next;           /* entry to verify or deliver */
	struct store_read read;
	bool              reading;
	struct io_timer   timer;
	bool              seal_synced;
	struct buf        manifest_file;  /* recover_load.c, from here on */
	struct manifest   manifest;
	bool              has_manifest, load_begun, load_bad;
	bool              gives_up;       /* a chunk is bad: anew, as soon as nothing is being read */
	uint32_t          void_slots;     /* bit s: the manifest of slot s is to be removed */
	uint64_t          replay_lsn;     /* 0: no checkpoint */
	uint8_t           load_step;
	int               load_fd;
	struct chunk_reader *chunks;      /* recover_chunks.c; NULL: none are being read */
	bool              is_lazy;        /* chunks are loaded when the store is open */
	struct place     *fetches;        /* records to be told because a chunk lacks their body */
	uint32_t          fetch_count, fetch_cap, fetch_at;
	struct link_body *links;          /* by LSN once chunks are loaded */
	uint32_t          link_count, link_cap;
	bool              noted;          /* segments know what lies in them */
	struct found      fetched;
	const struct found *delivered;    /* by the read under way */
	struct merge     *merge;          /* recover_merge.c */
	uint64_t          said_us;        /* progress was logged last */
	struct footer_reader *reader;     /* recover_footer.c */
};

/* recovery.c */
void recovery_run(struct recovery *recovery);
void recovery_fail(struct recovery *recovery, enum err err);
/* At least `want` bytes from `at`, or empty: they are being read and recovery_run follows. */
struct span window_get(struct recovery *recovery, struct segment *segment, uint64_t at,
    uint64_t want);
/* What was found, with its body if that lies right behind the head. ERR_AGAIN: as window_get, empty.
 * ERR_CORRUPT: it is not there, or not whole. */
enum err window_get_record(struct recovery *recovery, const struct found *found,
    struct record_view *view, struct span *bytes);

/* recover_files.c: finds the segments. True when all are known. */
MUST_CHECK enum err recover_list(struct recovery *recovery);
bool recover_files(struct recovery *recovery);

/* recover_load.c */
void recover_manifests(struct recovery *recovery);
void recover_classify(struct recovery *recovery);          /* scanned[] is new */
/* Where walking through this segment begins, its footer being of no use: behind what is covered, if
 * the checkpoint counted that. The segment's counts are then set. */
MUST_CHECK uint64_t recover_scan_from(struct recovery *recovery, struct scanned *scanned);
bool recover_load(struct recovery *recovery);              /* true when the phase is over */
void recover_note_link(struct recovery *recovery, uint64_t lsn);
bool recover_find_link(const struct recovery *recovery, uint64_t lsn, struct place *place);
/* Before opened(): says which records had been in segments that are gone. */
void recover_count_lost(struct store *store);
void recover_load_free(struct recovery *recovery);
/* All over again, from the phase of scanning on, without a checkpoint. */
void recover_restart(struct recovery *recovery);
/* The same from within a phase, which ends with false. */
void recover_give_up_load(struct recovery *recovery);

/* recover_chunks.c: chunks of the manifest, from load_fd, to the owner. */
void recover_chunks(struct recovery *recovery, enum load_part part);
void recover_chunks_behind(struct recovery *recovery);    /* the rest, now that the store is open */
bool recover_chunks_are_left(const struct recovery *recovery);
void recover_chunks_free(struct recovery *recovery);
/* recover_load.c: told when a part is over; when all is; and when a chunk of the rest is bad. */
void recover_chunks_over(struct recovery *recovery, bool bad);
void recover_rest_over(struct recovery *recovery);
void recover_spoilt(struct recovery *recovery);

/* recover_scan.c: each true when the phase is over. */
bool recover_scan(struct recovery *recovery);
bool recover_salvage(struct recovery *recovery);
void recover_follow_on(struct recovery *recovery);
bool recover_verify(struct recovery *recovery);

/* One record that was found; `refers` matters for VOID only. */
void recover_note_found(struct recovery *recovery, const struct found *found, uint64_t refers);
/* What a commit block of this segment says about others. */
void recover_learn(struct recovery *recovery, struct scanned *scanned,
    const struct commit_block *commit);

/* recover_footer.c */
/* All that the segment holds, from its footer. ERR_AGAIN: bytes are being read. ERR_NOTFOUND:
 * it has none that can be trusted; nothing was noted. */
MUST_CHECK enum err recover_footer(struct recovery *recovery, struct scanned *scanned);
/* The head of this record, borrowed until the next call. ERR_AGAIN: bytes are being read. Any
 * other error: read the record itself. */
MUST_CHECK enum err recover_footer_item(struct recovery *recovery, const struct found *found,
    struct footer_item *out);
void recover_footer_free(struct recovery *recovery);

/* recover_merge.c: found[] in the order of found_compare. True when it is. */
bool recover_merge(struct recovery *recovery);
void recover_merge_free(struct recovery *recovery);

/* recover_sort.c */
/* By LSN; of several copies of one record the one that counts comes last. */
int found_compare(const struct found *x, const struct found *y);
struct scanned *recover_scanned(const struct recovery *recovery, uint32_t id);
/* Drops what lies where nothing may be believed; before bodies are verified. */
void recover_judge(struct recovery *recovery);
/* The batch of this record, and whatever follows it in its segment, is torn. */
void recover_cut(struct recovery *recovery, const struct found *found);
/* Is this place durable, as later commit blocks of its stream say? */
bool position_is_before(const struct recovery *recovery, const struct segment *segment,
    uint64_t offset);
/* The last segment of this tier that holds anything durable, or 0. */
uint32_t position_last(const struct recovery *recovery, uint32_t tier);
void recover_sort(struct recovery *recovery);
const struct found *recover_find(const struct recovery *recovery, uint64_t lsn);

/* recover_deliver.c */
bool recover_is_told(const struct recovery *recovery, const struct found *found);
bool recover_seal(struct recovery *recovery);
bool recover_deliver(struct recovery *recovery);
/* Tells of recovery->fetched alone. True: told. False: bytes are being read. */
bool recover_deliver_fetched(struct recovery *recovery);

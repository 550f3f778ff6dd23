/* store/checkpoint.h: writes the chunks of a checkpoint and its manifest. Private to src/store,
 * but for the calls in store.h.
 *
 * The owner cuts its memory into chunks and hands them over one at a time; this file keeps
 * two slots on disk, of which the older one is written anew while the other stays valid. What
 * a chunk says may be newer than the log is on disk: the manifest waits for the log.
 */
#pragma once
#include "store/manifest.h"

enum checkpoint_step {
	CHECKPOINT_IDLE,
	CHECKPOINT_UNLINK,
	CHECKPOINT_UNLINK_SYNC,
	CHECKPOINT_OPEN,
	CHECKPOINT_LEAD,                  /* for what was appended before it began */
	CHECKPOINT_READY,                 /* the owner's turn */
	CHECKPOINT_CHUNK,
	CHECKPOINT_SYNC,
	CHECKPOINT_SYNC_NAME,             /* the file may be new */
	CHECKPOINT_WAIT,                  /* for the log */
	CHECKPOINT_MANIFEST_OPEN,
	CHECKPOINT_MANIFEST_WRITE,
	CHECKPOINT_MANIFEST_CLOSE,
	CHECKPOINT_MANIFEST_RENAME,
	CHECKPOINT_MANIFEST_SYNC,
	CHECKPOINT_CLOSE,
	CHECKPOINT_FAILED_UNLINK,
	CHECKPOINT_FAILED_SYNC,
};

struct checkpoint_slot {
	bool     valid;                   /* its manifest may be on disk */
	uint64_t number, replay_lsn, file_bytes, live_bytes;
	uint8_t  bits[CHUNK_SETS];
	struct manifest_chunk *chunks[CHUNK_SETS];    /* 2^bits of them, or NULL */
};

struct checkpoint {
	uint8_t         step;
	uint32_t        slot;             /* being written */
	struct checkpoint_slot slots[CHECKPOINT_SLOTS];
	struct store_checkpoint *job;     /* the owner's */
	int             fd, manifest_fd;
	struct io_op    op;
	struct iovec    iov;
	bool            finishing;        /* all chunks were given */
	uint64_t        lead_lsn;         /* what lies before need not be replayed */
	uint8_t        *block;            /* chunks to be written, whole sectors */
	size_t          block_bytes, block_cap;
	struct buf      segments;         /* as they were when it began */
	struct manifest_header header;
	uint8_t        *manifest;         /* whole sectors */
	size_t          manifest_bytes;
	char            path[CHECKPOINT_SLOTS][1024], manifest_path[CHECKPOINT_SLOTS][1024];
	char            temporary[1024];
	enum err        err;
};

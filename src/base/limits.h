/* base/limits.h: every compiled limit, by name. Limits that an operator may move are
 * settings (conf/tintype.conf); these are part of formats or bound fixed memory.
 */
#pragma once

enum {
	LOG_LINE_MAX = 1024,              /* bytes of one log line */

	DATABASE_COUNT = 16,
	KEY_BYTES_MAX = 64 << 10,

	SECTOR = 4096,                    /* unit of writing; commit batches start on one */
	RECORD_ALIGN = 64,
	META_BYTES_MAX = 256 << 10,       /* encoded metadata of one image */
	CHUNK_BYTES = 64 << 10,           /* unit of body checksums */
	CHECKPOINT_BITS = 12,             /* 4096 chunks of a database at most */
	CHECKPOINT_MARKS = 1 << CHECKPOINT_BITS,
	BODY_INLINE_MAX = 16 << 10,       /* larger bodies are never copied into a batch */

	RESP_INLINE_MAX = 64 << 10,       /* one inline command */
	RESP_ARGS_MAX = 1 << 20,
	RESP_BULK_DIRECT = 16 << 10,      /* larger arguments are received into a body */
	RESP_PREAUTH_BYTES = 16 << 10,
	RESP_PREAUTH_ARGS = 4,
	PREAUTH_MS_MAX = 5000,

	TITLE_BYTES_MAX = 4 << 10,
	CAPTION_BYTES_MAX = 64 << 10,
	TAGS_MAX = 256,
	TAG_BYTES_MAX = 256,
	ATTRS_MAX = 64,
	ATTR_NAME_MAX = 64,
	ATTR_VALUE_MAX = 1 << 10,

	SEARCH_QUERY_BYTES_MAX = 64 << 10,
	SEARCH_TERMS_MAX = 1024,
	SEARCH_DEPTH_MAX = 64,
	SEARCH_LIMIT_MAX = 10000,         /* results at a time */
	SEARCH_OFFSET_MAX = 1000000,      /* and so far into them */
};

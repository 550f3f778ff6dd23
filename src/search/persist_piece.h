/* search/persist_piece.h: what dump.c and load.c agree on; see persist.h. */
#pragma once
#include "search/persist.h"

#include "base/buf.h"
#include "base/endian.h"

enum {
	PIECE_VERSION = 2,
	PIECE_DOCS = 1024,                /* ids in a piece of documents */
	PIECE_HEAD_BYTES = 5,

	PIECE_HEAD = 'H', PIECE_FIELDS = 'F', PIECE_TERM = 'T', PIECE_BLOCKS = 'C',
	PIECE_NUMBERS = 'N', PIECE_TAGS = 'G', PIECE_DOCUMENTS = 'D', PIECE_END = 'Z',
};

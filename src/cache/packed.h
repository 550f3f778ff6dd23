/* cache/packed.h: byte strings one behind the other in one run of bytes, walkable from both ends.
 *
 *   u32 count | element ...
 *   element = head | payload | the length of both, in groups of seven bits, the last byte lowest;
 *             the high bit says that another group stands to its left
 *   head    = 00..7f             the integer itself, no payload
 *             80..bf             a string of 0 to 63 bytes
 *             c0..cf, one byte   a string of up to 4095 bytes (12 bits of length, high ones first)
 *             d0..df, one byte   the integer 128 + 12 bits
 *             e1..e8             an integer of 1 to 8 bytes, two's complement, little-endian
 *             e9                 a score: 8 bytes of a double
 *             f0, four bytes     a longer string, length little-endian
 *
 * Text that is a canonical 64-bit integer is always kept as one: two elements are the same
 * if and only if their heads and payloads are. Places are offsets of elements; the end is
 * the place behind the last. A run without bytes is empty. The format is also that of dumps.
 */
#pragma once
#include "base/memory.h"
#include "base/span.h"

enum {
	PACKED_HEAD = 4,
	PACKED_BYTES_MAX = 1 << 30,       /* a value leaves its small form before that */
	PACKED_ELEMENT_EXTRA = 10,        /* an element takes at most that much more than its text */
};

struct packed {
	uint8_t *ptr;
	uint32_t len, cap;
};

/* One element: `bytes` borrowed from the value until it changes, or from `number`. */
struct item {
	struct span bytes;
	char        number[24];
};
void item_copy(struct item *out, const struct item *in);      /* `bytes` may point into itself */

/* Text to look for, or to store: an integer, if it is a canonical one. */
struct needle {
	struct span text;
	int64_t     number;
	bool        is_number;
};
struct needle needle_of(struct span text);

void packed_fini(struct packed *packed, struct memory *memory);
/* What the allocator would give for so many bytes, so that none of them is wasted. */
size_t packed_class(size_t bytes);

uint32_t packed_count(const struct packed *packed);
static inline uint32_t packed_end(const struct packed *packed)
{
	return packed->len == 0 ? PACKED_HEAD : packed->len;
}
/* `at` is a place of an element; that of packed_prev may be the end, but not the first. */
uint32_t packed_next(const struct packed *packed, uint32_t at);
uint32_t packed_prev(const struct packed *packed, uint32_t at);
/* Of element number `index`, from whichever end is nearer; index <= count. */
uint32_t packed_seek(const struct packed *packed, uint32_t index);

void packed_get(const struct packed *packed, uint32_t at, struct item *out);
/* Whether it is one that packed_insert_score could have written. */
bool packed_has_score(const struct packed *packed, uint32_t at);
double packed_score(const struct packed *packed, uint32_t at);
bool packed_is(const struct packed *packed, uint32_t at, const struct needle *needle);
/* The first such element from `at` on, of which only every `stride`th is looked at; else the end. */
uint32_t packed_find(
    const struct packed *packed, uint32_t at, const struct needle *needle, unsigned stride);

/* Each inserts before `at`, and returns the place behind what it inserted. */
uint32_t packed_insert(
    struct packed *packed, struct memory *memory, uint32_t at, const struct needle *needle);
uint32_t packed_insert_score(
    struct packed *packed, struct memory *memory, uint32_t at, double score);
void packed_replace(
    struct packed *packed, struct memory *memory, uint32_t at, const struct needle *needle);
/* `count` elements from `at` on. */
void packed_remove(struct packed *packed, struct memory *memory, uint32_t at, uint32_t count);
/* Moves the elements from `at` on behind those of `to`. */
void packed_move_tail(struct packed *packed, struct memory *memory, uint32_t at, struct packed *to);

/* Whether foreign bytes are such a run. */
MUST_CHECK bool packed_check(struct span bytes);

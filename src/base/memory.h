/* base/memory.h: the allocator, with every byte counted for a subsystem.
 *
 * Each subsystem owns a `struct memory`; INFO and MEMORY print them. Small, bounded
 * requests use memory_alloc, which ends the process with a clear line when the machine
 * has nothing left, as Redis does. A size that a client chose goes through
 * memory_try_alloc, whose NULL becomes -OOM. Freeing needs the size that was asked.
 */
#pragma once
#include "base/check.h"

struct memory {
	uint64_t bytes;       /* now */
	uint64_t bytes_peak;
};

/* Never NULL; contents unspecified. size > 0. */
void *memory_alloc(struct memory *memory, size_t size);

/* Never NULL; all zero. */
void *memory_zalloc(struct memory *memory, size_t size);

/* NULL when the machine has not that much. */
MUST_CHECK void *memory_try_alloc(struct memory *memory, size_t size);

/* `ptr` may be NULL with old_size 0. Never NULL. */
void *memory_resize(struct memory *memory, void *ptr, size_t old_size, size_t new_size);

/* As memory_resize, but NULL, with the old block untouched, when there is not that much. */
MUST_CHECK void *memory_try_resize(
    struct memory *memory, void *ptr, size_t old_size, size_t new_size);

/* `align` is a power of two, at least 16. NULL when there is not that much. */
MUST_CHECK void *memory_try_alloc_aligned(struct memory *memory, size_t align, size_t size);

void memory_free(struct memory *memory, void *ptr, size_t size);

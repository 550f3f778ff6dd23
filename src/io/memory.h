/* io/memory.h: memory that others use too: children map it, sockets read it after a send. Part of io.h. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct io;

struct io_memory {
	void  *ptr;
	size_t bytes;
	int    fd;                        /* a memfd, for a child to map */
	bool   renews;                    /* released pages are others afterwards, not only zeros */
};
/* Shared memory of fixed, sealed size, all zero. With read_only_for_others `fd`, and what a child can map,
 * is for reading only. (Not F_SEAL_FUTURE_WRITE: it forbids us to give pages back.) ERR_MEMORY. */
MUST_CHECK enum err io_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out);
void io_memory_free(struct io *io, struct io_memory *memory);
/* Gives whole pages back to the machine; they read as zero afterwards. */
void io_memory_release(struct io *io, const struct io_memory *memory, size_t offset, size_t bytes);

/* Any other memory: its whole pages go back to the machine (or stay, and say anything). */
void io_memory_discard(void *ptr, size_t bytes);
/* Large pages serve it, where the machine has them. */
void io_memory_huge(void *ptr, size_t bytes);
/* All of it will be written at once: pages that are not there yet come together. */
void io_memory_populate(void *ptr, size_t bytes);
/* Its pages were given to sockets: others stand in their place, with any contents. Whole pages. */
void io_memory_renew(void *ptr, size_t bytes);
void io_memory_renew(void *ptr, size_t bytes);

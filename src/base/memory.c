/* base/memory.c: see memory.h. The only caller of malloc. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static void memory_count(struct memory *memory, size_t size)
{
	ASSERT(memory != NULL);
	memory->bytes += size;
	if (memory->bytes > memory->bytes_peak)
		memory->bytes_peak = memory->bytes;
}

void *memory_try_alloc(struct memory *memory, size_t size)
{
	ASSERT(size > 0);
	void *ptr = malloc(size);
	if (ptr != NULL)
		memory_count(memory, size);
	return ptr;
}

void *memory_alloc(struct memory *memory, size_t size)
{
	void *ptr = memory_try_alloc(memory, size);
	if (UNLIKELY(ptr == NULL))
		check_failed("the machine has memory left", __FILE__, __LINE__);
	return ptr;
}

void *memory_zalloc(struct memory *memory, size_t size)
{
	ASSERT(size > 0);
	void *ptr = calloc(1, size);
	if (UNLIKELY(ptr == NULL))
		check_failed("the machine has memory left", __FILE__, __LINE__);
	memory_count(memory, size);
	return ptr;
}

void *memory_try_resize(struct memory *memory, void *ptr, size_t old_size, size_t new_size)
{
	ASSERT(new_size > 0);
	ASSERT((ptr == NULL) == (old_size == 0));
	ASSERT(memory->bytes >= old_size);
	void *moved = realloc(ptr, new_size);
	if (moved == NULL)
		return NULL;
	memory->bytes -= old_size;
	memory_count(memory, new_size);
	return moved;
}

void *memory_resize(struct memory *memory, void *ptr, size_t old_size, size_t new_size)
{
	void *moved = memory_try_resize(memory, ptr, old_size, new_size);
	if (UNLIKELY(moved == NULL))
		check_failed("the machine has memory left", __FILE__, __LINE__);
	return moved;
}

void *memory_try_alloc_aligned(struct memory *memory, size_t align, size_t size)
{
	ASSERT(size > 0);
	ASSERT((align & (align - 1)) == 0);
	void *ptr = NULL;
	if (posix_memalign(&ptr, align, size) != 0)
		return NULL;
	memory_count(memory, size);
	return ptr;
}

void memory_free(struct memory *memory, void *ptr, size_t size)
{
	if (ptr == NULL)
		return;
	ASSERT(memory->bytes >= size);
	memory->bytes -= size;
	free(ptr);
}

/* base/check.h: assertions that stay on in release, object magics, attributes, and a hint.
 *
 * ASSERT is for what only a bug can do. It is never applied to bytes that a client, a
 * disk or a peer sent. Every long-lived struct begins with `uint32_t magic`; CHECK_OBJ
 * stands at each door through which one enters.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define UNUSED(x) ((void)(x))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* The builtin alone has no effect that the compiler sees: it would drop a call of a function
 * that does nothing else. */
static inline void prefetch(const void *line)
{
	__builtin_prefetch(line);
	__asm__ volatile("");
}

/* Prints the condition and a backtrace to stderr, then aborts. */
NORETURN void check_failed(const char *condition, const char *file, int line);

#define ASSERT(cond) \
	do { \
		if (UNLIKELY(!(cond))) \
			check_failed(#cond, __FILE__, __LINE__); \
	} while (0)

#define CHECK_OBJ(obj, want) \
	do { \
		ASSERT((obj) != NULL); \
		ASSERT((obj)->magic == (want)); \
	} while (0)

/* Poisons the magic of an object that is about to be freed or reused. */
#define DROP_OBJ(obj, want) \
	do { \
		CHECK_OBJ(obj, want); \
		(obj)->magic = ~(uint32_t)(want); \
	} while (0)

/* base/err.h: the one error type that crosses folders.
 *
 * 0 is OK. What the world does (disks, clients, memory, full pools) is returned as one
 * of these and must be checked; what only a bug can do is asserted (base/check.h).
 */
#pragma once
#include "base/check.h"

enum err {
	OK = 0,
	ERR_AGAIN,         /* not now: the caller waits for an event and asks again */
	ERR_BUSY,          /* somebody else holds it */
	ERR_CANCELLED,     /* the operation was withdrawn before it took effect */
	ERR_CLOSED,        /* the peer or the descriptor is gone */
	ERR_CORRUPT,       /* bytes failed a check; never returned as good */
	ERR_DISKFULL,      /* no segment can be created */
	ERR_EXISTS,
	ERR_FULL,          /* a fixed-size container has no room; nothing was changed */
	ERR_INVALID,       /* bytes or arguments from outside that make no sense */
	ERR_IO,            /* the device or the kernel refused */
	ERR_MEMORY,
	ERR_NOTFOUND,
	ERR_OVERLOADED,    /* a pool or queue is at its limit; try later */
	ERR_PERMISSION,
	ERR_READONLY,
	ERR_TIMEOUT,
	ERR_TOOLARGE,      /* over a named limit */
	ERR_UNSUPPORTED,
	ERR_VERSION,       /* written by a newer format */
	ERR_COUNT
};

/* A short lower-case English name, for log lines. Never NULL. */
const char *err_name(enum err err);

/* base/err.c: names of the errors. */
#include "base/err.h"

const char *err_name(enum err err)
{
	static const char *const names[ERR_COUNT] = {
		[OK] = "ok",
		[ERR_AGAIN] = "try again",
		[ERR_BUSY] = "busy",
		[ERR_CANCELLED] = "cancelled",
		[ERR_CLOSED] = "closed",
		[ERR_CORRUPT] = "corrupt",
		[ERR_DISKFULL] = "disk full",
		[ERR_EXISTS] = "exists already",
		[ERR_FULL] = "full",
		[ERR_INVALID] = "invalid",
		[ERR_IO] = "input/output error",
		[ERR_MEMORY] = "out of memory",
		[ERR_NOTFOUND] = "not found",
		[ERR_OVERLOADED] = "overloaded",
		[ERR_PERMISSION] = "permission denied",
		[ERR_READONLY] = "read-only",
		[ERR_TIMEOUT] = "timed out",
		[ERR_TOOLARGE] = "too large",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_VERSION] = "written by a newer version",
	};
	ASSERT((unsigned)err < ERR_COUNT);
	return names[err];
}

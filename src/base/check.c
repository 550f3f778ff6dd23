/* base/check.c: the end of the road for a bug.
 *
 * This is the one place outside src/io that touches a descriptor: a failed assertion
 * must be able to speak when nothing else can be trusted.
 */
#include "base/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
	void *frames[64];
	fprintf(stderr, "\n=== TINTYPE BUG: assertion failed: %s (%s:%d)\n", condition, file, line);
	backtrace_symbols_fd(frames, backtrace(frames, 64), 2);
	abort();
}

/* base/log.c: see log.h. */
#include "base/log.h"

#include "base/limits.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(struct log *log, enum log_level level, const char *format, ...)
{
	if (log == NULL || log->sink == NULL || level < log->level)
		return;
	char text[LOG_LINE_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ASSERT(len >= 0);
	size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	log->sink(log->ctx, level, span_of(text, kept));
}

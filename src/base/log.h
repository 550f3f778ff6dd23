/* base/log.h: log lines. Formatting only; where a line goes is the sink's business.
 *
 * A line is "pid:role time level text", as Redis writes it, so that existing parsers work.
 */
#pragma once
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

struct log {
	enum log_level level;                           /* lines below are dropped */
	void (*sink)(void *ctx, enum log_level level, struct span text);
	void *ctx;
};

/* A NULL log drops everything. Lines over LOG_LINE_MAX bytes are cut. */
void log_line(struct log *log, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_debug(log, ...) log_line(log, LOG_DEBUG, __VA_ARGS__)
#define log_verbose(log, ...) log_line(log, LOG_VERBOSE, __VA_ARGS__)
#define log_notice(log, ...) log_line(log, LOG_NOTICE, __VA_ARGS__)
#define log_warning(log, ...) log_line(log, LOG_WARNING, __VA_ARGS__)

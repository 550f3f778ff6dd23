/* server/logfile.c: where log lines go: stderr or a file, in Redis's format
 * "pid:M 22 Nov 2026 10:00:00.000 * text". */
#include "server/logfile.h"

#include "base/date.h"
#include "base/limits.h"

#include <stdio.h>

static void logfile_line(void *ctx, enum log_level level, struct span text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char marks[] = ".-*#";
	struct logfile *logfile = ctx;
	char line[LOG_LINE_MAX + 64];
	int64_t ms = io_wall_ms(logfile->io), year;
	int month, day, rest = (int)(ms % 86400000);
	date_civil(ms / 86400000, &year, &month, &day);
	int len = snprintf(line, sizeof(line), "%lld:M %02d %.3s %lld %02d:%02d:%02d.%03d %c %.*s",
	    (long long)logfile->pid, day, months + (size_t)(month - 1) * 3, (long long)year,
	    rest / 3600000, rest / 60000 % 60, rest / 1000 % 60, rest % 1000, marks[level],
	    (int)text.len, (const char *)text.ptr);
	if (len > 0)
		io_write_line(logfile->io, logfile->fd, span_of(line, (size_t)len));
}

void logfile_init(struct logfile *logfile, struct io *io, int fd, enum log_level level)
{
	struct io_usage usage;
	io_get_usage(io, &usage);
	*logfile = (struct logfile){
		.io = io, .fd = fd, .pid = usage.pid,
		.log = {.level = level, .sink = logfile_line, .ctx = logfile},
	};
}

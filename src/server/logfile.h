/* server/logfile.h: a log whose lines go to a descriptor. */
#pragma once
#include "base/log.h"
#include "io/io.h"

struct logfile {
	struct log log;
	struct io *io;
	int        fd;
	int64_t    pid;
};

/* `fd` is 2 or a file opened for appending. */
void logfile_init(struct logfile *logfile, struct io *io, int fd, enum log_level level);

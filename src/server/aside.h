/* server/aside.h: a store that cannot become a copy of its leader's is put aside, whole: into
 * quarantine/<milliseconds>/ of its own directory (and of the warm one), where
 * `tintype-server --readonly --dir ...` opens it. Nothing is ever removed from there by itself. */
#pragma once
#include "base/log.h"
#include "engine/settings.h"
#include "io/io.h"

/* Between two servers: nobody has the directories open. Waits for the disk. */
MUST_CHECK enum err store_put_aside(struct io *io, const struct settings *settings, struct log *log);

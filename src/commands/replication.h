/* commands/replication.h: the handlers of replication.c. */
#pragma once
#include "engine/engine.h"

void cmd_replicaof(struct call *call);
void cmd_failover(struct call *call);
void cmd_role(struct call *call);
void cmd_psync(struct call *call);
void cmd_replconf(struct call *call);
void cmd_img_quarantine(struct call *call);
void cmd_img_sync(struct call *call);
void info_replication(struct engine *engine, struct buf *out);

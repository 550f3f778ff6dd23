/* engine/internal.h: what the files of this folder share and nobody else sees. */
#pragma once
#include "engine/engine.h"

#include <stdarg.h>
#include <stdio.h>

enum { ENGINE_MAGIC = 0x454e474e };

/* keys.c */
bool engine_is_expired(struct engine *engine, const struct entry *entry);
/* Deletes with a tombstone. The reply, if any, is gated by the caller through *lsn. */
MUST_CHECK enum err engine_delete(struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash, uint64_t *lsn);
/* Forgets an entry: its records are released, its document leaves the index. */
void engine_forget(struct engine *engine, uint8_t db, struct entry *entry, uint64_t hash);
void entry_release_records(struct engine *engine, struct entry *entry);
void engine_expire_some(struct engine *engine);
enum sync_level engine_sync_level(const struct engine *engine, enum entry_type type);
/* Tells the index where an image's entry lies now. */
void engine_entry_moved(struct engine *engine, uint8_t db, struct entry *entry);

/* recover.c */
void engine_recovered(void *ctx, const struct record *record);
bool engine_relocated(void *ctx, const struct record *record, struct place from, struct place to);
void engine_record_corrupt(void *ctx, struct place place, const struct record *record);

/* metadata.c */
void loads_forget(struct engine *engine, struct session *session);
void loads_cancel(struct engine *engine);

/* find.c */
bool searches_step(struct engine *engine);
void searches_cancel(struct engine *engine);

/* tier.c */
MUST_CHECK enum err tiers_new(struct engine *engine);
void tiers_free(struct engine *engine);
void tiers_step(struct engine *engine);
void tiers_setting(struct engine *engine, const struct record *record);   /* recovery */

/* service.c */
MUST_CHECK enum err image_service_new(struct engine *engine);
void image_service_free(struct engine *engine);

/* engine/databases.h: which database a client means by a number: SWAPDB.
 *
 * Records, directories and indexes know a database by an inner number that never changes. What clients
 * select, and are told in notifications, is a number that stands for one of them; SWAPDB changes
 * for which. The whole map is one SETTING record, which is kept, checkpointed and replicated like
 * any other. session->db and all `db` in src/engine are inner ones.
 */
#pragma once
#include "engine/engine.h"

void databases_init(struct engine *engine);
/* number < DATABASE_COUNT */
uint8_t database_of(const struct engine *engine, int64_t number);
unsigned database_number(const struct engine *engine, uint8_t db);
void database_map_swap(struct database_map *map, uint8_t first, uint8_t second);
/* By clients' numbers. Who selected one of them works in the other from now on. The reply must
 * wait for *lsn. */
MUST_CHECK enum err databases_swap(
    struct engine *engine, uint8_t first, uint8_t second, uint64_t *lsn);

#define DATABASES_SETTING "databases"     /* the key of its SETTING */
/* Writes the map once more, also if each number stands for itself. */
MUST_CHECK enum err databases_log_again(struct engine *engine);
static inline bool databases_are_logged(const struct engine *engine)
{
	return engine->databases.place.segment != 0;
}

/* As of every SETTING: false if the record is not the map's. */
bool databases_setting(struct engine *engine, const struct record *record);
bool databases_setting_is_live(const struct engine *engine, const struct record *record);
bool databases_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to);
/* Among the settings of a checkpoint. */
void databases_dump(const struct engine *engine, struct buf *out);
bool databases_load(struct engine *engine, struct span name, struct span text, struct place place);
void databases_clear(struct engine *engine);

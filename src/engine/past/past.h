/* engine/past/past.h: the engine's past: who owns an image's records, and what images were.
 *
 * An image that is superseded, deleted, expired or flushed becomes a version of the past for
 * `history-window` seconds: its records stay alive for the store. Recovery replays the same
 * endings in the order of LSNs with the records' own times, and so comes to the same past.
 * Versions are forgotten oldest end first: when the window has passed, when the window was
 * made smaller, and when the disk is full. What is forgotten never comes back: the SETTING
 * record "history:window" says which window was kept and which LSN was given up.
 *
 * Strings have no past.
 */
#pragma once
#include "engine/held.h"
#include "engine/past/history.h"
#include "store/directory.h"

struct engine;
struct buf;

/* Where the bytes and the metadata of one version of an image lie, for reading. */
struct image_ref {
	uint64_t     body_lsn, meta_lsn;
	struct place body, meta;
};

struct past;
/* ERR_INVALID: open-at makes no sense; the log says why. */
MUST_CHECK enum err past_new(struct engine *engine);
void past_free(struct engine *engine);
/* Recovery is over. ERR_NOTFOUND: the moment to open at is forgotten; the log says so. */
MUST_CHECK enum err past_opened(struct engine *engine);
/* One slice of forgetting. True: there is more to do at once. */
bool past_step(struct engine *engine);
/* The disk is full, and old versions are being given up: a PUT may wait a little. */
bool past_is_yielding(const struct engine *engine);
/* Whoever waits for that may try again. */
bool past_may_try(const struct engine *engine);
/* A reply that shows this version waits as long as its record does. */
uint64_t past_gate(const struct engine *engine, uint64_t lsn);

/* ---- Who owns what ---- */

/* Where the body of an entry's image lies, whoever owns it. */
struct place past_body(const struct engine *engine, struct entry *entry);
/* Of a body that others need beside its first entry. False: there is none. */
MUST_CHECK bool past_held_place(const struct engine *engine, uint64_t lsn, struct place *place);
const struct held_table *past_held_table(const struct engine *engine);
void image_ref_of(const struct engine *engine, struct entry *entry, struct image_ref *out);
/* Of a version that is no longer of today, or is. False: it is gone. */
MUST_CHECK bool image_ref_find(
    const struct engine *engine, uint64_t body_lsn, uint64_t meta_lsn, struct image_ref *out);
/* A new entry names the body of LSN `lsn`, which lies at `place` and is alive. */
void past_share(struct engine *engine, uint64_t lsn, struct place place);
/* The same in recovery, where the body may have been released a moment ago. */
void past_share_recovered(struct engine *engine, uint64_t lsn, struct place place);
/* In recovery: an IMAGE record that the store holds to be dead. */
void past_note_released(struct engine *engine, uint64_t lsn);
/* The entry's image ends; its records go to the past, or die. */
void past_retire(struct engine *engine, uint8_t db, struct entry *entry, const struct ending *ending);
/* Images that this LSN ended will still be retired, see history_delay; 0: none. */
void past_delay(struct engine *engine, uint64_t end_lsn);
uint64_t past_delayed(const struct engine *engine);
/* The image stays, its metadata ends. */
void past_retire_meta(
    struct engine *engine, uint8_t db, struct entry *entry, const struct ending *ending);
/* Others than the entry of its own key need the record at this place; `owned`: that one does not. */
MUST_CHECK bool past_holds(
    const struct engine *engine, uint64_t lsn, struct place place, bool *owned);
/* A held record has moved. `entry_too`: an entry owns it as well and must follow. */
MUST_CHECK bool past_relocated(struct engine *engine, uint64_t lsn, struct place from,
    struct place to, bool *entry_too);

/* ---- Recovery ---- */

/* Each record, before it is applied. True: it lies behind the moment to open at. */
MUST_CHECK bool past_recovering(struct engine *engine, const struct record *record);
/* SETTING "history:...": true if it is. */
MUST_CHECK bool past_setting(struct engine *engine, const struct record *record);
MUST_CHECK bool past_setting_is_live(const struct engine *engine, const struct record *record);
MUST_CHECK bool past_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to);

/* ---- Questions ---- */

struct past_found {
	struct image_ref   ref;
	uint64_t           lsn;           /* of the record that made it */
	int64_t            since_ms, until_ms;    /* until: 0 for what is current */
	enum version_state state;
	uint64_t           end_lsn;
};

enum past_answer { PAST_FOUND, PAST_ABSENT, PAST_FORGOTTEN };
enum past_answer past_at(struct engine *engine, uint8_t db, struct span key,
    const struct moment *moment, struct past_found *out);
/* All versions of a key, newest first, up to `max`; returns how many there are. */
uint32_t past_versions(struct engine *engine, uint8_t db, struct span key,
    struct past_found *out, uint32_t max);
void past_info(const struct engine *engine, struct buf *out);

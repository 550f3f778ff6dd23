/* engine/index/analysis.h: what the pixels of images say, found out in the background.
 *
 * An image whose metadata has no analysis is marked in its entry (ENTRY_UNSEEN): the marks
 * are what is left to do, and recovery sets them again. A short queue holds the newest, so
 * that an image just put is analysed soon; a walk over the directories finds the others when
 * the queue has run dry. A few at a time (analysis-concurrency) go to the image workers,
 * behind everything that clients wait for.
 *
 * The result is new metadata of the same version (image_meta_mark_quiet), logged like any
 * other, if the key still names the same image. Of an image whose metadata is not in its
 * body's record (a copy, one that was edited before it was seen) it begins a version. An
 * image that the worker cannot decode, or that it dies of twice, is marked as such in its
 * metadata and is left alone.
 */
#pragma once
#include "engine/image.h"

struct analyser;

void analysis_new(struct engine *engine);
void analysis_free(struct engine *engine);
/* Starts what may start. True: it wants to go on at once. */
bool analysis_step(struct engine *engine);
/* Settings changed. */
void analysis_wake(struct engine *engine);
void analysis_info(const struct engine *engine, struct buf *out);

/* ---- For apply.c and image.c ---- */

/* The entry's image has this metadata now: its pixels are seen or still to be seen, and what
 * they say is found by its document. */
void analysis_note(
    struct engine *engine, uint8_t db, struct entry *entry, const struct image_meta *meta);
/* Of an image whose metadata is not at hand: its pixels are still to be seen. */
void analysis_note_unseen(struct engine *engine, uint8_t db, struct entry *entry);
/* The entry's image goes; all images of a database went. */
void analysis_forget(struct engine *engine, uint8_t db, struct entry *entry);
void analysis_forget_db(struct engine *engine, uint8_t db);
/* The same bytes were analysed before: adds that to the metadata, if it is in memory. */
void analysis_copy(struct engine *engine, const struct image_ref *twin, struct buf *encoded);

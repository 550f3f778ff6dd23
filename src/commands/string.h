/* commands/string.h: what string.c and string_edit.c share. */
#pragma once
#include "commands/handlers.h"

/* The value as a bulk string; long ones by reference. */
void reply_string(struct call *call, const struct entry *entry);
/* True for a string or nothing; otherwise -WRONGTYPE was replied. */
bool string_entry(struct call *call, const struct entry *entry);
/* Sets argv[key] to argv[value]. False: an error was replied. */
bool set_arg(struct call *call, uint32_t key, uint32_t value, const struct string_options *options);
/* A copy of the value (`entry` may be NULL) with `len` bytes; bytes beyond the old ones are zero.
 * Not *ok: an error was replied, and the buffer is empty. */
struct buf string_copy(struct call *call, const struct entry *entry, uint64_t len, bool *ok);
/* Makes it the value of argv[1], which keeps its deadline, and tells of `event` (or NULL). False: an error
 * was replied. */
bool string_store(struct call *call, struct span value, const char *event);
/* Where a bit is, or, with a leading '#', which field of `bits` bits. False: an error was replied. */
bool parse_bit_offset(struct call *call, struct span text, uint32_t bits, uint64_t *out);

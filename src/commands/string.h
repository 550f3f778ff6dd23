/* commands/string.h: what string.c and string_edit.c share. */
#pragma once
#include "commands/handlers.h"

/* The value as a bulk string; long ones by reference. */
void reply_string(struct call *call, const struct entry *entry);
/* True for a string or nothing; otherwise -WRONGTYPE was replied. */
bool string_entry(struct call *call, const struct entry *entry);
/* Sets argv[key] to argv[value]. False: an error was replied. */
bool set_arg(struct call *call, uint32_t key, uint32_t value, const struct string_options *options);

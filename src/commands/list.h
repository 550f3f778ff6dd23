/* commands/list.h: what list.c and list_pop.c share with the commands that wait for elements. */
#pragma once
#include "commands/collection.h"

enum list_end { LIST_HEAD, LIST_TAIL };

/* LEFT or RIGHT. False: an error was replied. */
bool parse_list_end(struct call *call, struct span word, enum list_end *end);

/* The elements that [start, end], which may count from the tail, means. False: none. */
bool list_range(uint64_t count, int64_t start, int64_t end, uint64_t *first, uint64_t *last);

/* Each true: the call was answered, with what it took or with an error. False: the key is not there,
 * and nothing was replied. */

/* One element, as LPOP replies; or, `with_key`, [key, element], as BLPOP does. */
bool list_pop_one(struct call *call, struct span key, enum list_end end, bool with_key);
/* Up to `count`, as LPOP key count replies; or, `with_key`, [key, [element ...]], as LMPOP does. */
bool list_pop_many(struct call *call, struct span key, enum list_end end, uint64_t count, bool with_key);
/* From one end of argv[1] to one end of argv[2], as LMOVE replies. */
bool list_move(struct call *call, enum list_end from, enum list_end to);

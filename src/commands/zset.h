/* commands/zset.h: what the files of the sorted-set commands share with each other, and with the commands
 * that wait for members. */
#pragma once
#include "commands/collection.h"

enum zset_end { ZSET_MIN, ZSET_MAX };

/* How popped members are replied: as ZPOPMIN does, [member, score, ...]; as it does with a count in
 * RESP3, [[member, score], ...]; as BZPOPMIN does, [key, member, score]; as ZMPOP does,
 * [key, [[member, score], ...]]. */
enum zset_pop_shape { ZPOP_FLAT, ZPOP_NESTED, ZPOP_KEY_FLAT, ZPOP_KEY_NESTED };
/* Takes up to `count`, 1 at least. True: the call was answered, with what it took or with an error.
 * False: the key is not there, and nothing was replied. */
bool zset_pop(
    struct call *call, struct span key, enum zset_end end, uint64_t count, enum zset_pop_shape shape);

/* A range of scores or names. False: an error was replied. */
bool parse_score_range(struct call *call, struct span min, struct span max, struct score_range *range);
bool parse_lex_range(struct call *call, struct span min, struct span max, struct lex_range *range);

/* Removes ranks [first, end) when the edit is committed. */
void edit_cut_ranks(struct edit *edit, uint64_t first, uint64_t end);

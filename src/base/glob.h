/* base/glob.h: Redis's glob patterns, matched without recursion.
 *
 * `*`, `?`, `[abc]`, `[^a-z]` and `\x`. A `*` that fails resumes at the last star only,
 * which is enough and bounds the work by pattern length times text length. As in Redis, no
 * pattern but the empty one matches an empty text, not even `*`.
 */
#pragma once
#include "base/span.h"

bool glob_match(struct span pattern, struct span text, bool ignore_case);

/* repl/epoch.c: see epoch.h. */
#include "repl/epoch.h"

#include <stdio.h>

struct span epoch_word(char out[EPOCH_TEXT], const struct epoch *epoch)
{
	int len = snprintf(out, EPOCH_TEXT, "%u:%llu:%08x", epoch->number, (unsigned long long)epoch->first,
	    epoch->tag);
	ASSERT(len > 0 && len < EPOCH_TEXT);
	return span_of(out, (size_t)len);
}

int epoch_scan(const char *text, struct epoch *out)
{
	unsigned number, tag;
	unsigned long long first;
	int used = 0;
	if (sscanf(text, " %10u:%20llu:%8x%n", &number, &first, &tag, &used) != 3 || used == 0)
		return 0;
	*out = (struct epoch){.number = number, .tag = tag, .first = first};
	return used;
}

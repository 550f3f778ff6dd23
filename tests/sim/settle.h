/* tests/sim/settle.h: a setting of a server in a test, which must exist and take that value. */
#pragma once
#include "engine/settings.h"

static inline void settle(struct settings *settings, const char *name, const char *value)
{
	const char *why = NULL;
	const struct setting *setting = settings_find(span_text(name));
	ASSERT(setting != NULL);
	enum err err = settings_set(settings, setting, span_text(value), &why);
	ASSERT(err == OK);
}

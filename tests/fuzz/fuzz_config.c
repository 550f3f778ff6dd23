/* tests/fuzz/fuzz_config.c: the settings file. What is accepted can be written and read again. */
#include "engine/settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings, again;
	struct memory memory = {0};
	struct buf text;
	char why[256];
	settings_init(&settings);
	if (settings_parse(&settings, span_of(data, size), why, sizeof(why)) != OK)
		return 0;
	buf_init(&text, &memory);
	settings_rewrite(&settings, span_of(data, size), &text);
	settings_init(&again);
	if (settings_parse(&again, buf_span(&text), why, sizeof(why)) != OK)
		abort();
	for (size_t i = 0; i < settings_count; i++)
		if (!settings_equal(&settings, &again, &settings_table[i]))
			abort();
	buf_fini(&text);
	return 0;
}

/* tests/unit/engine/settings_test.c: settings as text and as a file. */
#include "engine/settings.h"

#include <criterion/criterion.h>

static struct memory memory;

static bool parse(struct settings *settings, const char *text)
{
	char why[256];
	return settings_parse(settings, span_text(text), why, sizeof(why)) == OK;
}

Test(settings, every_initial_value_survives_a_round_trip)
{
	struct settings settings, again;
	const char *why;
	settings_init(&settings);
	settings_init(&again);
	for (size_t i = 0; i < settings_count; i++) {
		struct buf text;
		buf_init(&text, &memory);
		settings_get(&settings, &settings_table[i], &text);
		cr_assert_eq(settings_set(&again, &settings_table[i], buf_span(&text), &why), OK,
		    "%s", settings_table[i].name);
		cr_assert(settings_equal(&settings, &again, &settings_table[i]));
		buf_fini(&text);
	}
}

Test(settings, a_file_with_comments_quotes_and_several_words)
{
	struct settings settings;
	settings_init(&settings);
	cr_assert(parse(
	    &settings, "# hello\n\n  port 7777\nbind 127.0.0.1 ::1\r\nrequirepass \"a b\\x41\"\n"));
	cr_assert_eq(settings.port, 7777);
	cr_assert_str_eq(settings.bind, "127.0.0.1 ::1");
	cr_assert_str_eq(settings.requirepass, "a bA");
}

Test(settings, nonsense_is_refused_and_named)
{
	static const char *const bad[] = {"nosuch 1", "port", "port x", "port 70000", "port -1",
	    "loglevel shouting", "appendfsync sometimes", "segment-bytes 3mb", "segment-bytes 1kb",
	    "maxmemory-policy largest-first", "appendonly no", "databases 4", "dir \"open",
	    "protected-mode maybe"};
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct settings settings, before;
		char why[256];
		settings_init(&settings);
		before = settings;
		cr_assert_eq(settings_parse(&settings, span_text(bad[i]), why, sizeof(why)),
		    ERR_INVALID, "%s", bad[i]);
		cr_assert(strstr(why, "line 1") != NULL);
		cr_assert(memcmp(&settings, &before, sizeof(settings)) == 0, "%s changed something",
		    bad[i]);
	}
}

Test(settings, rewriting_keeps_comments_and_changes_values)
{
	struct settings settings, again;
	struct buf out;
	buf_init(&out, &memory);
	settings_init(&settings);
	cr_assert(parse(&settings,
	    "port 7000\nrequirepass \"with \\\"quotes\\\" # and more\"\nhot-memory 1gb"));
	settings_rewrite(&settings, SPAN_LIT("# mine\nport 6379\nport 1\n"), &out);
	struct span text = buf_span(&out);
	cr_assert(text.len > 8 && memcmp(text.ptr, "# mine\nport 7000\n", 17) == 0);
	settings_init(&again);
	char why[256];
	cr_assert_eq(settings_parse(&again, text, why, sizeof(why)), OK, "%s", why);
	for (size_t i = 0; i < settings_count; i++)
		cr_assert(settings_equal(&settings, &again, &settings_table[i]), "%s",
		    settings_table[i].name);
	buf_fini(&out);
}

Test(settings, what_is_wrong_names_the_limits_or_the_words)
{
	static const char *const said[][2] = {
	    {"port 70000", "between 0 and 65535 inclusive"}, {"io-backend kqueue", ": auto, io_uring, epoll"},
	    {"repl-diskless-load x", ": disabled, on-empty-db, swapdb"}, {"save 1", "Invalid save parameters"},
	    {"client-output-buffer-limit pubsub 1 2", "Wrong number of arguments"},
	    {"client-output-buffer-limit master 1 2 3", "Invalid client class"},
	    {"client-output-buffer-limit pubsub 1 65gb 3", "Error in hard, soft or soft_seconds"}};
	for (size_t i = 0; i < ARRAY_COUNT(said); i++) {
		struct settings settings;
		char why[256];
		settings_init(&settings);
		cr_assert_eq(settings_parse(&settings, span_text(said[i][0]), why, sizeof(why)), ERR_INVALID);
		cr_expect(strstr(why, said[i][1]) != NULL, "%s: %s", said[i][0], why);
	}
}

Test(settings, each_row_has_a_place_of_its_own)
{
	for (size_t i = 0; i < settings_count; i++)
		for (size_t k = 0; k < i; k++)
			cr_assert(settings_table[i].offset != settings_table[k].offset ||
			    (settings_table[i].flags & SETTING_ALIAS) != 0, "%s %s", settings_table[i].name,
			    settings_table[k].name);
}

/* engine/settings_file.c: settings as a file, in redis.conf's format: one "name value" a
 * line, # for comments, quotes as a shell has them. */
#include "engine/settings.h"

#include "resp/parse.h"

#include <stdio.h>

enum { LINE_BYTES_MAX = 4096, LINE_WORDS_MAX = 64 };

/* Joins the words behind the name with one space: bind and save take several. `why` may point to `trial`. */
static enum err setting_from_words(struct settings *settings, struct settings *trial,
    const struct span *words, uint32_t count, const char **why)
{
	uint8_t joined[LINE_BYTES_MAX];
	size_t len = 0;
	const struct setting *setting = settings_find(words[0]);
	if (setting == NULL) {
		*why = "Bad directive or wrong number of arguments";
		return ERR_INVALID;
	}
	if (count < 2 || (count > 2 && setting->kind != SETTING_TEXT && setting->kind != SETTING_OUTPUT)) {
		*why = "wrong number of arguments";
		return ERR_INVALID;
	}
	for (uint32_t i = 1; i < count; i++) {
		if (i > 1)
			joined[len++] = ' ';
		memcpy(joined + len, words[i].ptr, words[i].len);
		len += words[i].len;
	}
	*trial = *settings;
	enum err err = settings_set(trial, setting, span_of(joined, len), why);
	if (err != OK)
		return err;
	if (setting->flags & SETTING_FIXED) {
		struct settings initial;
		settings_init(&initial);
		if (!settings_equal(&initial, trial, setting)) {
			*why = "this setting has one fixed value here (see conf/tintype.conf)";
			return ERR_INVALID;
		}
	}
	*settings = *trial;
	return OK;
}

static struct span next_line(struct span *text)
{
	const uint8_t *end = memchr(text->ptr, '\n', text->len);
	size_t len = end == NULL ? text->len : (size_t)(end - text->ptr);
	struct span line = span_slice(*text, 0, len);
	*text = span_slice(*text, len + (end != NULL), text->len);
	while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' '))
		line.len--;
	while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		line = span_slice(line, 1, line.len);
	return line;
}

enum err settings_parse(struct settings *settings, struct span text, char *why, size_t why_bytes)
{
	uint8_t scratch[LINE_BYTES_MAX];
	struct span words[LINE_WORDS_MAX];
	struct settings trial;
	for (unsigned number = 1; text.len > 0; number++) {
		struct span line = next_line(&text);
		const char *reason = "line too long or quotes not balanced";
		uint32_t count = 0;
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		enum err err = ERR_INVALID;
		if (line.len < sizeof(scratch))
			err = resp_split_words(line, scratch, words, LINE_WORDS_MAX, &count);
		if (err == OK && count > 0)
			err = setting_from_words(settings, &trial, words, count, &reason);
		if (err != OK) {
			snprintf(why, why_bytes, "line %u: '%.*s': %s", number,
			    (int)(line.len < 80 ? line.len : 80), (const char *)line.ptr, reason);
			return ERR_INVALID;
		}
	}
	return OK;
}

/* Needs no quotes wherever it stands. */
static bool is_plain(uint8_t c)
{
	bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
	return letter || (c >= '0' && c <= '9') || (c != 0 && strchr("._:/-+,@*", c) != NULL);
}

static void append_setting(
    const struct settings *settings, const struct setting *setting, struct buf *out)
{
	buf_printf(out, "%s ", setting->name);
	size_t from = out->len;
	settings_get(settings, setting, out);
	struct span value = span_slice(buf_span(out), from, out->len);
	bool quote = value.len == 0;
	for (size_t i = 0; i < value.len; i++)
		quote |= !is_plain(value.ptr[i]);
	if (quote) {
		out->len = from;
		struct buf copy;
		struct memory memory = {0};
		buf_init(&copy, &memory);
		settings_get(settings, setting, &copy);
		buf_append_u8(out, '"');
		for (size_t i = 0; i < copy.len; i++) {
			if (copy.ptr[i] == '"' || copy.ptr[i] == '\\')
				buf_append_u8(out, '\\');
			if (copy.ptr[i] < 32)
				buf_printf(out, "\\x%02x", copy.ptr[i]);
			else
				buf_append_u8(out, copy.ptr[i]);
		}
		buf_append_u8(out, '"');
		buf_fini(&copy);
	}
	buf_append_u8(out, '\n');
}

/* The setting that a line sets, found as settings_parse would; NULL: none. */
static const struct setting *line_setting(struct span line)
{
	uint8_t scratch[LINE_BYTES_MAX];
	struct span words[LINE_WORDS_MAX];
	uint32_t count = 0;
	if (line.len == 0 || line.len >= sizeof(scratch) ||
	    resp_split_words(line, scratch, words, LINE_WORDS_MAX, &count) != OK || count == 0)
		return NULL;
	return settings_find(words[0]);
}

void settings_rewrite(const struct settings *settings, struct span old, struct buf *out)
{
	bool done[512] = {false};
	struct settings initial;
	settings_init(&initial);
	ASSERT(settings_count <= ARRAY_COUNT(done));
	while (old.len > 0) {
		struct span line = next_line(&old);
		const struct setting *setting = line_setting(line);
		if (setting == NULL || line.ptr[0] == '#') {
			buf_append(out, line);
			buf_append_u8(out, '\n');
			continue;
		}
		size_t at = (size_t)(setting - settings_table);
		if (!done[at])
			append_setting(settings, setting, out);
		done[at] = true;
	}
	for (size_t i = 0; i < settings_count; i++)
		if (!done[i] && (settings_table[i].flags & SETTING_ALIAS) == 0 &&
		    !settings_equal(settings, &initial, &settings_table[i]))
			append_setting(settings, &settings_table[i], out);
}

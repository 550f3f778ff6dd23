/* commands/acl_rules.c: rules from words, and back. See acl.h. */
#include "commands/acl.h"

#include <ctype.h>
#include <stdio.h>

/* Those of commands that are not there stay empty, so that rules written for Redis can be read. */
struct category {
	unsigned    bit;
	const char *name;
};

static const struct category categories[] = {
    {ACL_KEYSPACE, "keyspace"}, {ACL_READ, "read"}, {ACL_WRITE, "write"}, {ACL_SET, "set"},
    {ACL_SORTEDSET, "sortedset"}, {ACL_LIST, "list"}, {ACL_HASH, "hash"}, {ACL_STRING, "string"},
    {ACL_BITMAP, "bitmap"}, {ACL_HYPERLOGLOG, "hyperloglog"}, {ACL_GEO, "geo"}, {ACL_STREAM, "stream"},
    {ACL_IMAGE, "image"}, {ACL_PUBSUB, "pubsub"}, {ACL_ADMIN, "admin"}, {ACL_FAST, "fast"},
    {ACL_SLOW, "slow"}, {ACL_BLOCKING, "blocking"}, {ACL_DANGEROUS, "dangerous"},
    {ACL_CONNECTION, "connection"}, {ACL_TRANSACTION, "transaction"}, {ACL_SCRIPTING, "scripting"}};

static const char unknown_word[] = "Unknown command or category name in ACL";
static const char syntax[] = "Syntax error";

unsigned acl_category(struct span name)
{
	for (size_t i = 0; i < ARRAY_COUNT(categories); i++)
		if (span_is(name, categories[i].name))
			return categories[i].bit;
	return 0;
}

const char *acl_category_name(unsigned at)
{
	return at < ARRAY_COUNT(categories) ? categories[at].name : NULL;
}

/* A command is in @fast or @slow, as its flags say. */
unsigned command_categories(const struct command *command)
{
	unsigned speed = ACL_FAST | ACL_SLOW;
	return (command->acl & ~speed) | ((command->flags & CMD_FAST) ? ACL_FAST : ACL_SLOW);
}

/* ---- Memory ---- */

static struct span keep(struct memory *memory, struct span text)
{
	uint8_t *copy = memory_alloc(memory, text.len + 1);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return span_of(copy, text.len);
}

static void patterns_clear(struct memory *memory, struct acl_patterns *patterns)
{
	for (uint32_t i = 0; i < patterns->count; i++) {
		struct span text = patterns->at[i].text;
		memory_free(memory, (void *)(uintptr_t)text.ptr, text.len + 1);
	}
	memory_free(memory, patterns->at, patterns->cap * sizeof(*patterns->at));
	*patterns = (struct acl_patterns){0};
}

static void patterns_add(
    struct memory *memory, struct acl_patterns *patterns, struct span text, unsigned access)
{
	for (uint32_t i = 0; i < patterns->count; i++) {
		if (!span_equal(patterns->at[i].text, text))
			continue;
		patterns->at[i].access |= access;
		return;
	}
	if (patterns->count == patterns->cap) {
		uint32_t cap = patterns->cap == 0 ? 4 : 2 * patterns->cap;
		patterns->at = memory_resize(memory, patterns->at,
		    patterns->cap * sizeof(*patterns->at), cap * sizeof(*patterns->at));
		patterns->cap = cap;
	}
	patterns->at[patterns->count++] = (struct acl_pattern){access, keep(memory, text)};
}

static void selector_fini(struct memory *memory, struct acl_selector *selector)
{
	patterns_clear(memory, &selector->keys);
	patterns_clear(memory, &selector->channels);
	buf_fini(&selector->words);
}

static struct acl_selector *selector_add(struct acl_rules *rules)
{
	struct memory *memory = &rules->engine->memory.engine;
	if (rules->selector_count == rules->selector_cap) {
		uint32_t cap = rules->selector_cap == 0 ? 1 : 2 * rules->selector_cap;
		rules->selectors = memory_resize(memory, rules->selectors,
		    rules->selector_cap * sizeof(*rules->selectors), cap * sizeof(*rules->selectors));
		rules->selector_cap = cap;
	}
	struct acl_selector *selector = &rules->selectors[rules->selector_count++];
	*selector = (struct acl_selector){0};
	buf_init(&selector->words, memory);
	return selector;
}

struct acl_rules *acl_rules_new(struct engine *engine)
{
	struct acl_rules *rules = memory_zalloc(&engine->memory.engine, sizeof(*rules));
	ASSERT(commands_count <= ACL_COMMANDS_MAX);
	rules->engine = engine;
	(void)selector_add(rules);
	return rules;
}

void acl_rules_free(struct memory *memory, struct acl_rules *rules)
{
	for (uint32_t i = 0; i < rules->selector_count; i++)
		selector_fini(memory, &rules->selectors[i]);
	memory_free(memory, rules->selectors, rules->selector_cap * sizeof(*rules->selectors));
	memory_free(memory, rules->passwords, rules->password_cap * sizeof(*rules->passwords));
	memory_free(memory, rules, sizeof(*rules));
}

/* ---- Commands ---- */

static void selector_set_row(struct acl_selector *selector, size_t row, bool allow)
{
	uint64_t bit = UINT64_C(1) << row % 64;
	if (allow)
		selector->commands[row / 64] |= bit;
	else
		selector->commands[row / 64] &= ~bit;
}

static void selector_set_all(struct acl_selector *selector, bool allow)
{
	memset(selector->commands, allow ? 0xff : 0, sizeof(selector->commands));
	selector->all_commands = allow;
	buf_clear(&selector->words);
}

static bool is_child(const struct command *command, const struct command *parent)
{
	return command->parent != NULL && parent->parent == NULL &&
	    strcmp(command->parent, parent->name) == 0;
}

/* The rules that a new one makes pointless go: of the same name, and of its subcommands. */
static void words_remove(struct acl_selector *selector, struct span name)
{
	struct span left = buf_span(&selector->words);
	struct buf kept;
	buf_init(&kept, selector->words.memory);
	while (left.len > 0) {
		const uint8_t *space = memchr(left.ptr, ' ', left.len);
		size_t len = space == NULL ? left.len : (size_t)(space - left.ptr);
		struct span word = span_slice(left, 0, len), rest = span_slice(word, 1, len);
		left = span_slice(left, len + 1, left.len);
		bool same = span_equal(rest, name) || (rest.len > name.len && rest.ptr[name.len] == '|' &&
		    span_equal(span_slice(rest, 0, name.len), name));
		if (same)
			continue;
		if (kept.len > 0)
			buf_append_u8(&kept, ' ');
		buf_append(&kept, word);
	}
	buf_fini(&selector->words);
	selector->words = kept;
}

static void words_add(struct acl_selector *selector, struct span name, bool allow)
{
	words_remove(selector, name);
	if (selector->words.len > 0)
		buf_append_u8(&selector->words, ' ');
	buf_append_u8(&selector->words, allow ? '+' : '-');
	buf_append(&selector->words, name);
}

static void selector_set_category(
    struct acl_selector *selector, struct span word, unsigned bit, bool allow)
{
	for (size_t row = 0; row < commands_count; row++)
		if (command_categories(&commands_table[row]) & bit)
			selector_set_row(selector, row, allow);
	words_add(selector, word, allow);
}

/* "get", "client|kill", already in lower case. */
static const char *selector_set_command(
    const struct acl_rules *rules, struct acl_selector *selector, struct span name, bool allow)
{
	struct span parts[2] = {name, {0}};
	const uint8_t *bar = name.len == 0 ? NULL : memchr(name.ptr, '|', name.len);
	if (bar != NULL) {
		parts[0].len = (size_t)(bar - name.ptr);
		parts[1] = span_slice(name, parts[0].len + 1, name.len);
	}
	if (bar != NULL && (parts[1].len == 0 || memchr(parts[1].ptr, '|', parts[1].len) != NULL))
		return bar != NULL && parts[1].len > 0
		    ? "Allowing first-arg of a subcommand is not supported" : syntax;
	const struct command *top = command_find(rules->engine, parts, 1);
	if (top == NULL)
		return unknown_word;
	const struct command *command = bar == NULL ? top : command_find(rules->engine, parts, 2);
	if (command == NULL || (bar != NULL && command->parent == NULL))
		return unknown_word;
	selector_set_row(selector, (size_t)(command - commands_table), allow);
	for (size_t row = 0; bar == NULL && row < commands_count; row++)
		if (is_child(&commands_table[row], command))
			selector_set_row(selector, row, allow);
	words_add(selector, name, allow);
	return NULL;
}

static const char *selector_set_commands(
    const struct acl_rules *rules, struct acl_selector *selector, struct span word, bool allow)
{
	char lower[80];
	const char *why = NULL;
	if (word.len == 0 || word.len >= sizeof(lower))
		return unknown_word;
	for (size_t i = 0; i < word.len; i++)
		lower[i] = (char)tolower(word.ptr[i]);
	struct span name = span_of(lower, word.len);
	unsigned bit = lower[0] == '@' ? acl_category(span_slice(name, 1, name.len)) : 0;
	if (span_equal(name, SPAN_LIT("@all")))
		selector_set_all(selector, allow);
	else if (lower[0] == '@' && bit == 0)
		why = unknown_word;
	else if (lower[0] == '@')
		selector_set_category(selector, name, bit, allow);
	else
		why = selector_set_command(rules, selector, name, allow);
	return why;
}

/* ---- Patterns ---- */

static bool has_bad_byte(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (isspace(text.ptr[i]) || text.ptr[i] == 0)
			return true;
	return false;
}

static const char *add_channel(struct memory *memory, struct acl_patterns *channels, struct span text)
{
	if (channels->all)
		return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does "
		       "not have any effect. Try 'resetchannels' to start with an empty list of channels";
	if (has_bad_byte(text))
		return syntax;
	if (span_equal(text, SPAN_LIT("*"))) {
		patterns_clear(memory, channels);
		channels->all = true;
		return NULL;
	}
	patterns_add(memory, channels, text, 0);
	return NULL;
}

static const char *add_key(
    struct memory *memory, struct acl_patterns *keys, struct span text, unsigned access)
{
	if (keys->all)
		return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not "
		       "have any effect. Try 'resetkeys' to start with an empty list of patterns";
	if (has_bad_byte(text))
		return syntax;
	if (span_equal(text, SPAN_LIT("*")) && access == (KEY_READ | KEY_WRITE)) {
		patterns_clear(memory, keys);
		keys->all = true;
		return NULL;
	}
	patterns_add(memory, keys, text, access);
	return NULL;
}

/* "%R~x", "%RW~x". */
static const char *add_key_with(struct memory *memory, struct acl_patterns *keys, struct span word)
{
	unsigned access = 0;
	size_t at = 1;
	for (; at < word.len && word.ptr[at] != '~'; at++) {
		int c = toupper(word.ptr[at]);
		unsigned bit = c == 'R' ? KEY_READ : c == 'W' ? KEY_WRITE : 0;
		if (bit == 0 || (access & bit) != 0)
			return syntax;
		access |= bit;
	}
	if (at == word.len || access == 0)
		return syntax;
	return add_key(memory, keys, span_slice(word, at + 1, word.len), access);
}

/* ---- Selectors ---- */

/* A word about commands, keys or channels. NULL: done; `syntax` too if it is none of these. */
static const char *selector_set(
    const struct acl_rules *rules, struct acl_selector *selector, struct span word)
{
	struct memory *memory = &rules->engine->memory.engine;
	struct span rest = span_slice(word, 1, word.len), star = SPAN_LIT("*");
	unsigned both = KEY_READ | KEY_WRITE;
	if (span_is(word, "allkeys")) {
		patterns_clear(memory, &selector->keys);
		return add_key(memory, &selector->keys, star, both);
	}
	if (span_is(word, "resetkeys")) {
		patterns_clear(memory, &selector->keys);
	} else if (span_is(word, "allchannels")) {
		patterns_clear(memory, &selector->channels);
		return add_channel(memory, &selector->channels, star);
	} else if (span_is(word, "resetchannels")) {
		patterns_clear(memory, &selector->channels);
	} else if (span_is(word, "allcommands")) {
		selector_set_all(selector, true);
	} else if (span_is(word, "nocommands")) {
		selector_set_all(selector, false);
	} else if (word.len > 0 && word.ptr[0] == '~') {
		if (span_equal(rest, star))
			patterns_clear(memory, &selector->keys);
		return add_key(memory, &selector->keys, rest, both);
	} else if (word.len > 0 && word.ptr[0] == '%') {
		return add_key_with(memory, &selector->keys, word);
	} else if (word.len > 0 && word.ptr[0] == '&') {
		if (span_equal(rest, star))
			patterns_clear(memory, &selector->channels);
		return add_channel(memory, &selector->channels, rest);
	} else if (word.len > 0 && (word.ptr[0] == '+' || word.ptr[0] == '-')) {
		return selector_set_commands(rules, selector, rest, word.ptr[0] == '+');
	} else {
		return syntax;
	}
	return NULL;
}

static struct span next_word(struct span *left)
{
	while (left->len > 0 && left->ptr[0] == ' ')
		*left = span_slice(*left, 1, left->len);
	const uint8_t *space = left->len == 0 ? NULL : memchr(left->ptr, ' ', left->len);
	size_t len = space == NULL ? left->len : (size_t)(space - left->ptr);
	struct span word = span_slice(*left, 0, len);
	*left = span_slice(*left, len, left->len);
	return word;
}

static const char *add_selector(struct acl_rules *rules, struct span inside)
{
	struct acl_selector *selector = selector_add(rules);
	const char *why = NULL;
	for (struct span word = next_word(&inside); word.len > 0 && why == NULL; word = next_word(&inside))
		why = selector_set(rules, selector, word);
	if (why == NULL)
		return NULL;
	selector_fini(&rules->engine->memory.engine, selector);
	rules->selector_count--;
	return why;
}

static void clear_selectors(struct acl_rules *rules)
{
	while (rules->selector_count > 1)
		selector_fini(&rules->engine->memory.engine, &rules->selectors[--rules->selector_count]);
}

/* ---- Passwords ---- */

static bool is_hash(struct span text)
{
	if (text.len != PASSWORD_HEX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (memchr("0123456789abcdef", text.ptr[i], 16) == NULL)
			return false;
	return true;
}

static uint32_t find_password(const struct acl_rules *rules, const char *hex)
{
	uint32_t at = 0;
	while (at < rules->password_count && strcmp(rules->passwords[at], hex) != 0)
		at++;
	return at;
}

static void add_password(struct acl_rules *rules, const char *hex)
{
	rules->no_password = false;
	if (find_password(rules, hex) < rules->password_count)
		return;
	if (rules->password_count == rules->password_cap) {
		uint32_t cap = rules->password_cap == 0 ? 2 : 2 * rules->password_cap;
		rules->passwords = memory_resize(&rules->engine->memory.engine, rules->passwords,
		    rules->password_cap * sizeof(*rules->passwords), cap * sizeof(*rules->passwords));
		rules->password_cap = cap;
	}
	memcpy(rules->passwords[rules->password_count++], hex, PASSWORD_HEX + 1);
}

static const char *set_password(struct acl_rules *rules, struct span word)
{
	char hex[PASSWORD_HEX + 1] = "";
	struct span rest = span_slice(word, 1, word.len);
	uint8_t sign = word.ptr[0];
	if (sign == '>' || sign == '<') {
		password_hex(rest, hex);
	} else if (!is_hash(rest)) {
		return "The password hash must be exactly 64 characters and contain only lowercase "
		       "hexadecimal characters";
	} else {
		memcpy(hex, rest.ptr, PASSWORD_HEX);
	}
	if (sign == '>' || sign == '#') {
		add_password(rules, hex);
		return NULL;
	}
	uint32_t at = find_password(rules, hex);
	if (at == rules->password_count)
		return "The password you are trying to remove from the user does not exist";
	memmove(rules->passwords + at, rules->passwords + at + 1,
	    (--rules->password_count - at) * sizeof(*rules->passwords));
	return NULL;
}

/* ---- A user ---- */

static void rules_reset(struct acl_rules *rules)
{
	struct memory *memory = &rules->engine->memory.engine;
	clear_selectors(rules);
	patterns_clear(memory, &rules->selectors[0].keys);
	patterns_clear(memory, &rules->selectors[0].channels);
	selector_set_all(&rules->selectors[0], false);
	rules->password_count = 0;
	rules->is_on = rules->no_password = rules->skips_sanitizing = false;
}

bool acl_rules_set(struct acl_rules *rules, struct span word, const char **why)
{
	*why = NULL;
	if (span_is(word, "on")) {
		rules->is_on = true;
	} else if (span_is(word, "off")) {
		rules->is_on = false;
	} else if (span_is(word, "nopass")) {
		rules->no_password = true;
		rules->password_count = 0;
	} else if (span_is(word, "resetpass")) {
		rules->no_password = false;
		rules->password_count = 0;
	} else if (span_is(word, "skip-sanitize-payload")) {
		rules->skips_sanitizing = true;
	} else if (span_is(word, "sanitize-payload")) {
		rules->skips_sanitizing = false;
	} else if (span_is(word, "reset")) {
		rules_reset(rules);
	} else if (span_is(word, "clearselectors")) {
		clear_selectors(rules);
	} else if (word.len > 1 && word.ptr[0] == '(' && word.ptr[word.len - 1] == ')') {
		*why = add_selector(rules, span_slice(word, 1, word.len - 2));
	} else if (word.len > 0 && memchr("><#!", word.ptr[0], 4) != NULL) {
		*why = set_password(rules, word);
	} else {
		*why = selector_set(rules, &rules->selectors[0], word);
	}
	return *why == NULL;
}

bool acl_join_words(
    const struct span *words, uint32_t count, struct buf *joined, struct buf *out, struct span *bad)
{
	/* Spans into `joined` would move: offsets come first, and room for all of it. */
	size_t bytes = count;
	for (uint32_t i = 0; i < count; i++)
		bytes += words[i].len;
	buf_reserve(joined, bytes);
	for (uint32_t i = 0; i < count; i++) {
		struct span word = words[i];
		bool opens = word.len > 0 && word.ptr[0] == '(' && word.ptr[word.len - 1] != ')';
		size_t from = joined->len;
		*bad = word;
		while (opens) {
			buf_append(joined, words[i]);
			opens = words[i].len == 0 || words[i].ptr[words[i].len - 1] != ')';
			if (opens && ++i == count)
				return false;
			if (opens)
				buf_append_u8(joined, ' ');
			else
				word = span_of(joined->ptr + from, joined->len - from);
		}
		buf_append(out, span_of(&word, sizeof(word)));
	}
	return true;
}

bool acl_rules_parse(struct acl_rules *rules, struct span text, const char **why)
{
	*why = NULL;
	while (text.len > 0) {
		struct span word = next_word(&text);
		const uint8_t *end = word.len > 0 && word.ptr[0] == '(' && word.ptr[word.len - 1] != ')'
		    ? memchr(word.ptr, ')', word.len + text.len) : NULL;
		if (end != NULL) {
			size_t len = (size_t)(end - word.ptr) + 1;
			text = span_slice(span_of(word.ptr, word.len + text.len), len, word.len + text.len);
			word.len = len;
		}
		if (word.len > 0 && !acl_rules_set(rules, word, why))
			return false;
	}
	return true;
}

/* ---- And back ---- */

void acl_describe_patterns(const struct acl_patterns *patterns, char sign, struct buf *out)
{
	if (patterns->all)
		buf_printf(out, "%c*", sign);
	for (uint32_t i = 0; i < patterns->count; i++) {
		const struct acl_pattern *pattern = &patterns->at[i];
		if (i > 0)
			buf_append_u8(out, ' ');
		if (pattern->access == KEY_READ)
			buf_append_text(out, "%R");
		else if (pattern->access == KEY_WRITE)
			buf_append_text(out, "%W");
		buf_append_u8(out, (uint8_t)sign);
		buf_append(out, pattern->text);
	}
}

void acl_describe_commands(const struct acl_selector *selector, struct buf *out)
{
	buf_append_text(out, selector->all_commands ? "+@all" : "-@all");
	if (selector->words.len > 0)
		buf_append_u8(out, ' ');
	buf_append(out, buf_span(&selector->words));
}

static void describe_selector(const struct acl_selector *selector, struct buf *out)
{
	size_t before = out->len;
	acl_describe_patterns(&selector->keys, '~', out);
	if (out->len > before)
		buf_append_u8(out, ' ');
	if (!selector->channels.all)
		buf_append_text(out, "resetchannels ");
	before = out->len;
	acl_describe_patterns(&selector->channels, '&', out);
	if (out->len > before)
		buf_append_u8(out, ' ');
	acl_describe_commands(selector, out);
}

void acl_describe(const struct acl_rules *rules, struct buf *out)
{
	buf_append_text(out, rules->is_on ? "on " : "off ");
	if (rules->no_password)
		buf_append_text(out, "nopass ");
	buf_append_text(out, rules->skips_sanitizing ? "skip-sanitize-payload " : "sanitize-payload ");
	for (uint32_t i = 0; i < rules->password_count; i++)
		buf_printf(out, "#%s ", rules->passwords[i]);
	describe_selector(&rules->selectors[0], out);
	for (uint32_t i = 1; i < rules->selector_count; i++) {
		buf_append_text(out, " (");
		describe_selector(&rules->selectors[i], out);
		buf_append_u8(out, ')');
	}
}

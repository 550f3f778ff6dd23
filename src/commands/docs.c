/* commands/docs.c: the syntax of a command, as the tree of arguments that COMMAND DOCS tells and from
 * which redis-cli makes its hints.
 *
 * A syntax has words in capitals (said as they stand), names, [what may be left out], a|b, and "..." behind
 * what may be said again: "key [key ...]", "field value [field value ...]", "[ATTR field value]...".
 */
#include "commands/handlers.h"

enum { PARTS_MAX = 48 };

enum { DOC_OPTIONAL = 1, DOC_MULTIPLE = 2 };

/* Parts of a syntax that stand beside each other. */
struct parts {
	struct span at[PARTS_MAX];
	unsigned    flags[PARTS_MAX];
	size_t      count;
};

static void reply_group(struct call *call, struct span text, unsigned flags);

static struct span trim(struct span text)
{
	while (text.len > 0 && text.ptr[0] == ' ')
		text = span_slice(text, 1, text.len);
	while (text.len > 0 && text.ptr[text.len - 1] == ' ')
		text.len--;
	return text;
}

static bool ends_with_dots(struct span text)
{
	return text.len >= 3 && memcmp(text.ptr + text.len - 3, "...", 3) == 0;
}

/* Cuts the text at each `mark` that stands outside of brackets. */
static void cut(struct span text, char mark, struct parts *out)
{
	int depth = 0;
	size_t from = 0;
	*out = (struct parts){.count = 0};
	for (size_t i = 0; i <= text.len; i++) {
		char c = i < text.len ? (char)text.ptr[i] : mark;
		depth += (c == '[' || c == '<') - (c == ']' || c == '>');
		if (c != mark || (depth > 0 && i < text.len))
			continue;
		struct span part = trim(span_slice(text, from, i - from));
		from = i + 1;
		if (part.len > 0 && out->count < PARTS_MAX)
			out->at[out->count++] = part;
	}
}

static bool is_token(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
			return false;
	return true;
}

static bool is_name(struct span word)
{
	return !is_token(word) && word.ptr[0] != '[' && !ends_with_dots(word) &&
	    memchr(word.ptr, '|', word.len) == NULL;
}

static const char *type_of(struct span name)
{
	static const char *const keys[] = {
	    "key", "newkey", "source", "destination", "dst", "src", "key1", "key2", "destkey"};
	static const char *const numbers[] = {"n", "count", "index", "start", "stop", "end", "offset", "seconds",
	    "milliseconds", "s", "ms", "cursor", "numkeys", "db", "rank", "width", "height", "limit", "increment"};
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
		if (span_is(name, keys[i]))
			return "key";
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		if (span_is(name, numbers[i]))
			return "integer";
	return span_is(name, "pattern") ? "pattern" : "string";
}

/* One argument up to its own arguments, which follow if it has any. */
static void reply_head(
    struct call *call, struct span name, const char *type, struct span token, unsigned flags)
{
	bool multiple_token = (flags & DOC_MULTIPLE) != 0 && token.len > 0;
	bool nested = strcmp(type, "oneof") == 0 || strcmp(type, "block") == 0;
	reply_map(call->reply, (size_t)2 + (token.len > 0) + (flags != 0) + nested);
	reply_text(call->reply, "name");
	reply_bulk(call->reply, name);
	reply_text(call->reply, "type");
	reply_text(call->reply, type);
	if (token.len > 0) {
		reply_text(call->reply, "token");
		reply_bulk(call->reply, token);
	}
	if (flags != 0) {
		reply_text(call->reply, "flags");
		reply_set(call->reply, (size_t)((flags & DOC_OPTIONAL) != 0) + ((flags & DOC_MULTIPLE) != 0) +
		    multiple_token);
		if (flags & DOC_OPTIONAL)
			reply_status(call->reply, "optional");
		if (flags & DOC_MULTIPLE)
			reply_status(call->reply, "multiple");
		if (multiple_token)
			reply_status(call->reply, "multiple_token");
	}
	if (nested)
		reply_text(call->reply, "arguments");
}

/* "[a b]", "<a | b>" or a word, without what stands around it. */
static struct span unwrap(struct span part, unsigned *flags)
{
	*flags = 0;
	if (part.len > 3 && ends_with_dots(part)) {
		*flags |= DOC_MULTIPLE;
		part = trim(span_slice(part, 0, part.len - 3));
	}
	if (part.len > 2 && (part.ptr[0] == '[' || part.ptr[0] == '<')) {
		*flags |= part.ptr[0] == '[' ? DOC_OPTIONAL : 0;
		part = trim(span_slice(part, 1, part.len - 2));
	}
	/* Dots at the end of a word are of that word; with a blank before them, of all. */
	bool of_all = part.len > 4 && part.ptr[part.len - 4] == ' ';
	if (part.len > 3 && ends_with_dots(part) && (of_all || memchr(part.ptr, ' ', part.len) == NULL)) {
		*flags |= DOC_MULTIPLE;
		part = trim(span_slice(part, 0, part.len - 3));
	}
	return part;
}

/* Puts what stands before "[the same ...]" into one part that may be said again. */
static void join_repeated(struct parts *parts)
{
	size_t kept = 0;
	for (size_t i = 0; i < parts->count; i++) {
		unsigned flags;
		struct span text = unwrap(parts->at[i], &flags);
		size_t from = kept;
		while (flags == (DOC_OPTIONAL | DOC_MULTIPLE) && from > 0) {
			struct span first = parts->at[from - 1], last = parts->at[kept - 1];
			struct span before = span_of(first.ptr, (size_t)(last.ptr + last.len - first.ptr));
			from--;
			if (!span_equal(before, text))
				continue;
			parts->at[from] = before;
			parts->flags[from] = DOC_MULTIPLE;
			kept = from + 1;
			flags = 0;
			text.len = 0;
		}
		if (text.len == 0)
			continue;
		parts->at[kept] = text;
		parts->flags[kept++] = flags;
	}
	parts->count = kept;
}

static void reply_sequence(struct call *call, struct span text)
{
	struct parts parts;
	cut(text, ' ', &parts);
	/* "[a] ..." with a blank before its dots. */
	for (size_t i = 1; i < parts.count; i++) {
		if (!span_equal(parts.at[i], SPAN_LIT("...")))
			continue;
		parts.at[i - 1].len = (size_t)(parts.at[i].ptr + 3 - parts.at[i - 1].ptr);
		memmove(&parts.at[i], &parts.at[i + 1], (parts.count - i - 1) * sizeof(parts.at[0]));
		parts.count--;
	}
	join_repeated(&parts);
	reply_array(call->reply, parts.count);
	for (size_t i = 0; i < parts.count; i++)
		reply_group(call, parts.at[i], parts.flags[i]);
}

/* What stands between brackets, or one word. */
static void reply_group(struct call *call, struct span text, unsigned flags)
{
	struct parts parts;
	cut(text, '|', &parts);
	if (parts.count > 1) {
		reply_head(call, SPAN_LIT("choice"), "oneof", (struct span){0}, flags);
		reply_array(call->reply, parts.count);
		for (size_t i = 0; i < parts.count; i++)
			reply_group(call, parts.at[i], 0);
		return;
	}
	cut(text, ' ', &parts);
	struct span first = parts.at[0];
	if (parts.count == 1 && (first.ptr[0] == '[' || first.ptr[0] == '<')) {
		unsigned own;
		struct span inner = unwrap(first, &own);
		reply_group(call, inner, own | flags);
	} else if (parts.count == 1) {
		struct span none = {0};
		if (is_token(first))
			reply_head(call, first, "pure-token", first, flags);
		else
			reply_head(call, first, type_of(first), none, flags);
	} else if (parts.count == 2 && is_token(first) && is_name(parts.at[1])) {
		reply_head(call, parts.at[1], type_of(parts.at[1]), first, flags);
	} else {
		bool token = is_token(first) && memchr(first.ptr, '|', first.len) == NULL;
		reply_head(call, SPAN_LIT("block"), "block", token ? first : (struct span){0}, flags);
		reply_sequence(call, token ? trim(span_slice(text, first.len, text.len)) : text);
	}
}

void reply_arguments(struct call *call, const char *syntax)
{
	struct span text = span_text(syntax);
	struct parts parts;
	cut(text, '|', &parts);
	if (parts.count > 1 && memchr(text.ptr, ' ', text.len) != NULL && strstr(syntax, " | ") != NULL) {
		reply_array(call->reply, 1);
		reply_group(call, text, 0);
	} else {
		reply_sequence(call, text);
	}
}

/* commands/acl_file.c: aclfile: users in a file, as Redis writes them: one "user NAME rules" a line.
 *
 * The file counts at the start and with ACL LOAD: then the users are those of the file, and the log is
 * told. If any line is wrong nothing changes.
 */
#include "commands/acl.h"

#include "commands/handlers.h"

#include <stdio.h>

enum { ACL_FILE_MAX = 16 << 20, WHY_MAX = ACL_WHY_MAX };

struct line {
	struct span name;
	struct buf  text;
};

struct lines {
	struct engine *engine;
	struct line   *at;
	uint32_t       count, cap;
};

static void lines_fini(struct lines *lines)
{
	for (uint32_t i = 0; i < lines->count; i++)
		buf_fini(&lines->at[i].text);
	memory_free(&lines->engine->memory.engine, lines->at, lines->cap * sizeof(*lines->at));
}

static struct span trimmed(struct span text)
{
	while (text.len > 0 && text.ptr[text.len - 1] <= ' ')
		text.len--;
	while (text.len > 0 && text.ptr[0] <= ' ')
		text = span_slice(text, 1, text.len);
	return text;
}

static bool is_new_name(const struct lines *lines, struct span name)
{
	for (uint32_t i = 0; i < lines->count; i++)
		if (span_equal(lines->at[i].name, name))
			return false;
	return name.len > 0 && name.len <= USER_NAME_MAX;
}

/* "user NAME rules". NULL: taken. */
static const char *take_line(struct lines *lines, struct span text)
{
	struct memory *memory = &lines->engine->memory.engine;
	const struct span word = SPAN_LIT("user ");
	const char *why = NULL;
	if (!span_equal(span_slice(text, 0, word.len), word))
		return "should start with user keyword";
	text = trimmed(span_slice(text, word.len, text.len));
	const uint8_t *space = text.len == 0 ? NULL : memchr(text.ptr, ' ', text.len);
	struct span name = space == NULL ? text : span_slice(text, 0, (size_t)(space - text.ptr));
	if (!is_new_name(lines, name))
		return "a user's name is missing, too long, or there already";
	struct acl_rules *rules = acl_rules_new(lines->engine);
	if (acl_rules_parse(rules, span_slice(text, name.len, text.len), &why)) {
		if (lines->count == lines->cap) {
			uint32_t cap = lines->cap == 0 ? 8 : 2 * lines->cap;
			lines->at = memory_resize(memory, lines->at, lines->cap * sizeof(*lines->at),
			    cap * sizeof(*lines->at));
			lines->cap = cap;
		}
		struct line *line = &lines->at[lines->count++];
		line->name = name;
		buf_init(&line->text, memory);
		acl_describe(rules, &line->text);
	}
	acl_rules_free(memory, rules);
	return why;
}

static enum err parse_file(struct lines *lines, struct span file, const char *path, char *why)
{
	unsigned number = 0;
	while (file.len > 0) {
		const uint8_t *end = memchr(file.ptr, '\n', file.len);
		size_t len = end == NULL ? file.len : (size_t)(end - file.ptr);
		struct span text = trimmed(span_slice(file, 0, len));
		file = span_slice(file, end == NULL ? len : len + 1, file.len);
		number++;
		if (text.len == 0 || text.ptr[0] == '#')
			continue;
		const char *wrong = take_line(lines, text);
		if (wrong == NULL)
			continue;
		snprintf(why, WHY_MAX, "%s:%u: %s", path, number, wrong);
		return ERR_INVALID;
	}
	return OK;
}

static bool is_listed(const struct lines *lines, struct span name)
{
	for (uint32_t i = 0; i < lines->count; i++)
		if (span_equal(lines->at[i].name, name))
			return true;
	return false;
}

/* The users are those of the file; "default" is what it is unless the file has it. */
static enum err install(struct lines *lines, uint64_t *lsn)
{
	struct engine *engine = lines->engine;
	struct users *users = engine->users;
	enum err err = OK;
	for (struct list *at = users->all.next; at != &users->all && err == OK;) {
		struct user *user = LIST_OF(at, struct user, link);
		at = at->next;
		if (user == users->first || is_listed(lines, user->name))
			continue;
		user_ref(user);
		err = users_delete(engine, user, lsn);
		if (err == OK)
			acl_close_sessions(engine, user);
		user_unref(engine, user);
	}
	for (uint32_t i = 0; i < lines->count && err == OK; i++) {
		struct user *user = users_find(engine, lines->at[i].name);
		struct span text = buf_span(&lines->at[i].text);
		if (user != NULL && span_equal(user->text, text))
			continue;
		err = users_set(engine, lines->at[i].name, text, lsn);
		if (err == OK)
			acl_close_listeners(engine, users_find(engine, lines->at[i].name));
	}
	return err;
}

enum err acl_load_file(struct engine *engine, char *why, uint64_t *lsn)
{
	const char *path = engine->settings->aclfile;
	struct lines lines = {.engine = engine};
	struct buf file;
	buf_init(&file, &engine->memory.engine);
	enum err err = io_load_file(engine->io, path, ACL_FILE_MAX, &file);
	snprintf(why, WHY_MAX, "%s: %s", path, err_name(err));
	if (err == OK)
		err = parse_file(&lines, buf_span(&file), path, why);
	if (err == OK) {
		err = install(&lines, lsn);
		snprintf(why, WHY_MAX, "the log does not take it: %s", err_name(err));
	}
	lines_fini(&lines);
	buf_fini(&file);
	return err;
}

/* False: an error was replied. */
static bool has_file(struct call *call)
{
	if (call->engine->settings->aclfile[0] != 0)
		return true;
	call_error(call, "ERR This server is not configured to use an ACL file: set aclfile. Users are kept in "
	    "the log.");
	return false;
}

void cmd_acl_load(struct call *call)
{
	char why[WHY_MAX];
	uint64_t lsn = 0;
	if (!has_file(call))
		return;
	if (acl_load_file(call->engine, why, &lsn) != OK) {
		call_error(call, "ERR %s", why);
		return;
	}
	if (call->gate < lsn)
		call->gate = lsn;
	reply_ok(call->reply);
}

void cmd_acl_save(struct call *call)
{
	const struct users *users = call->engine->users;
	struct buf text;
	if (!has_file(call))
		return;
	buf_init(&text, &call->engine->memory.engine);
	for (struct list *at = users->all.next; at != &users->all; at = at->next) {
		acl_user_line(LIST_OF(at, struct user, link), &text);
		buf_append_u8(&text, '\n');
	}
	enum err err = io_save_file(call->engine->io, call->engine->settings->aclfile, buf_span(&text));
	buf_fini(&text);
	if (err == OK)
		reply_ok(call->reply);
	else
		call_error(call, "ERR There was an error trying to save the ACLs: %s", err_name(err));
}

/* commands/image_index.c: IMG.INDEX: what attributes are, where that is not left to their
 * values. */
#include "commands/image.h"

#include "engine/index/fields.h"
#include "search/declare.h"

/* TYPE type [SORTABLE] from argv[3] on. False: an error was replied. */
static bool parse_declaration(struct call *call, struct field_declaration *declaration)
{
	bool has_type = false;
	for (uint32_t at = 3; at < call->argc; at++) {
		struct span word = call->argv[at];
		if (span_is(word, "SORTABLE") && !declaration->sortable) {
			declaration->sortable = true;
			continue;
		}
		if (!span_is(word, "TYPE") || has_type || ++at == call->argc) {
			reply_syntax_error(call);
			return false;
		}
		has_type = true;
		if (field_type_parse(call->argv[at], &declaration->type) &&
		    declaration->type != FIELD_TYPE_WORDS)
			continue;
		call_error(call, "ERR TYPE is one of text, tag, numeric, date, geo, bool");
		return false;
	}
	if (!has_type)
		reply_syntax_error(call);
	return has_type;
}

static bool name_is_good(struct call *call, struct span name)
{
	bool good = name.len > 0 && name.len <= ATTR_NAME_MAX;
	for (size_t i = 0; good && i < name.len; i++)
		good = name.ptr[i] > ' ' && name.ptr[i] != 0x7f;
	if (!good)
		call_error(call, "ERR a field's name has 1 to %d bytes and no blanks", ATTR_NAME_MAX);
	else if (index_field_is_built_in(name))
		call_error(call, "ERR the field '%.*s' is built in", (int)name.len,
		    (const char *)name.ptr);
	return good && !index_field_is_built_in(name);
}

static void reply_change(struct call *call, enum err err, uint64_t lsn, struct span name)
{
	if (err == ERR_TOOLARGE) {
		call_error(call, "TOOLARGE at most %d fields a database", FIELDS_PER_DATABASE_MAX);
	} else if (err == ERR_FULL) {
		call_error(call, "TOOLARGE at most %d text fields a database", FIELD_TEXTS_MAX);
	} else if (err == ERR_NOTFOUND) {
		reply_int(call->reply, 0);
	} else if (err != OK) {
		call_fail(call, err, name);
	} else {
		call->gate = lsn > call->gate ? lsn : call->gate;
		reply_int(call->reply, 1);
	}
}

void cmd_index_add(struct call *call)
{
	struct field_declaration declaration = {.db = call->session->db};
	struct span name = call->argv[2];
	uint64_t lsn = 0;
	if (!parse_declaration(call, &declaration) || !name_is_good(call, name))
		return;
	memcpy(declaration.name, name.ptr, name.len);
	declaration.name_len = (uint32_t)name.len;
	reply_change(call, fields_add(call->engine, &declaration, &lsn), lsn, name);
}

void cmd_index_del(struct call *call)
{
	uint64_t lsn = 0;
	enum err err = fields_delete(call->engine, call->session->db, call->argv[2], &lsn);
	reply_change(call, err, lsn, call->argv[2]);
}

static bool is_attribute(const struct field_declaration *one, uint8_t db)
{
	return one->db == db && one->type != FIELD_TYPE_WORDS;
}

void cmd_index_list(struct call *call)
{
	const struct list *all = fields_list(call->engine);
	uint8_t db = call->session->db;
	size_t count = 0;
	for (struct list *at = all->next; at != all; at = at->next)
		count += is_attribute(LIST_OF(at, struct field_declaration, link), db);
	reply_array(call->reply, count);
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		if (!is_attribute(one, db))
			continue;
		reply_map(call->reply, 4);
		reply_text(call->reply, "field");
		reply_bulk(call->reply, span_of(one->name, one->name_len));
		reply_text(call->reply, "type");
		reply_text(call->reply, field_type_name(one->type));
		reply_text(call->reply, "sortable");
		reply_bool(call->reply, one->sortable);
		reply_text(call->reply, "left");
		reply_int(call->reply, (int64_t)fields_left(call->engine, db));
	}
}

/* commands/keys.c: commands on keys of any type. */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/glob.h"
#include "base/number.h"
#include "engine/collection/collection.h"
#include "engine/databases.h"
#include "engine/evict.h"
#include "engine/internal.h"
#include "engine/pubsub.h"

void cmd_del(struct call *call)
{
	int64_t count = 0;
	for (uint32_t i = 1; i < call->argc; i++) {
		struct entry *entry = call_lookup_write(call, call->argv[i]);
		if (entry == NULL)
			continue;
		enum err err = call_delete(call, entry);
		if (err != OK) {
			call_fail(call, err, call->argv[i]);
			return;
		}
		count++;
		call_notify(call, NOTIFY_GENERIC, "del", call->argv[i]);
	}
	reply_int(call->reply, count);
}

static void count_keys(
    struct call *call, struct entry *(*lookup)(struct call *call, struct span key))
{
	int64_t count = 0;
	for (uint32_t i = 1; i < call->argc; i++)
		count += lookup(call, call->argv[i]) != NULL;
	reply_int(call->reply, count);
}

void cmd_exists(struct call *call)
{
	count_keys(call, call_lookup_quiet);
}

void cmd_touch(struct call *call)
{
	count_keys(call, call_lookup_read);
}

static const char *type_name(const struct entry *entry)
{
	static const char *const names[ENTRY_TYPE_COUNT] = {[ENTRY_IMAGE] = "image",
	    [ENTRY_STRING] = "string", [ENTRY_HASH] = "hash", [ENTRY_LIST] = "list",
	    [ENTRY_SET] = "set", [ENTRY_ZSET] = "zset"};
	return names[entry->type];
}

void cmd_type(struct call *call)
{
	struct entry *entry = call_lookup_quiet(call, call->argv[1]);
	reply_status(call->reply, entry == NULL ? "none" : type_name(entry));
}

/* True: the entry goes by that name already and there is nothing to do. */
static struct entry *rename_source(struct call *call)
{
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (entry == NULL)
		call_error(call, "ERR no such key");
	return entry;
}

static void rename_generic(struct call *call, bool only_new)
{
	struct entry *from = rename_source(call);
	if (from == NULL)
		return;
	bool same = span_equal(call->argv[1], call->argv[2]);
	bool taken = same || (only_new && call_lookup_write(call, call->argv[2]) != NULL);
	if (only_new && taken) {
		reply_int(call->reply, 0);
		return;
	}
	bool replaces = !same && call_lookup_quiet(call, call->argv[2]) != NULL;
	enum err err = same ? OK : call_rename(call, from, call->argv[2], call->session->db);
	if (err == ERR_AGAIN && call->parked)
		return;
	if (err == OK && !same) {
		if (replaces)                 /* to Redis, it was deleted first */
			call_notify(call, NOTIFY_NEW, "new", call->argv[2]);
		call_notify(call, NOTIFY_GENERIC, "rename_from", call->argv[1]);
		call_notify(call, NOTIFY_GENERIC, "rename_to", call->argv[2]);
	}
	if (err != OK)
		call_fail(call, err, call->argv[1]);
	else if (only_new)
		reply_int(call->reply, 1);
	else
		reply_ok(call->reply);
}

void cmd_rename(struct call *call)
{
	rename_generic(call, false);
}

void cmd_renamenx(struct call *call)
{
	rename_generic(call, true);
}

static bool parse_copy(struct call *call, uint8_t *db, bool *replace)
{
	*db = call->session->db;
	*replace = false;
	for (uint32_t i = 3; i < call->argc; i++) {
		if (span_is(call->argv[i], "REPLACE")) {
			*replace = true;
		} else if (span_is(call->argv[i], "DB") && i + 1 < call->argc) {
			if (!parse_database(call, call->argv[++i], db))
				return false;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* Is there such a key in that database? */
static bool key_is_in(struct call *call, struct span key, uint8_t db)
{
	uint8_t own = call->session->db;
	bool has_hash = call->has_hash;
	call->session->db = db;
	call->has_hash = false;
	bool there = call_lookup_quiet(call, key) != NULL;
	call->session->db = own;
	call->has_hash = has_hash;
	return there;
}

void cmd_move(struct call *call)
{
	struct span key = call->argv[1];
	uint8_t db, own = call->session->db;
	if (!parse_database(call, call->argv[2], &db))
		return;
	if (db == own) {
		call_error(call, "ERR source and destination objects are the same");
		return;
	}
	struct entry *from = call_lookup_write(call, key);
	if (from == NULL || key_is_in(call, key, db)) {
		reply_int(call->reply, 0);
		return;
	}
	enum err err = call_rename(call, from, key, db);
	if (err == ERR_AGAIN && call->parked)
		return;
	if (err != OK) {
		call_fail(call, err, key);
		return;
	}
	notify(call->engine, NOTIFY_NEW, "new", db, key);
	notify(call->engine, NOTIFY_GENERIC, "move_from", own, key);
	notify(call->engine, NOTIFY_GENERIC, "move_to", db, key);
	reply_int(call->reply, 1);
}

void cmd_copy(struct call *call)
{
	uint8_t db;
	bool replace;
	if (!parse_copy(call, &db, &replace))
		return;
	if (db == call->session->db && span_equal(call->argv[1], call->argv[2])) {
		call_error(call, "ERR source and destination objects are the same");
		return;
	}
	struct entry *from = call_lookup_read(call, call->argv[1]);
	if (from == NULL) {
		reply_int(call->reply, 0);
		return;
	}
	bool taken = key_is_in(call, call->argv[2], db);
	if (taken && !replace) {
		reply_int(call->reply, 0);
		return;
	}
	enum err err = call_copy(call, from, call->argv[2], db);
	if (err == ERR_AGAIN && call->parked)
		return;
	if (err == OK && taken)
		notify(call->engine, NOTIFY_NEW, "new", db, call->argv[2]);
	if (err == OK)
		notify(call->engine, NOTIFY_GENERIC, "copy_to", db, call->argv[2]);
	if (err != OK)
		call_fail(call, err, call->argv[1]);
	else
		reply_int(call->reply, 1);
}

/* Keys found by a walk through the directory, filtered. */
struct found {
	struct call *call;
	struct scan_words words;
	size_t       count, cap;
	struct entry **entries;
};

static void found_each(void *ctx, struct entry *entry)
{
	struct found *found = ctx;
	struct engine *engine = found->call->engine;
	uint64_t at_ms = entry_expire_ms(entry);
	if (at_ms != 0 && at_ms <= engine_now_ms(engine))
		return;
	if (found->words.type.ptr != NULL && !span_is(found->words.type, type_name(entry)))
		return;
	if (!scan_matches(&found->words, entry_key(entry)))
		return;
	if (found->count == found->cap) {
		size_t cap = found->cap == 0 ? 64 : found->cap * 2;
		found->entries = memory_resize(&engine->memory.engine, found->entries,
		    found->cap * sizeof(*found->entries), cap * sizeof(*found->entries));
		found->cap = cap;
	}
	found->entries[found->count++] = entry;
}

static void found_reply(struct found *found)
{
	reply_array(found->call->reply, found->count);
	for (size_t i = 0; i < found->count; i++)
		reply_bulk(found->call->reply, entry_key(found->entries[i]));
	if (found->entries != NULL)
		memory_free(&found->call->engine->memory.engine, found->entries,
		    found->cap * sizeof(*found->entries));
}

bool parse_scan_words(struct call *call, uint32_t at, bool has_type, struct scan_words *words)
{
	*words = (struct scan_words){.all = true, .count = 10};
	for (uint32_t i = at; i < call->argc; i += 2) {
		struct span word = call->argv[i];
		bool known = true, has_value = i + 1 < call->argc;
		if (has_value && span_is(word, "MATCH")) {
			words->pattern = call->argv[i + 1];
			words->all = span_equal(words->pattern, SPAN_LIT("*"));
		} else if (has_value && has_type && span_is(word, "TYPE")) {
			words->type = call->argv[i + 1];
		} else if (has_value && span_is(word, "COUNT")) {
			if (!number_parse_i64(call->argv[i + 1], &words->count)) {
				reply_not_integer(call);
				return false;
			}
			known = words->count >= 1;
		} else {
			known = false;
		}
		if (!known) {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* As strtoul reads it, with an optional sign; nothing at all is 0, too. */
bool parse_cursor(struct span text, uint64_t *out)
{
	bool negative = text.len > 0 && text.ptr[0] == '-';
	size_t i = text.len > 1 && (negative || text.ptr[0] == '+') ? 1 : 0;
	*out = 0;
	for (; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || !mul_u64(*out, 10, out) ||
		    !add_u64(*out, (uint64_t)(text.ptr[i] - '0'), out))
			return false;
	}
	*out = negative ? 0 - *out : *out;
	return true;
}

void cmd_scan(struct call *call)
{
	struct found found = {.call = call};
	struct directory *directory = call_directory(call);
	uint64_t cursor;
	char text[NUMBER_TEXT_MAX];
	if (!parse_cursor(call->argv[1], &cursor)) {
		call_error(call, "ERR invalid cursor");
		return;
	}
	if (!parse_scan_words(call, 2, true, &found.words))
		return;
	int64_t count = found.words.count;
	/* COUNT bounds the work, as in Redis: so many keys, or ten times as many steps. */
	int64_t steps = count > INT64_MAX / 10 ? INT64_MAX : count * 10;
	do
		cursor = directory_scan(directory, cursor, found_each, &found);
	while (cursor != 0 && --steps > 0 && found.count < (uint64_t)count);
	reply_array(call->reply, 2);
	reply_bulk(call->reply, span_of(text, number_format_u64(cursor, text)));
	found_reply(&found);
}

void cmd_keys(struct call *call)
{
	struct found found = {.call = call, .words = {.pattern = call->argv[1]}};
	uint64_t cursor = 0;
	found.words.all = span_equal(call->argv[1], SPAN_LIT("*"));
	directory_step(call_directory(call), 0xffffffff);
	do
		cursor = directory_scan(call_directory(call), cursor, found_each, &found);
	while (cursor != 0);
	found_reply(&found);
}

void cmd_randomkey(struct call *call)
{
	enum { TRIES = 100 };
	for (int i = 0; i < TRIES; i++) {
		struct entry *entry = directory_random(call_directory(call), &call->engine->random);
		if (entry == NULL)
			break;
		uint64_t at_ms = entry_expire_ms(entry);
		if (at_ms != 0 && at_ms <= engine_now_ms(call->engine))
			continue;
		reply_bulk(call->reply, entry_key(entry));
		return;
	}
	reply_null(call->reply);
}

void cmd_dbsize(struct call *call)
{
	reply_int(call->reply, (int64_t)directory_count(call_directory(call)));
}

static void flush_generic(struct call *call, uint8_t db)
{
	if (call->argc > 2 ||
	    (call->argc == 2 && !span_is(call->argv[1], "ASYNC") &&
	        !span_is(call->argv[1], "SYNC"))) {
		reply_syntax_error(call);
		return;
	}
	enum err err = call_flush(call, db);
	if (err != OK)
		call_fail(call, err, (struct span){0});
	else
		reply_ok(call->reply);
}

void cmd_flushdb(struct call *call)
{
	flush_generic(call, call->session->db);
}

void cmd_flushall(struct call *call)
{
	flush_generic(call, RECORD_ALL_DBS);
}

/* False: an error was replied. */
static bool parse_swapped(struct call *call, struct span word, const char *which, uint8_t *number)
{
	int64_t value;
	if (!number_parse_i64(word, &value) || value < INT32_MIN || value > INT32_MAX) {
		call_error(call, "ERR invalid %s DB index", which);
		return false;
	}
	*number = value >= 0 && value < DATABASE_COUNT ? (uint8_t)value : DATABASE_COUNT;
	return true;
}

void cmd_swapdb(struct call *call)
{
	uint8_t first, second;
	uint64_t lsn;
	if (!parse_swapped(call, call->argv[1], "first", &first) ||
	    !parse_swapped(call, call->argv[2], "second", &second))
		return;
	if (first == DATABASE_COUNT || second == DATABASE_COUNT) {
		call_error(call, "ERR DB index is out of range");
		return;
	}
	if (first != second) {
		enum err err = databases_swap(call->engine, first, second, &lsn);
		if (err != OK) {
			call_fail(call, err, (struct span){0});
			return;
		}
		call->gate = lsn;
	}
	reply_ok(call->reply);
}

static struct entry *object_entry(struct call *call)
{
	struct entry *entry = call_lookup_quiet(call, call->argv[2]);
	if (entry == NULL)
		reply_null(call->reply);
	return entry;
}

const char *encoding_name(struct entry *entry)
{
	int64_t number;
	struct value small;
	if (entry->type == ENTRY_IMAGE)
		return "log";
	if (entry->type != ENTRY_STRING)
		return value_encoding_name(entry_collection(entry, &small));
	if (number_parse_i64(entry_string(entry), &number))
		return "int";
	return entry_string(entry).len <= 44 ? "embstr" : "raw";
}

void cmd_object_encoding(struct call *call)
{
	struct entry *entry = object_entry(call);
	if (entry != NULL)
		reply_text(call->reply, encoding_name(entry));
}

void cmd_object_freq(struct call *call)
{
	struct entry *entry = object_entry(call);
	if (entry != NULL && evict_counts_use(call->engine) && entry->type != ENTRY_IMAGE)
		reply_int(call->reply, evict_frequency(call->engine, entry));
	else if (entry != NULL)
		call_error(call,
		    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
		    "Please note that when switching between policies at runtime LRU and LFU data "
		    "will take some time to adjust.");
}

void cmd_object_idletime(struct call *call)
{
	struct entry *entry = object_entry(call);
	if (entry == NULL)
		return;
	if (evict_counts_use(call->engine) && entry->type != ENTRY_IMAGE) {
		call_error(call,
		    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that "
		    "when switching between policies at runtime LRU and LFU data will take some time to "
		    "adjust.");
		return;
	}
	int64_t idle_s = (int64_t)(engine_now_ms(call->engine) / 1000) - entry->access_s;
	reply_int(call->reply, idle_s < 0 ? 0 : idle_s);
}

void cmd_object_refcount(struct call *call)
{
	if (object_entry(call) != NULL)
		reply_int(call->reply, 1);
}

void cmd_memory_usage(struct call *call)
{
	int64_t samples;
	if (call->argc != 3 && (call->argc != 5 || !span_is(call->argv[3], "SAMPLES"))) {
		reply_syntax_error(call);
		return;
	}
	if (call->argc == 5 && !number_parse_i64(call->argv[4], &samples)) {
		reply_not_integer(call);
		return;
	}
	if (call->argc == 5 && samples < 0) {
		reply_syntax_error(call);
		return;
	}
	struct entry *entry = object_entry(call);
	if (entry != NULL)
		reply_int(call->reply, (int64_t)engine_entry_bytes(entry) + 13);
}

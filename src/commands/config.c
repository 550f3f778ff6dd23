/* commands/config.c: the CONFIG family. */
#include "commands/handlers.h"

#include "base/glob.h"

#include <stdio.h>

static bool asked_for(const struct call *call, const struct setting *setting)
{
	for (uint32_t i = 2; i < call->argc; i++)
		if (glob_match(call->argv[i], span_text(setting->name), true))
			return true;
	return false;
}

/* A name is told as it was asked for, what a pattern finds as it is written here. */
static struct span shown_name(const struct call *call, const struct setting *setting)
{
	for (uint32_t i = 2; i < call->argc; i++)
		if (span_is(call->argv[i], setting->name))
			return call->argv[i];
	return span_text(setting->name);
}

void cmd_config_get(struct call *call)
{
	size_t count = 0;
	struct buf value;
	buf_init(&value, &call->engine->memory.replies);
	for (size_t i = 0; i < settings_count; i++)
		count += asked_for(call, &settings_table[i]);
	reply_map(call->reply, count);
	for (size_t i = 0; i < settings_count; i++) {
		if (!asked_for(call, &settings_table[i]))
			continue;
		buf_clear(&value);
		settings_get(call->engine->settings, &settings_table[i], &value);
		reply_bulk(call->reply, shown_name(call, &settings_table[i]));
		reply_bulk(call->reply, buf_span(&value));
	}
	buf_fini(&value);
}

/* Tries every pair on a copy. NULL: an error was replied and nothing was changed. */
static bool try_pairs(struct call *call, struct settings *trial)
{
	for (uint32_t i = 2; i < call->argc; i += 2) {
		const struct setting *setting = settings_find(call->argv[i]);
		const char *why = "";
		if (setting == NULL) {
			call_error(call,
			    "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
			    (int)(call->argv[i].len < 128 ? call->argv[i].len : 128),
			    (const char *)call->argv[i].ptr);
			return false;
		}
		for (uint32_t k = 2; k < i; k += 2) {
			if (settings_find(call->argv[k]) == setting) {
				call_error(call,
				    "ERR CONFIG SET failed (possibly related to argument '%s') - duplicate parameter",
				    setting->name);
				return false;
			}
		}
		enum err err = settings_set(trial, setting, call->argv[i + 1], &why);
		bool same = settings_equal(trial, call->engine->settings, setting);
		if (err == OK && (setting->flags & SETTING_IMMUTABLE) && !same)
			why = "can't set immutable config";
		else if (err == OK && (setting->flags & SETTING_FIXED) && !same)
			why = "this setting has one fixed value here";
		else if (err == OK)
			continue;
		call_error(call, "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
		    setting->name, why);
		return false;
	}
	return true;
}

/* Certificates are read again before anything changes. False: an error was replied. */
static bool try_tls(struct call *call, const struct settings *trial)
{
	char why[320];
	const struct engine_events *events = call->engine->events;
	for (uint32_t i = 2; i < call->argc; i += 2) {
		const struct setting *setting = settings_find(call->argv[i]);
		if ((setting->flags & SETTING_TLS) == 0 || events->try_settings == NULL)
			continue;
		if (events->try_settings(call->engine->events_ctx, trial, why, sizeof(why)) == OK)
			return true;
		call_error(call,
		    "ERR CONFIG SET failed (possibly related to argument '%s') - Unable to update TLS "
		    "configuration: %s", setting->name, why);
		return false;
	}
	return true;
}

void cmd_config_set(struct call *call)
{
	if (call->argc % 2 != 0) {
		call_error(call, "ERR wrong number of arguments for 'config|set' command");
		return;
	}
	struct settings trial = *call->engine->settings;
	if (!try_pairs(call, &trial) || !try_tls(call, &trial))
		return;
	*call->engine->settings = trial;
	for (uint32_t i = 2; i < call->argc; i += 2)
		engine_setting_changed(call->engine, settings_find(call->argv[i]));
	reply_ok(call->reply);
}

void cmd_config_rewrite(struct call *call)
{
	enum err err = call->engine->events->rewrite(call->engine->events_ctx);
	if (err == ERR_UNSUPPORTED)
		call_error(call, "ERR The server is running without a config file");
	else if (err != OK)
		call_error(call, "ERR Rewriting config file: %s", err_name(err));
	else
		reply_ok(call->reply);
}

void cmd_config_resetstat(struct call *call)
{
	struct engine *engine = call->engine;
	uint64_t passes = engine->counters.passes;
	engine->counters = (struct engine_counters){.passes = passes};
	for (size_t i = 0; i < commands_count; i++)
		*command_counters_of(engine, &commands_table[i]) = (struct command_counters){0};
	for (size_t i = 0; i < ARRAY_COUNT(engine->error_counts); i++)
		engine->error_counts[i] = (struct error_count){0};
	reply_ok(call->reply);
}

/* engine/replica/renew_settings.c: users, tier policies, declarations of attributes and the map of databases
 * of two servers that are compared (renew.h).
 * The leader writes all of its own once more, as they are few; the follower names those that it has, and
 * the leader writes that it has not. */
#include "engine/replica/renew.h"

#include "engine/databases.h"
#include "engine/index/fields.h"
#include "engine/tier.h"
#include "engine/users.h"

static const struct span user_prefix = {(const uint8_t *)USER_SETTING, sizeof(USER_SETTING) - 1};
static const struct span policy_prefix = {(const uint8_t *)POLICY_SETTING, sizeof(POLICY_SETTING) - 1};
static const struct span field_prefix = {(const uint8_t *)FIELD_SETTING, sizeof(FIELD_SETTING) - 1};

static const struct policy *policy_at(const struct engine *engine, uint32_t index)
{
	const struct list *all = tiers_policies(engine);
	for (const struct list *at = all->next; at != all; at = at->next)
		if (index-- == 0)
			return LIST_OF((struct list *)(uintptr_t)at, struct policy, link);
	return NULL;
}

void renew_settings(struct engine *engine)
{
	const struct policy *policy;
	enum err err = users_log_again(engine);
	for (uint32_t i = 0; err == OK && (policy = policy_at(engine, i)) != NULL; i++) {
		struct policy copy = *policy;         /* which takes its own place in the list */
		uint64_t lsn;
		list_init(&copy.link);
		err = tiers_set_policy(engine, &copy, &lsn);
	}
	if (err == OK)
		err = fields_log_again(engine);
	if (err == OK && databases_are_logged(engine))
		err = databases_log_again(engine);
	if (err != OK)
		log_warning(engine->log, "replication: users and policies cannot be written again: %s",
		    err_name(err));
}

static bool has_prefix(struct span key, struct span prefix, struct span *rest)
{
	*rest = span_slice(key, prefix.len, key.len);
	return key.len >= prefix.len && span_equal(span_slice(key, 0, prefix.len), prefix);
}

enum err renew_setting_absent(struct engine *engine, struct span key)
{
	struct record record = {
	    .type = RECORD_SETTING, .db = RECORD_ALL_DBS, .key = key, .sync = SYNC_ALWAYS};
	struct span name;
	const struct policy *policy;
	if (has_prefix(key, user_prefix, &name)) {
		if (users_find(engine, name) != NULL)
			return OK;
	} else if (has_prefix(key, policy_prefix, &name)) {
		for (uint32_t i = 0; (policy = policy_at(engine, i)) != NULL; i++)
			if (span_equal(span_text(policy->name), name))
				return OK;
	} else if (has_prefix(key, field_prefix, &name)) {
		if (fields_have_key(engine, key))
			return OK;
	} else if (span_is(key, DATABASES_SETTING)) {
		return databases_are_logged(engine) ? OK : databases_log_again(engine);
	} else {
		return OK;
	}
	return store_append(engine->store, &record);
}

void settings_each_key(struct engine *engine, void (*each)(void *ctx, struct span key), void *ctx)
{
	const struct policy *policy;
	struct buf key;
	buf_init(&key, &engine->memory.engine);
	for (struct list *at = engine->users->all.next; at != &engine->users->all; at = at->next) {
		const struct user *user = LIST_OF(at, struct user, link);
		buf_clear(&key);
		buf_append(&key, user_prefix);
		buf_append(&key, user->name);
		each(ctx, buf_span(&key));
	}
	for (uint32_t i = 0; (policy = policy_at(engine, i)) != NULL; i++) {
		buf_clear(&key);
		buf_append(&key, policy_prefix);
		buf_append_text(&key, policy->name);
		each(ctx, buf_span(&key));
	}
	buf_fini(&key);
	fields_each_key(engine, each, ctx);
	if (databases_are_logged(engine))
		each(ctx, SPAN_LIT(DATABASES_SETTING));
}

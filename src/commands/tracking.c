/* commands/tracking.c: CLIENT TRACKING, TRACKINGINFO, CACHING and GETREDIR. */
#include "commands/handlers.h"

#include "base/number.h"
#include "engine/tracking.h"

struct tracking_request {
	struct tracking_options options;
	struct span *prefixes;            /* room for as many as there are arguments */
	int64_t      redirect;
};

static struct session *session_of_id(const struct engine *engine, int64_t id)
{
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (id > 0 && session->id == (uint64_t)id)
			return session;
	}
	return NULL;
}

static bool parse_redirect(struct call *call, struct span word, struct tracking_request *request)
{
	if (request->redirect != 0) {
		call_error(call, "ERR A client can only redirect to a single other client");
		return false;
	}
	if (!number_parse_i64(word, &request->redirect)) {
		reply_not_integer(call);
		return false;
	}
	request->options.redirect = session_of_id(call->engine, request->redirect);
	if (request->options.redirect == NULL)
		call_error(call, "ERR The client ID you want redirect to does not exist");
	return request->options.redirect != NULL;
}

static bool parse_tracking(struct call *call, struct tracking_request *request)
{
	static const struct { const char *name; unsigned flag; } words[] = {{"BCAST", TRACK_BCAST},
	    {"OPTIN", TRACK_OPTIN}, {"OPTOUT", TRACK_OPTOUT}, {"NOLOOP", TRACK_NOLOOP}};
	struct tracking_options *options = &request->options;
	for (uint32_t i = 3; i < call->argc; i++) {
		struct span word = call->argv[i];
		bool more = i + 1 < call->argc, known = false;
		if (span_is(word, "REDIRECT") && more) {
			if (!parse_redirect(call, call->argv[++i], request))
				return false;
			continue;
		}
		if (span_is(word, "PREFIX") && more) {
			request->prefixes[options->prefix_count++] = call->argv[++i];
			continue;
		}
		for (size_t k = 0; k < ARRAY_COUNT(words); k++) {
			bool same = span_is(word, words[k].name);
			options->flags |= same ? words[k].flag : 0;
			known |= same;
		}
		if (!known) {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* Which of the switches do not fit each other, or what is on already? NULL: they all do. */
static const char *misfit(const struct tracking_options *options, unsigned now)
{
	unsigned flags = options->flags;
	unsigned opts = flags & (TRACK_OPTIN | TRACK_OPTOUT), both = TRACK_OPTIN | TRACK_OPTOUT;
	if ((flags & TRACK_BCAST) == 0 && options->prefix_count > 0)
		return "PREFIX option requires BCAST mode to be enabled";
	if (now != 0 && ((flags ^ now) & TRACK_BCAST) != 0)
		return "You can't switch BCAST mode on/off before disabling tracking for this client, and then "
		       "re-enabling it with a different mode.";
	if ((flags & TRACK_BCAST) != 0 && opts != 0)
		return "OPTIN and OPTOUT are not compatible with BCAST";
	if (opts == both)
		return "You can't specify both OPTIN mode and OPTOUT mode";
	if (((opts | now) & both) == both)
		return "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
		       "re-enabling it with a different mode.";
	return NULL;
}

static bool overlap(struct span a, struct span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	return span_equal(span_slice(a, 0, len), span_slice(b, 0, len));
}

static void reply_overlap(struct call *call, struct span a, const char *what, struct span b)
{
	call_error(call,
	    "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
	    (int)(a.len < 128 ? a.len : 128), (const char *)a.ptr, what,
	    (int)(b.len < 128 ? b.len : 128), (const char *)b.ptr);
}

/* No prefix may begin with another: the client would hear of a key twice. */
static bool prefixes_fit(struct call *call, const struct tracking_options *options)
{
	struct span other;
	for (uint32_t i = 0; i < options->prefix_count; i++) {
		struct span prefix = options->prefixes[i];
		for (uint32_t k = 0; tracking_prefix(call->session, k, &other); k++) {
			if (overlap(prefix, other)) {
				reply_overlap(call, prefix, "an existing", other);
				return false;
			}
		}
		for (uint32_t k = i + 1; k < options->prefix_count; k++) {
			if (overlap(prefix, options->prefixes[k])) {
				reply_overlap(call, prefix, "another provided", options->prefixes[k]);
				return false;
			}
		}
	}
	return true;
}

static void turn_on(struct call *call, const struct tracking_options *options)
{
	const char *why = misfit(options, tracking_flags(call->session));
	if (why != NULL) {
		call_error(call, "ERR %s", why);
		return;
	}
	if ((options->flags & TRACK_BCAST) != 0 && !prefixes_fit(call, options))
		return;
	tracking_start(call->session, options);
	reply_ok(call->reply);
}

void cmd_client_tracking(struct call *call)
{
	struct tracking_request request = {0};
	size_t bytes = call->argc * sizeof(struct span);
	request.prefixes = memory_alloc(&call->engine->memory.engine, bytes);
	request.options.prefixes = request.prefixes;
	bool fine = parse_tracking(call, &request);
	if (fine && span_is(call->argv[2], "ON")) {
		turn_on(call, &request.options);
	} else if (fine && span_is(call->argv[2], "OFF")) {
		tracking_stop(call->session);
		reply_ok(call->reply);
	} else if (fine) {
		reply_syntax_error(call);
	}
	memory_free(&call->engine->memory.engine, request.prefixes, bytes);
}

void cmd_client_caching(struct call *call)
{
	unsigned flags = tracking_flags(call->session);
	bool yes = span_is(call->argv[2], "YES");
	if (flags == 0) {
		call_error(call, "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
		                 "OPTIN or OPTOUT mode enabled");
	} else if (!yes && !span_is(call->argv[2], "NO")) {
		reply_syntax_error(call);
	} else if (yes && (flags & TRACK_OPTIN) == 0) {
		call_error(call, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
	} else if (!yes && (flags & TRACK_OPTOUT) == 0) {
		call_error(call, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
	} else {
		tracking_set_caching(call->session, true);
		reply_ok(call->reply);
	}
}

void cmd_client_getredir(struct call *call)
{
	reply_int(call->reply, tracking_redirect(call->session));
}

void cmd_client_trackinginfo(struct call *call)
{
	unsigned flags = tracking_flags(call->session), caching = flags & TRACK_CACHING;
	const struct { const char *name; bool is_set; } words[] = {{"off", flags == 0}, {"on", flags != 0},
	    {"bcast", (flags & TRACK_BCAST) != 0}, {"optin", (flags & TRACK_OPTIN) != 0},
	    {"caching-yes", caching != 0 && (flags & TRACK_OPTIN) != 0},
	    {"optout", (flags & TRACK_OPTOUT) != 0},
	    {"caching-no", caching != 0 && (flags & TRACK_OPTOUT) != 0},
	    {"noloop", (flags & TRACK_NOLOOP) != 0}, {"broken_redirect", (flags & TRACK_BROKEN) != 0}};
	size_t count = 0;
	uint32_t prefixes = 0;
	struct span prefix;
	for (size_t i = 0; i < ARRAY_COUNT(words); i++)
		count += words[i].is_set;
	while (tracking_prefix(call->session, prefixes, &prefix))
		prefixes++;
	reply_map(call->reply, 3);
	reply_text(call->reply, "flags");
	reply_set(call->reply, count);
	for (size_t i = 0; i < ARRAY_COUNT(words); i++)
		if (words[i].is_set)
			reply_text(call->reply, words[i].name);
	reply_text(call->reply, "redirect");
	reply_int(call->reply, tracking_redirect(call->session));
	reply_text(call->reply, "prefixes");
	reply_array(call->reply, prefixes);
	for (uint32_t i = 0; tracking_prefix(call->session, i, &prefix); i++)
		reply_bulk(call->reply, prefix);
}

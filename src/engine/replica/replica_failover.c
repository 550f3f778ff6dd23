/* engine/replica/replica_failover.c: FAILOVER: this leader hands over to one of its followers, with nothing
 * lost and nothing refused but for a moment: writes wait, the follower gets the rest, is told to lead,
 * and this server follows it. */
#include "engine/replica/replica.h"

enum { FAILOVER_PAUSE_MS = 24 * 3600 * 1000 };

static struct replica_link *link_at(struct list *at)
{
	return LIST_OF(at, struct replica_link, link);
}

void replication_link_ip(const struct replica_link *link, char out[IO_ADDRESS_MAX])
{
	snprintf(out, IO_ADDRESS_MAX, "%s", link->ip[0] != 0 ? link->ip : link->session->address);
	if (link->ip[0] != 0)
		return;
	char *colon = strrchr(out, ':');
	if (colon != NULL)
		*colon = 0;
	size_t len = strlen(out);
	if (len > 2 && out[0] == '[') {       /* [::1] */
		memmove(out, out + 1, len - 2);
		out[len - 2] = 0;
	}
}

/* The one that was asked for, or the first that has everything; NULL: none. */
static struct replica_link *failover_target(struct engine *engine)
{
	struct replication *replication = engine->replication;
	char ip[IO_ADDRESS_MAX];
	for (struct list *at = replication->links.next; at != &replication->links; at = at->next) {
		struct replica_link *link = link_at(at);
		replication_link_ip(link, ip);
		if (replication->failover_port == 0) {
			if (link->durable >= store_last_lsn(engine->store))
				return link;
		} else if (link->port == replication->failover_port &&
		    strcmp(ip, replication->failover_host) == 0) {
			return link;
		}
	}
	return NULL;
}

static void failover_end(struct engine *engine, const char *how)
{
	struct replication *replication = engine->replication;
	replication->failover = FAILOVER_NONE;
	io_timer_cancel(engine->io, &replication->failover_timer);
	engine_unpause(engine);
	log_notice(engine->log, "failover: %s", how);
}

/* The last word to it, from which on it leads. */
static void failover_hand_over(struct engine *engine, struct replica_link *link)
{
	struct replication *replication = engine->replication;
	replication_link_ip(link, replication->failover_host);
	replication->failover_port = link->port;
	replication_tell_position(engine, link, FRAME_PAUSED);
	link->session->ops->ready(link->session);
	replication->failover = FAILOVER_HANDING;
	log_notice(engine->log, "failover: %s:%u leads from now on", replication->failover_host,
	    replication->failover_port);
}

static void failover_timed_out(struct io_timer *timer)
{
	struct engine *engine = timer->ctx;
	struct replication *replication = engine->replication;
	struct replica_link *link = failover_target(engine);
	if (replication->failover != FAILOVER_WAITING)
		return;
	if (replication->failover_force && link != NULL)
		failover_hand_over(engine, link);
	else
		failover_end(engine, "given up: no follower had everything in time");
}

void replication_failover_init(struct engine *engine)
{
	io_timer_init(&engine->replication->failover_timer, failover_timed_out, engine);
}

void replication_failover_step(struct engine *engine)
{
	struct replication *replication = engine->replication;
	struct replica_link *link = failover_target(engine);
	char host[sizeof(replication->failover_host)];
	if (replication->failover == FAILOVER_WAITING) {
		if (link == NULL || link->durable < store_last_lsn(engine->store) || link->session->sending ||
		    !reply_is_empty(&link->session->out))
			return;
		failover_hand_over(engine, link);
		return;
	}
	/* It has left, or its connection is gone: whoever took over is followed. */
	if (link != NULL && (link->session->sending || !reply_is_empty(&link->session->out)))
		return;
	memcpy(host, replication->failover_host, sizeof(host));
	failover_end(engine, "done");
	if (replication_follow(engine, host, replication->failover_port) != OK)
		log_warning(engine->log, "failover: %s cannot be followed", host);
}

/* NULL: it has begun. */
const char *replication_failover(struct engine *engine, const struct failover_options *options)
{
	struct replication *replication = engine->replication;
	if (replication->is_follower)
		return "ERR FAILOVER is not valid when server is a replica.";
	if (replication->failover != FAILOVER_NONE)
		return "ERR FAILOVER already in progress.";
	if (replication->link_count == 0)
		return "ERR FAILOVER requires connected replicas.";
	if (options->force && (options->timeout_ms == 0 || options->port == 0))
		return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
	snprintf(replication->failover_host, sizeof(replication->failover_host), "%s", options->host);
	replication->failover_port = options->port;
	if (options->port != 0 && failover_target(engine) == NULL)
		return "ERR FAILOVER target HOST and PORT is not a replica.";
	replication->failover_force = options->force;
	replication->failover = FAILOVER_WAITING;
	if (options->timeout_ms > 0)
		io_timer_set(engine->io, &replication->failover_timer, options->timeout_ms * 1000);
	engine_pause(engine, FAILOVER_PAUSE_MS, true);
	store_sync(engine->store);
	log_notice(engine->log, "failover: asked for");
	return NULL;
}

const char *replication_failover_abort(struct engine *engine)
{
	if (engine->replication->failover != FAILOVER_WAITING)
		return "ERR No failover in progress.";
	failover_end(engine, "aborted");
	return NULL;
}

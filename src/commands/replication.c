/* commands/replication.c: Redis's words for replication, and IMG.SYNC. */
#include "commands/handlers.h"
#include "commands/replication.h"

#include "base/number.h"
#include "engine/replica/quarantine.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/renew.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

static bool copy_text(struct span text, char *out, size_t bytes)
{
	if (text.len == 0 || text.len >= bytes)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = 0;
	return true;
}

void cmd_replicaof(struct call *call)
{
	struct engine *engine = call->engine;
	char host[128];
	int64_t port;
	if (engine->settings->readonly) {
		call_error(call, "READONLY this server was started with readonly.");
		return;
	}
	if (engine->replication->closed) {
		call_error(call, "ERR the server is ending");
		return;
	}
	if (engine->replication->failover != FAILOVER_NONE) {
		call_error(call, "ERR REPLICAOF not allowed while failing over.");
		return;
	}
	if (span_is(call->argv[1], "NO") && span_is(call->argv[2], "ONE")) {
		bool by_watch = strncmp(call->session->name, "sentinel-", 9) == 0;
		enum err err = replication_lead(engine, by_watch);
		if (err != OK)
			call_fail(call, err, (struct span){0});
		else
			reply_ok(call->reply);
		return;
	}
	if (!number_parse_range(call->argv[2], 1, 65535, &port)) {
		call_error(call, "ERR Invalid master port");
		return;
	}
	if (!copy_text(call->argv[1], host, sizeof(host))) {
		call_error(call, "ERR Invalid master host");
		return;
	}
	if (replication_follow(engine, host, (uint16_t)port) == ERR_EXISTS)
		reply_status(call->reply, "OK Already connected to specified master");
	else
		reply_ok(call->reply);
}

static const char *link_ip(const struct replica_link *link, char out[IO_ADDRESS_MAX])
{
	replication_link_ip(link, out);
	return out;
}

static const char *link_state_word(const struct engine *engine)
{
	switch (engine->replication->follower.state) {
	case FOLLOWER_STREAMING:
		return "connected";
	case FOLLOWER_HANDSHAKE:
		return "handshake";
	case FOLLOWER_CONNECTING:
		return "connecting";
	default:
		return "connect";
	}
}

void cmd_role(struct call *call)
{
	const struct engine *engine = call->engine;
	const struct replication *replication = engine->replication;
	char ip[IO_ADDRESS_MAX], text[24];
	if (replication->is_follower) {
		reply_array(call->reply, 5);
		reply_text(call->reply, "slave");
		reply_text(call->reply, replication->host);
		reply_int(call->reply, replication->port);
		reply_text(call->reply, link_state_word(engine));
		reply_int(call->reply, (int64_t)replication_offset(call->engine));
		return;
	}
	reply_array(call->reply, 3);
	reply_text(call->reply, "master");
	reply_int(call->reply, (int64_t)store_last_lsn(engine->store));
	reply_array(call->reply, replication->link_count);
	for (const struct list *at = replication->links.next; at != &replication->links; at = at->next) {
		const struct replica_link *link =
		    LIST_OF((struct list *)(uintptr_t)at, struct replica_link, link);
		reply_array(call->reply, 3);
		reply_text(call->reply, link_ip(link, ip));
		snprintf(text, sizeof(text), "%u", link->port);
		reply_text(call->reply, text);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)link->applied);
		reply_text(call->reply, text);
	}
}

/* FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT ms]. False: an error was replied. */
static bool parse_failover(struct call *call, struct failover_options *options, char host[128], bool *aborts)
{
	int64_t number;
	for (uint32_t i = 1; i < call->argc; i++) {
		uint32_t left = call->argc - i - 1;
		if (span_is(call->argv[i], "TIMEOUT") && left >= 1 && options->timeout_ms == 0) {
			if (!number_parse_i64(call->argv[++i], &number)) {
				reply_not_integer(call);
				return false;
			}
			if (number <= 0 || number > INT32_MAX) {
				call_error(call, "ERR FAILOVER timeout must be greater than 0");
				return false;
			}
			options->timeout_ms = (uint64_t)number;
		} else if (span_is(call->argv[i], "ABORT") && call->argc == 2) {
			*aborts = true;
		} else if (span_is(call->argv[i], "TO") && left >= 2 && options->port == 0 &&
		    copy_text(call->argv[i + 1], host, 128)) {
			if (!number_parse_range(call->argv[i + 2], 1, 65535, &number)) {
				reply_not_integer(call);
				return false;
			}
			options->port = (uint16_t)number;
			i += 2;
		} else if (span_is(call->argv[i], "FORCE") && !options->force) {
			options->force = true;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

void cmd_failover(struct call *call)
{
	char host[128] = "";
	struct failover_options options = {.host = host};
	bool aborts = false;
	if (call->engine->replication->closed) {
		call_error(call, "ERR the server is ending");
		return;
	}
	if (!parse_failover(call, &options, host, &aborts))
		return;
	const char *error = aborts ? replication_failover_abort(call->engine)
	                           : replication_failover(call->engine, &options);
	if (error != NULL)
		call_error(call, "%s", error);
	else
		reply_ok(call->reply);
}

/* ---- REPLCONF and IMG.SYNC ---- */

static bool parse_lsn(struct span text, uint64_t *out)
{
	int64_t value;
	if (!number_parse_range(text, 0, INT64_MAX, &value))
		return false;
	*out = (uint64_t)value;
	return true;
}

/* ACK applied [durable received]: no reply. */
static void replconf_ack(struct call *call)
{
	struct replica_link *link = call->session->replica;
	uint64_t applied, durable, received;
	if (link == NULL || !link->streaming || !parse_lsn(call->argv[2], &applied))
		return;
	durable = received = applied;
	if (call->argc > 4 &&
	    (!parse_lsn(call->argv[3], &durable) || !parse_lsn(call->argv[4], &received)))
		return;
	uint64_t last = store_last_lsn(call->engine->store);
	if (applied > last || durable > last)
		return;                       /* it speaks of what does not exist */
	if (!link->has_said)                  /* it asked for what follows, but may lack something before */
		link->applied = link->durable = 0;
	link->has_said = true;
	link->applied = applied > link->applied ? applied : link->applied;
	link->durable = durable > link->durable ? durable : link->durable;
	link->received = received > link->received ? received : link->received;
	link->heard_us = io_now_us(call->engine->io);
	call->engine->flush_sessions = true;
}

/* False: an error was replied. */
static bool replconf_word(struct call *call, struct span word, struct span value)
{
	int64_t number;
	if (span_is(word, "listening-port")) {
		if (!number_parse_range(value, 0, 65535, &number)) {
			reply_not_integer(call);
			return false;
		}
		replication_link_of(call->session)->port = (uint16_t)number;
	} else if (span_is(word, "ip-address")) {
		struct replica_link *link = replication_link_of(call->session);
		if (!copy_text(value, link->ip, sizeof(link->ip))) {
			call_error(call, "ERR REPLCONF ip-address provided by replica instance is too long: %zu bytes",
			    value.len);
			return false;
		}
	} else if (!span_is(word, "capa") && !span_is(word, "version") && !span_is(word, "rdb-only") &&
	    !span_is(word, "rdb-filter-only")) {
		call_error(call, "ERR Unrecognized REPLCONF option: %.*s", (int)(word.len < 64 ? word.len : 64),
		    (const char *)word.ptr);
		return false;
	}
	return true;
}

/* FETCH lsn database type from key | FETCHED payload. False: it is neither. */
static bool replconf_repairs(struct call *call)
{
	struct replica_link *link = call->session->replica;
	struct repair_ask ask = {0};
	int64_t db, type;
	bool good = false;
	if (call->argc == 7 && span_is(call->argv[1], "FETCH")) {
		good = parse_lsn(call->argv[2], &ask.lsn) && parse_lsn(call->argv[5], &ask.from) &&
		    number_parse_range(call->argv[3], 0, DATABASE_COUNT - 1, &db) &&
		    number_parse_range(call->argv[4], 1, RECORD_TYPE_COUNT - 1, &type);
		if (good) {
			ask.db = (uint8_t)db;
			ask.type = (uint8_t)type;
			ask.key = call->argv[6];
			good = repair_asked(call->engine, link, &ask);
		}
	} else if (call->argc == 3 && span_is(call->argv[1], "FETCHED")) {
		good = repair_fetched(call->engine, link, call->argv[2]) == OK;
	} else {
		return false;
	}
	if (!good)
		call_error(call, "ERR that cannot be repaired");
	return true;
}

/* What engine/replica/compare.h says a follower asks. False: it is none of that. */
static bool replconf_compares(struct call *call)
{
	struct replica_link *link = call->session->replica;
	struct renew_request request = {0};
	int64_t bits = 0, db, have;
	uint64_t number;
	bool good = false;
	if (call->argc == 3 && span_is(call->argv[1], "COMPARE")) {
		good = number_parse_range(call->argv[2], 4, COMPARE_BITS_MAX, &bits) &&
		    renew_sums(link, (unsigned)bits);
	} else if (call->argc == 4 && span_is(call->argv[1], "LIST")) {
		good = number_parse_range(call->argv[2], 4, COMPARE_BITS_MAX, &bits) &&
		    renew_list(link, (unsigned)bits, call->argv[3]);
	} else if (call->argc == 8 && span_is(call->argv[1], "RENEW")) {
		good = number_parse_range(call->argv[2], 0, RECORD_ALL_DBS, &db) &&
		    (db < DATABASE_COUNT || db == RECORD_ALL_DBS) &&
		    number_parse_range(call->argv[3], 0, RENEW_BODY_ELSEWHERE, &have) &&
		    parse_lsn(call->argv[4], &request.version) && parse_lsn(call->argv[5], &request.lsn) &&
		    parse_lsn(call->argv[6], &request.body_lsn) && call->argv[7].len <= KEY_BYTES_MAX;
		if (good) {
			request.db = (uint8_t)db;
			request.have = (enum renew_have)have;
			request.key = call->argv[7];
			good = renew_key(link, &request);
		}
	} else if (call->argc == 3 && span_is(call->argv[1], "RENEWED")) {
		good = parse_lsn(call->argv[2], &number) && renew_until(link, number);
	} else {
		return false;
	}
	if (!good)                            /* which is no frame: the link ends */
		call_error(call, "ERR that cannot be compared");
	return true;
}

/* A follower's words end with a check, so that none of them is taken for another. */
static bool ends_with_check(const struct call *call, uint32_t number)
{
	char check[FRAME_CHECK];
	if (call->argc < 2)
		return false;
	frame_check_words(call->argv, call->argc - 1, number, check);
	return span_is(call->argv[call->argc - 1], check);
}

void cmd_replconf(struct call *call)
{
	struct replica_link *link = call->session->replica;
	bool streams = link != NULL && link->streaming;
	if (streams && !ends_with_check(call, link->commands++)) {
		log_warning(call->engine->log, "replication: what %s says is damaged", call->session->address);
		call_error(call, "ERR the check at the end is wrong");        /* no frame: the link ends */
		call->session->close_after_reply = true;
		return;
	}
	call->argc -= streams;
	if (call->argc >= 3 && span_is(call->argv[1], "ACK")) {
		replconf_ack(call);
		return;
	}
	if (call->argc == 3 && span_is(call->argv[1], "DEPOSED")) {
		int64_t epoch;
		if (streams && number_parse_range(call->argv[2], 1, UINT32_MAX, &epoch))
			replication_deposed(call->engine, (uint32_t)epoch);
		return;
	}
	if (streams && (replconf_compares(call) || replconf_repairs(call)))
		return;
	if (span_is(call->argv[1], "GETACK"))
		return;                       /* a leader's word; followers acknowledge all the time */
	if (call->argc % 2 == 0) {
		reply_syntax_error(call);
		return;
	}
	for (uint32_t i = 1; i < call->argc; i += 2)
		if (!replconf_word(call, call->argv[i], call->argv[i + 1]))
			return;
	reply_ok(call->reply);
}

/* Redis replicas, and redis-cli --rdb, want another format. */
void cmd_psync(struct call *call)
{
	call_error(call, "ERR this server's log is followed by IMG.SYNC, and makes no RDB");
}

static bool parse_epoch(struct span text, struct epoch *out)
{
	char word[EPOCH_TEXT];
	return copy_text(text, word, sizeof(word)) && epoch_scan(word, out) == (int)text.len;
}

void cmd_img_sync(struct call *call)
{
	struct sync_request request = {.lineage = call->argv[1], .check = call->argv[call->argc - 1]};
	if (!ends_with_check(call, 0)) {
		call_error(call, "ERR the check at the end of IMG.SYNC is wrong");
		return;
	}
	call->argc--;
	request.compares = call->argc == 10 && span_is(call->argv[7], "COMPARE");
	if (call->session->transaction != NULL || call->session->subscriber != NULL ||
	    (call->argc != 7 && !request.compares) ||
	    (request.compares &&
	        (!parse_lsn(call->argv[8], &request.from) || !parse_lsn(call->argv[9], &request.base))) ||
	    !parse_epoch(call->argv[2], &request.epoch) || !parse_lsn(call->argv[3], &request.lsn) ||
	    !parse_lsn(call->argv[4], &request.segment_bytes) ||
	    !parse_lsn(call->argv[5], &request.partial_lsn) ||
	    !parse_lsn(call->argv[6], &request.partial_bytes)) {
		reply_syntax_error(call);
		return;
	}
	replication_sync(call, &request);
}

/* ---- IMG.QUARANTINE LIST | GET name | DISCARD name ---- */

static void quarantine_list(struct call *call)
{
	struct quarantine *quarantine = call->engine->quarantine;
	reply_array(call->reply, quarantine->count);
	for (struct list *at = quarantine->folders.next; at != &quarantine->folders; at = at->next) {
		const struct quarantine_folder *folder = LIST_OF(at, struct quarantine_folder, link);
		reply_array(call->reply, 3);
		reply_text(call->reply, folder->name);
		reply_int(call->reply, (int64_t)folder->bytes);
		reply_int(call->reply, folder->files);
	}
}

void cmd_img_quarantine(struct call *call)
{
	struct engine *engine = call->engine;
	char path[SETTING_TEXT_MAX + 64];
	if (call->argc == 2 && span_is(call->argv[1], "LIST")) {
		quarantine_list(call);
		return;
	}
	bool gets = span_is(call->argv[1], "GET");
	if (call->argc != 3 || (!gets && !span_is(call->argv[1], "DISCARD"))) {
		reply_syntax_error(call);
		return;
	}
	struct quarantine_folder *folder = quarantine_find(engine, call->argv[2]);
	if (folder == NULL) {
		reply_null(call->reply);
	} else if (gets) {
		snprintf(path, sizeof(path), "%s/quarantine/%s", engine->settings->dir, folder->name);
		reply_text(call->reply, path);
	} else if (folder->slot != NULL) {
		call_error(call, "ERR it is being discarded");
	} else {
		quarantine_discard(call, folder);
	}
}

/* ---- INFO ---- */

typedef unsigned long long ull;

static void info_links(struct engine *engine, struct buf *out)
{
	const struct replication *replication = engine->replication;
	char ip[IO_ADDRESS_MAX];
	unsigned at_index = 0;
	uint64_t last = store_last_lsn(engine->store);
	for (struct list *at = replication->links.next; at != &replication->links; at = at->next) {
		const struct replica_link *link = LIST_OF(at, struct replica_link, link);
		uint64_t lag_s = (io_now_us(engine->io) - link->heard_us) / 1000000;
		buf_printf(out,
		    "slave%u:ip=%s,port=%u,state=online,offset=%llu,lag=%llu,durable=%llu,records_behind=%llu,"
		    "memory=%llu\r\n",
		    at_index++, link_ip(link, ip), link->port, (ull)link->applied, (ull)lag_s,
		    (ull)link->durable, (ull)(last > link->applied ? last - link->applied : 0),
		    (ull)(leader_memory(&link->leader) + link->session->out.bytes.cap));
	}
}

static void info_follower(struct engine *engine, struct buf *out)
{
	const struct replication *replication = engine->replication;
	const struct follower *follower = &replication->follower;
	uint64_t now_us = io_now_us(engine->io);
	const struct replication_lag lag = replication_lag(engine);
	bool up = replication_link_is_up(engine);
	bool syncing = up && (replication_is_partial(engine) ||
	    replication->leader_lsn > replication->applied + 10000);
	buf_printf(out,
	    "master_host:%s\r\nmaster_port:%u\r\nmaster_link_status:%s\r\nmaster_last_io_seconds_ago:%lld\r\n"
	    "master_sync_in_progress:%d\r\nslave_read_repl_offset:%llu\r\nslave_repl_offset:%llu\r\n",
	    replication->host, replication->port, up ? "up" : "down",
	    follower->heard_us == 0 || !up ? -1LL : (long long)((now_us - follower->heard_us) / 1000000),
	    syncing, (ull)replication->received, (ull)replication_offset(engine));
	if (!up)
		buf_printf(out, "master_link_down_since_seconds:%llu\r\n",
		    (ull)((now_us - follower->down_since_us) / 1000000));
	buf_printf(out,
	    "slave_stopped_by:%s\r\nslave_priority:%lld\r\nslave_read_only:1\r\nreplica_announced:%d\r\n"
	    "master_lag_records:%llu\r\nmaster_lag_seconds:%llu\r\nmaster_refusal:%s\r\nreplication_bodies_resumed:%llu\r\n"
	    "replication_received_bytes:%llu\r\n",
	    replication->stopped_by == OK ? "no" : replication->stopped_by == ERR_DISKFULL
	        ? "disk-full" : "read-only",
	    (long long)engine->settings->replica_priority, engine->settings->replica_announced,
	    (ull)lag.records, (ull)lag.us / 1000000,
	    replication->refusal, (ull)follower->bodies_resumed, (ull)follower->bytes_received);
}

void info_replication(struct engine *engine, struct buf *out)
{
	static const char *const failover[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
	const struct replication *replication = engine->replication;
	uint64_t offset = replication_offset(engine);
	buf_printf(out, "role:%s\r\n", replication->is_follower ? "slave" : "master");
	if (replication->is_follower)
		info_follower(engine, out);
	buf_printf(out, "connected_slaves:%u\r\n", replication->link_count);
	if (engine->settings->min_replicas_to_write > 0)
		buf_printf(out, "min_slaves_good_slaves:%u\r\n", replication_count_good(engine));
	info_links(engine, out);
	const char *lineage = replication->lineage[0] != 0 ? replication->lineage : engine->repl_id;
	buf_printf(out,
	    "master_failover_state:%s\r\nmaster_replid:%s\r\n"
	    "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:%llu\r\n"
	    "second_repl_offset:-1\r\nrepl_backlog_active:%d\r\nrepl_backlog_size:%llu\r\n"
	    "repl_backlog_first_byte_offset:%llu\r\nrepl_backlog_histlen:%llu\r\n",
	    failover[replication->failover], lineage, (ull)offset, replication->tail.is_on,
	    (ull)TAIL_BYTES_MAX, (ull)(replication->tail.is_on ? replication->tail.before + 1 : 0),
	    (ull)replication->tail.bytes);
	repairs_info(engine, out);
	buf_printf(out, "repl_marks_from:%lld\r\n",
	    replication->marks_from == UINT64_MAX ? -1LL : (long long)replication->marks_from);
	buf_printf(out,
	    "replication_epoch:%u\r\nreplication_deposed:%d\r\nreplication_lost_links:%llu\r\n"
	    "quarantined_stores:%u\r\nreplication_rejoining:%d\r\nreplication_lost_lsn:%llu\r\n"
	    "replication_rejoins:%llu\r\n"
	    "replication_keys_differed:%llu\r\nreplication_renewed_keys:%llu\r\n"
	    "replication_renewed_bodies:%llu\r\n",
	    replication_epoch(engine), replication->deposed, (ull)replication->lost_links,
	    engine->quarantine->count, replication->is_follower && engine->rejoin->pending,
	    (ull)engine->rejoin->lost_lsn, (ull)engine->rejoin->rejoins,
	    (ull)engine->rejoin->keys_renewed, (ull)replication->renewed_keys,
	    (ull)replication->renewed_bodies);
}

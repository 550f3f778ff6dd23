/* server/connection.h: one client connection: bytes in, requests, bytes out. */
#pragma once
#include "server/server.h"

enum connection_state {
	CONNECTION_PARSE,                 /* bytes are requests */
	CONNECTION_BODY,                  /* bytes belong to `body` */
	CONNECTION_DISCARD,               /* bytes of an argument that was refused */
};

struct connection {
	uint32_t         magic;
	struct server   *server;
	struct list      link, dirty;
	struct io_stream stream;
	struct session   session;
	enum connection_state state;
	/* input */
	struct buf       in;              /* what was kept; from in_done on, where a request begins */
	size_t           in_done;         /* executed, and not yet cut off; below in.len, or both are 0 */
	struct resp_parser parser;
	struct resp_arg *own_args;        /* of a request that is not complete */
	uint32_t         own_args_cap;
	struct body    **bodies;          /* of this request, in order of arrival */
	uint32_t         body_count, body_cap;
	struct body     *body;            /* being filled */
	uint64_t         left;            /* bytes of BODY or DISCARD to come */
	enum err         refused;         /* why an argument was discarded */
	const char      *refused_limit;
	bool             reading;         /* received() may come */
	bool             pausing, paused, filling, ended;
	bool             heading;         /* what is filled is `head` */
	uint8_t         *head;            /* HEAD_BYTES; NULL unless large bodies come, see input.c */
	uint8_t          small_heads;     /* that brought no body, in a row */
	bool             was_held;        /* `in` holds requests that could run now */
	bool             yielded;         /* its turn is over: it is in server->turns */
	struct list      turn;
	uint64_t         turn_pass, turn_used_us;   /* how long its commands have run in that pass */
	uint64_t         turn_from_us;    /* of those that run now */
	uint64_t         turn_end_us;
	/* output */
	struct reply     sending;
	size_t           sent_bytes;      /* of sending.bytes, by earlier sends */
	uint32_t         sent_refs;
	size_t           batch_bytes;     /* what the send under way will add to those two */
	uint32_t         batch_refs;
	struct iovec     iov_few[4];
	struct iovec    *iov;
	uint32_t         iov_cap;
	bool             send_busy, is_dirty, resumed;
	struct body     *orphan;          /* of a closed connection: the kernel still fills it */
	struct io_timer  deadline;        /* until it is authenticated */
};

enum arrival { ARRIVAL_TCP, ARRIVAL_UNIX, ARRIVAL_TLS };
/* Takes over an accepted descriptor. */
void connection_new(struct server *server, int fd, enum arrival arrival);
/* The parked command runs again. */
void connection_run_parked(struct connection *connection);
/* Sends what is ready, unless a send is under way. */
void connection_send(struct connection *connection);
void connection_close(struct connection *connection);
void connection_mark_dirty(struct connection *connection);

/* input.c */
void connection_received(struct connection *connection, struct span bytes);
/* Goes on with input that had to wait. */
void connection_continue(struct connection *connection);
void connection_paused(struct connection *connection);
void connection_filled(struct connection *connection, size_t bytes, enum err err);
void connection_input_fini(struct connection *connection);
void connection_head_free(struct connection *connection);     /* the kernel has let go of it */
/* It was its turn in an earlier pass, and is again. */
void connection_take_turn(struct connection *connection);
/* May not execute now: parked, its turn is over, or too much output waits. */
bool connection_is_held(const struct connection *connection);

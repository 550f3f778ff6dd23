/* bench/xapian_peer.h: what bench_search asks of Xapian, which speaks C++ alone. Anything that
 * goes wrong there ends the program with what Xapian says. */
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

struct xapian_peer;

struct xapian_document {
	const char *title, *caption, *tags;       /* words between blanks and commas */
	const char *format;
	double      width;
};

struct xapian_query {
	const char *text;                 /* words (all of them), a OR b, "a b", a* */
	const char *format;               /* NULL: any */
	double      width_min, width_max; /* 0, 0: any */
};

struct xapian_peer *xapian_peer_open(void);
void xapian_peer_add(struct xapian_peer *peer, const struct xapian_document *document);
void xapian_peer_commit(struct xapian_peer *peer);
/* The best 10; returns how many there were. */
unsigned xapian_peer_query(struct xapian_peer *peer, const struct xapian_query *query);
const char *xapian_peer_version(void);
void xapian_peer_close(struct xapian_peer *peer);
#ifdef __cplusplus
}
#endif

/* bench/xapian_peer.cc: Xapian as bench_search's second peer: see xapian_peer.h. A database on
 * disk, without syncs, since Xapian's own in memory is a toy; it lies in the cache. Words and
 * tags have positions; the format is a boolean term, the width a value. */
#include "xapian_peer.h"

#include <stdlib.h>
#include <string.h>
#include <string>
#include <xapian.h>

struct xapian_peer {
	std::string path;
	Xapian::WritableDatabase database;
	Xapian::QueryParser parser;
};

struct xapian_peer *xapian_peer_open(void)
{
	char path[] = "/tmp/bench-xapian-XXXXXX";
	if (mkdtemp(path) == NULL)
		abort();
	struct xapian_peer *peer = new xapian_peer;
	peer->path = path;
	peer->database = Xapian::WritableDatabase(path, Xapian::DB_CREATE_OR_OPEN | Xapian::DB_NO_SYNC);
	return peer;
}

static void add_words(Xapian::Document &document, const char *text, unsigned &position)
{
	while (*text != 0) {
		size_t len = strcspn(text, " ,");
		if (len > 0)
			document.add_posting(std::string(text, len), ++position);
		text += len + (text[len] != 0);
	}
	position += 100;
}

void xapian_peer_add(struct xapian_peer *peer, const struct xapian_document *from)
{
	Xapian::Document document;
	unsigned position = 0;
	add_words(document, from->title, position);
	add_words(document, from->caption, position);
	add_words(document, from->tags, position);
	document.add_boolean_term(std::string("XF") + from->format);
	document.add_value(0, Xapian::sortable_serialise(from->width));
	peer->database.add_document(document);
}

void xapian_peer_commit(struct xapian_peer *peer)
{
	peer->database.commit();
	peer->parser.set_database(peer->database);
	peer->parser.set_default_op(Xapian::Query::OP_AND);
}

unsigned xapian_peer_query(struct xapian_peer *peer, const struct xapian_query *from)
{
	unsigned flags = Xapian::QueryParser::FLAG_BOOLEAN | Xapian::QueryParser::FLAG_PHRASE |
	    Xapian::QueryParser::FLAG_WILDCARD;
	Xapian::Query query = peer->parser.parse_query(from->text, flags);
	if (from->format != NULL)
		query = Xapian::Query(Xapian::Query::OP_FILTER, query,
		    Xapian::Query(std::string("XF") + from->format));
	if (from->width_max > 0)
		query = Xapian::Query(Xapian::Query::OP_FILTER, query,
		    Xapian::Query(Xapian::Query::OP_VALUE_RANGE, 0,
		        Xapian::sortable_serialise(from->width_min),
		        Xapian::sortable_serialise(from->width_max)));
	Xapian::Enquire enquire(peer->database);
	enquire.set_query(query);
	return enquire.get_mset(0, 10).size();
}

const char *xapian_peer_version(void)
{
	return Xapian::version_string();
}

void xapian_peer_close(struct xapian_peer *peer)
{
	std::string command = "rm -rf " + peer->path;
	peer->database.close();
	delete peer;
	if (system(command.c_str()) != 0)
		abort();
}

/* engine/clients.c: see clients.h. */
#include "engine/clients.h"

#include "engine/transaction.h"

uint64_t session_bytes(const struct session *session)
{
	uint64_t bytes = sizeof(*session) + session->input_bytes + session->out.bytes.cap;
	for (struct list *at = session->slots.next; at != &session->slots; at = at->next) {
		const struct slot *slot = LIST_OF(at, struct slot, link);
		bytes += sizeof(*slot) + slot->reply.bytes.cap;
	}
	if (session->transaction != NULL)
		bytes += session->transaction->bytes;
	return bytes;
}

/* All of them together; *largest: of those that may go, or NULL. */
static uint64_t clients_bytes(struct engine *engine, struct session **largest)
{
	uint64_t total = 0, most = 0;
	struct list *head = &engine->sessions;
	*largest = NULL;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (session->closing || session->no_evict || session->replica != NULL)
			continue;
		uint64_t bytes = session_bytes(session);
		total += bytes;
		if (bytes > most) {
			most = bytes;
			*largest = session;
		}
	}
	return total;
}

void clients_limit(struct engine *engine)
{
	enum { MOST = 64 };
	uint64_t limit = engine->settings->maxmemory_clients;
	struct session *largest;
	for (unsigned i = 0; limit > 0 && i < MOST; i++) {
		uint64_t total = clients_bytes(engine, &largest);
		if (total <= limit || largest == NULL)
			return;
		log_warning(engine->log,
		    "client %llu (%s) is closed: it takes %llu bytes, all clients together %llu",
		    (unsigned long long)largest->id, largest->address,
		    (unsigned long long)session_bytes(largest), (unsigned long long)total);
		engine->counters.evicted_clients++;
		largest->ops->close(largest);
	}
}

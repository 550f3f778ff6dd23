/* engine/clients.h: maxmemory-clients: what all clients together may take.
 *
 * Looked at ten times a second. Above the limit those go that take the most, as with Redis: not those that
 * asked for NO-EVICT, and no replicas. Bodies that clients share are nobody's.
 */
#pragma once
#include "engine/engine.h"

/* What this client takes: its state, what it sent and has not been done, what waits for it. */
uint64_t session_bytes(const struct session *session);
void clients_limit(struct engine *engine);

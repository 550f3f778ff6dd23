/* engine/tier.h: lifecycle policies and the mover between tiers.
 *
 * A policy names images (by prefix, tag, size) and says after how long, since upload or
 * since the last access, they belong on another tier. Each image follows the first policy,
 * by name, that names it; the policy "default" comes last. Policies are SETTING records.
 *
 * The scanner walks the directories a few entries a pass; what is due goes into a bounded
 * queue; the mover copies a few at a time within `tier-bandwidth`. An image is readable
 * where it was until its copy is durable.
 */
#pragma once
#include "engine/internal.h"

#define POLICY_SETTING "tier-policy:"     /* the key of a SETTING begins so */
enum { POLICY_NAME_MAX = 64, POLICY_TEXT_MAX = 512, POLICIES_MAX = 64 };
enum tier_basis { BASIS_CREATED, BASIS_ACCESSED };

struct policy {
	struct list     link;             /* in order of name, "default" last */
	char            name[POLICY_NAME_MAX];
	char            prefix[128], tag[128];
	uint32_t        prefix_len;
	uint64_t        bytes_min;
	enum tier_basis basis;
	int64_t         warm_s, cold_s, delete_s;       /* -1: never */
	bool            promote;
	struct place    place;            /* of its SETTING record */
};

/* From the words behind POLICY SET name. ERR_INVALID; `why` is static. */
MUST_CHECK enum err policy_parse(
    struct policy *policy, const struct span *argv, uint32_t argc, const char **why);
/* The same words again: "PREFIX a/ BASIS created WARM 30d". */
void policy_format(const struct policy *policy, struct buf *out);
/* "30d", "12h", "15m", "90s" or seconds. */
MUST_CHECK bool policy_duration(struct span text, int64_t *seconds);

/* Logs and installs it. */
MUST_CHECK enum err tiers_set_policy(
    struct engine *engine, const struct policy *policy, uint64_t *lsn);
MUST_CHECK enum err tiers_delete_policy(
    struct engine *engine, struct span name, uint64_t *lsn); /* ERR_NOTFOUND */
const struct list *tiers_policies(const struct engine *engine);

/* One image to another tier; `done` always runs, also with ERR_NOTFOUND if it died. */
struct tier_request {
	void (*done)(struct tier_request *request, enum err err);
	void  *ctx;
};
MUST_CHECK enum err tiers_move(struct engine *engine, uint8_t db, struct entry *entry,
    enum tier tier, struct tier_request *request);

/* What a full run would do now, without doing it, or starts one. */
struct tier_plan {
	uint64_t scanned, to_warm, to_hot, to_delete, bytes;
	uint64_t wants_cold;              /* due for the cold tier, which this build has not */
};
/* done() runs when the scan is through and, unless `dry`, all it found has been moved. */
struct tier_run {
	struct list      link;
	bool             dry;
	struct tier_plan plan;
	void           (*done)(struct tier_run *run);
	void            *ctx;
	/* the scanner's */
	unsigned         db;
	uint64_t         cursor;
	uint32_t         waiting;
	bool             scanned_all;
};
void tiers_run(struct engine *engine, struct tier_run *run);
/* An image on the warm tier was read: back to hot if its policy says PROMOTE. */
void tiers_accessed(struct engine *engine, uint8_t db, struct entry *entry);
/* One small step of scanning and moving. True: there is more to do at once. */
bool tiers_step(struct engine *engine);

/* tests/unit/engine/ending_test.c: what clients hear of replication while the server is ending. */
#include "tests/unit/engine/stage.h"

#include "engine/replica/replica.h"

#include <criterion/criterion.h>

static uint32_t count_of(struct span text, const char *word)
{
	uint32_t count = 0;
	size_t len = strlen(word);
	for (size_t at = 0; at + len <= text.len; at++)
		count += memcmp(text.ptr + at, word, len) == 0;
	return count;
}

/* Commands that come when the end has begun: they are answered, and change nothing. */
static void ask_while_ending(struct stage *stage, const char *role)
{
	const struct replication *replication = stage_engine(stage)->replication;
	bool follows = replication->is_follower;
	server_stop(stage->server, 0);
	cr_assert(replication->closed);
	sim_peer_send(stage->client, SPAN_LIT("INFO replication\r\nREPLICAOF 127.0.0.1 7009\r\n"
	    "REPLICAOF NO ONE\r\nSLAVEOF NO ONE\r\nFAILOVER\r\nFAILOVER ABORT\r\nROLE\r\nINFO replication\r\n"));
	while (server_pass(stage->server))
		cr_assert_eq(stage_engine(stage)->replication->is_follower, follows);
	const struct span heard = buf_span(sim_peer_received(stage->client));
	cr_assert(count_of(heard, "-ERR the server is ending\r\n") == 5, "%.*s", (int)heard.len,
	    (const char *)heard.ptr);
	cr_assert_eq(count_of(heard, role), 2);
}

Test(ending, a_leader_says_who_it_is_and_takes_no_other_role)
{
	struct stage stage;
	struct actor follower;
	stage_begin(&stage);
	stage_put_image(&stage, "a", 10000);
	actor_enter(&follower, &stage);
	ask_while_ending(&stage, "role:master");
	actor_leave(&follower);
	stage_end(&stage);
}

Test(ending, so_does_a_follower)
{
	struct stage stage;
	const struct span words[] = {SPAN_LIT("REPLICAOF"), SPAN_LIT("127.0.0.1"), SPAN_LIT("7008")};
	stage_begin(&stage);
	stage_put_image(&stage, "a", 10000);
	stage_command(&stage, words, ARRAY_COUNT(words));
	ask_while_ending(&stage, "role:slave");
	stage_end(&stage);
}

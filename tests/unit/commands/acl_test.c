/* tests/unit/commands/acl_test.c: rules of users beside a naive oracle that walks through all words. */
#include "commands/acl.h"

#include "base/glob.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(acl, .timeout = 60);

static struct engine engine;

static void begin(void)
{
	engine = (struct engine){0};
	engine.commands = command_state_new(&engine.memory.engine);
}

static void end(void)
{
	command_state_free(&engine.memory.engine, engine.commands);
	cr_expect_eq(engine.memory.engine.bytes, 0, "%lu bytes leak", engine.memory.engine.bytes);
}

/* ---- The oracle: the last word about a thing counts ---- */

enum { WORDS = 6, CASES = 1000000 };

static const char *const command_words[] = {"+get", "-get", "+set", "-set", "+del", "+@read", "-@read", "+@write",
    "-@write", "+@all", "-@all", "allcommands", "nocommands", "+client|id", "-client", "+client", "-client|id",
    "+@dangerous", "-@dangerous", "+copy", "+subscribe", "+@pubsub", "+img.put", "-@image", "+@keyspace"};
static const char *const other_words[] = {"~a*", "~b?", "%R~c*", "%W~c*", "%RW~d", "allkeys", "resetkeys", "&x*",
    "&y", "allchannels", "resetchannels"};

struct question {
	const char *words[4];
	uint32_t    argc;
	uint32_t    reads, writes;        /* bits of arguments that are keys */
	uint32_t    channel;              /* an argument, or 0 */
};
static const struct question questions[] = {
    {{"get", "a1"}, 2, 2, 0, 0}, {{"set", "b2", "v"}, 3, 0, 2, 0}, {{"get", "c"}, 2, 2, 0, 0},
    {{"set", "c", "v"}, 3, 0, 2, 0}, {{"set", "c", "v", "GET"}, 4, 2, 2, 0}, {{"del", "a", "d"}, 3, 0, 6, 0},
    {{"copy", "c1", "d"}, 3, 2, 4, 0}, {{"getdel", "d"}, 2, 2, 2, 0}, {{"client", "id"}, 2, 0, 0, 0},
    {{"client", "list"}, 2, 0, 0, 0}, {{"subscribe", "x1"}, 2, 0, 0, 1}, {{"publish", "z", "m"}, 3, 0, 0, 1},
    {{"img.put", "b1", "data"}, 3, 0, 2, 0}, {{"flushall"}, 1, 0, 0, 0}};

static bool word_is_about(const char *word, const struct command *command)
{
	char full[80];
	const char *name = word + 1;
	command_full_name(command, full, sizeof(full));
	if (name[0] == '@')
		return (command_categories(command) & acl_category(span_text(name + 1))) != 0;
	size_t len = strlen(name);
	return strcmp(name, full) == 0 || (strncmp(full, name, len) == 0 && full[len] == '|');
}

static bool oracle_command(const char *const *words, const struct command *command)
{
	bool allowed = false;
	for (int i = 0; i < WORDS; i++) {
		const char *word = words[i];
		if (strcmp(word, "+@all") == 0 || strcmp(word, "allcommands") == 0)
			allowed = true;
		else if (strcmp(word, "-@all") == 0 || strcmp(word, "nocommands") == 0)
			allowed = false;
		else if ((word[0] == '+' || word[0] == '-') && word_is_about(word, command))
			allowed = word[0] == '+';
	}
	return allowed;
}

/* `access`: of KEY_READ and KEY_WRITE, together from all patterns of one text that match. */
static bool oracle_key(const char *const *words, const char *key, unsigned access)
{
	unsigned granted = 0;
	for (int i = 0; i < WORDS; i++) {
		const char *word = words[i], *tilde = strchr(word, '~');
		if (strcmp(word, "allkeys") == 0 || strcmp(word, "resetkeys") == 0)
			granted = word[0] == 'a' ? 7 : 0;
		if (tilde == NULL || !glob_match(span_text(tilde + 1), span_text(key), false))
			continue;
		bool r = word[0] == '~' || strchr(word, 'R') != NULL;
		bool w = word[0] == '~' || strchr(word, 'W') != NULL;
		granted |= (r ? KEY_READ : 0U) | (w ? KEY_WRITE : 0U);
	}
	return (granted & access) == access;
}

static bool oracle_channel(const char *const *words, const char *channel)
{
	bool granted = false;
	for (int i = 0; i < WORDS; i++) {
		if (strcmp(words[i], "allchannels") == 0 || strcmp(words[i], "resetchannels") == 0)
			granted = words[i][0] == 'a';
		else if (words[i][0] == '&')
			granted = granted || glob_match(span_text(words[i] + 1), span_text(channel), false);
	}
	return granted;
}

static bool oracle(
    const char *const *words, const struct question *question, const struct command *command)
{
	if (!oracle_command(words, command))
		return false;
	for (uint32_t i = 1; i < question->argc; i++) {
		unsigned access = (question->reads >> i & 1 ? KEY_READ : 0U) |
		    (question->writes >> i & 1 ? KEY_WRITE : 0U);
		if (access != 0 && !oracle_key(words, question->words[i], access))
			return false;
	}
	return question->channel == 0 || oracle_channel(words, question->words[question->channel]);
}

static bool ask(const struct acl_rules *rules, const struct question *question,
    const struct command **command)
{
	struct span argv[4];
	uint32_t at;
	for (uint32_t i = 0; i < question->argc; i++)
		argv[i] = span_text(question->words[i]);
	*command = command_find(&engine, argv, question->argc);
	cr_assert_not_null(*command);
	return acl_check(rules, *command, argv, question->argc, &at) == ACL_ALLOWED;
}

/* A pattern behind "allkeys" is refused, and then changes nothing. */
static const char *pick(struct random *random, struct acl_rules *rules)
{
	const char *why, *word = random_below(random, 2)
	    ? command_words[random_below(random, ARRAY_COUNT(command_words))]
	    : other_words[random_below(random, ARRAY_COUNT(other_words))];
	return acl_rules_set(rules, span_text(word), &why) ? word : "";
}

Test(acl, a_million_questions_are_answered_as_by_a_naive_oracle)
{
	struct random random;
	uint64_t allowed = 0;
	begin();
	random_init(&random, 7);
	for (uint32_t done = 0; done < CASES;) {
		const char *words[WORDS], *why;
		struct acl_rules *rules = acl_rules_new(&engine), *again = acl_rules_new(&engine);
		struct buf text;
		for (int i = 0; i < WORDS; i++)
			words[i] = pick(&random, rules);
		buf_init(&text, &engine.memory.engine);
		acl_describe(rules, &text);
		cr_assert(acl_rules_parse(again, buf_span(&text), &why), "%.*s: %s", (int)text.len,
		    text.ptr, why);
		for (size_t i = 0; i < ARRAY_COUNT(questions); i++, done++) {
			const struct command *command;
			bool answer = ask(rules, &questions[i], &command);
			bool right = oracle(words, &questions[i], command);
			cr_assert_eq(answer, right, "%s %s %s %s %s %s: %s %s", words[0], words[1], words[2],
			    words[3], words[4], words[5], questions[i].words[0],
			    questions[i].argc > 1 ? questions[i].words[1] : "");
			cr_assert_eq(ask(again, &questions[i], &command), right, "%.*s", (int)text.len, text.ptr);
			allowed += right;
		}
		buf_fini(&text);
		acl_rules_free(&engine.memory.engine, rules);
		acl_rules_free(&engine.memory.engine, again);
	}
	cr_expect(allowed > CASES / 50 && allowed < CASES / 2, "%lu were allowed", allowed);
	end();
}

Test(acl, one_selector_must_allow_all_of_it)
{
	const char *why;
	uint32_t at;
	begin();
	struct acl_rules *rules = acl_rules_new(&engine);
	cr_assert(acl_rules_parse(rules, span_text("on +get ~a (+set ~b) (+@all %R~c resetchannels)"), &why));
	const struct question fine[] = {{{"get", "a"}, 2, 0, 0, 0}, {{"set", "b", "1"}, 3, 0, 0, 0},
	    {{"get", "c"}, 2, 0, 0, 0}};
	const struct question not[] = {{{"get", "b"}, 2, 0, 0, 0}, {{"set", "a", "1"}, 3, 0, 0, 0},
	    {{"set", "c", "1"}, 3, 0, 0, 0}};
	const struct command *command;
	for (int i = 0; i < 3; i++) {
		cr_expect(ask(rules, &fine[i], &command), "%s %s", fine[i].words[0], fine[i].words[1]);
		cr_expect_not(ask(rules, &not[i], &command), "%s %s", not[i].words[0], not[i].words[1]);
	}
	const struct span copy[] = {SPAN_LIT("copy"), SPAN_LIT("c"), SPAN_LIT("d")};
	cr_expect_eq(acl_check(rules, command_find(&engine, copy, 3), copy, 3, &at), ACL_NO_KEY);
	cr_expect_eq(at, 2);
	acl_rules_free(&engine.memory.engine, rules);
	end();
}

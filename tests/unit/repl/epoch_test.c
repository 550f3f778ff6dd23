/* tests/unit/repl/epoch_test.c: epochs as words. */
#include "repl/epoch.h"

#include <criterion/criterion.h>

Test(epoch, words_come_back_and_nonsense_does_not)
{
	static const char *const nonsense[] = {"", "1", "1:2", "1:2:", ":2:3", "a:b:c"};
	const struct epoch epoch = {.number = UINT32_MAX, .tag = 0xfedcba98, .first = UINT64_MAX};
	struct epoch back, other = epoch;
	char word[EPOCH_TEXT];
	struct span text = epoch_word(word, &epoch);
	cr_assert_eq(text.len, EPOCH_TEXT - 4, "room for spaces");
	cr_assert_eq(epoch_scan(word, &back), (int)text.len);
	cr_assert(epoch_equal(&epoch, &back));
	other.tag++;
	cr_assert_not(epoch_equal(&epoch, &other));
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		cr_assert_eq(epoch_scan(nonsense[i], &back), 0, "%s", nonsense[i]);
}

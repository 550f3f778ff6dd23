/* tests/unit/resp/reply_test.c: replies in both protocols; references to foreign bytes. */
#include "resp/reply.h"

#include <criterion/criterion.h>

static struct memory memory;

static void expect(struct reply *reply, const char *want)
{
	cr_assert(span_equal(buf_span(&reply->bytes), span_text(want)), "%.*s",
	    (int)reply->bytes.len, (const char *)reply->bytes.ptr);
	reply_clear(reply);
}

Test(reply, resp2_and_resp3_forms)
{
	struct reply two, three;
	reply_init(&two, &memory, 2);
	reply_init(&three, &memory, 3);
	reply_null(&two);
	expect(&two, "$-1\r\n");
	reply_null(&three);
	expect(&three, "_\r\n");
	reply_map(&two, 2);
	expect(&two, "*4\r\n");
	reply_map(&three, 2);
	expect(&three, "%2\r\n");
	reply_double(&two, 1.5);
	expect(&two, "$3\r\n1.5\r\n");
	reply_double(&three, 1.5);
	expect(&three, ",1.5\r\n");
	reply_bool(&two, true);
	expect(&two, ":1\r\n");
	reply_bool(&three, true);
	expect(&three, "#t\r\n");
	reply_verbatim(&three, SPAN_LIT("hi"));
	expect(&three, "=6\r\ntxt:hi\r\n");
	reply_int(&two, INT64_MIN);
	expect(&two, ":-9223372036854775808\r\n");
	reply_fini(&two);
	reply_fini(&three);
}

Test(reply, an_error_is_one_line)
{
	struct reply reply;
	reply_init(&reply, &memory, 2);
	reply_error(&reply, "ERR a\r\nb%s", "\n+OK");
	expect(&reply, "-ERR a  b +OK\r\n");
	reply_fini(&reply);
}

static void release(void *owner)
{
	++*(int *)owner;
}

Test(reply, references_are_released_once)
{
	struct reply first, second;
	int released = 0;
	reply_init(&first, &memory, 2);
	reply_init(&second, &memory, 2);
	reply_ok(&first);
	reply_bulk_ref(&second, SPAN_LIT("body"), release, &released);
	reply_take(&first, &second);
	cr_assert_eq(first.ref_count, 1);
	cr_assert_eq(first.refs[0].at, 5 + 4);
	cr_assert(reply_is_empty(&second));
	size_t bytes = first.bytes.len;
	reply_bulk_ref(&first, SPAN_LIT("more"), release, &released);
	reply_cut(&first, bytes, 1);
	cr_assert_eq(released, 1);
	reply_fini(&first);
	reply_fini(&second);
	cr_assert_eq(released, 2);
	cr_assert_eq(memory.bytes, 0);
}

/* engine/policy.c: a tier policy as words and back. */
#include "engine/tier.h"

#include "base/arith.h"
#include "base/number.h"

bool policy_duration(struct span text, int64_t *seconds)
{
	static const struct { uint8_t unit; int64_t seconds; } units[] = {
		{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400},
	};
	int64_t factor = 1;
	if (text.len == 0)
		return false;
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if ((text.ptr[text.len - 1] | 0x20) == units[i].unit) {
			factor = units[i].seconds;
			text.len--;
			break;
		}
	}
	int64_t count;
	return number_parse_range(text, 0, INT64_C(1) << 40, &count) &&
	    mul_i64(count, factor, seconds);
}

static bool copy_text(struct span from, char *to, size_t cap)
{
	if (from.len >= cap)
		return false;
	memcpy(to, from.ptr, from.len);
	to[from.len] = 0;
	return true;
}

/* One option with its value. */
static bool policy_option(struct policy *policy, struct span name, struct span value)
{
	uint64_t bytes;
	if (span_is(name, "PREFIX")) {
		policy->prefix_len = (uint32_t)value.len;
		return copy_text(value, policy->prefix, sizeof(policy->prefix));
	}
	if (span_is(name, "TAG"))
		return value.len > 0 && copy_text(value, policy->tag, sizeof(policy->tag));
	if (span_is(name, "MINBYTES")) {
		if (!number_parse_bytes(value, &bytes))
			return false;
		policy->bytes_min = bytes;
		return true;
	}
	if (span_is(name, "BASIS")) {
		policy->basis = span_is(value, "accessed") ? BASIS_ACCESSED : BASIS_CREATED;
		return span_is(value, "accessed") || span_is(value, "created");
	}
	if (span_is(name, "WARM"))
		return policy_duration(value, &policy->warm_s);
	if (span_is(name, "COLD"))
		return policy_duration(value, &policy->cold_s);
	if (span_is(name, "DELETE"))
		return policy_duration(value, &policy->delete_s);
	return false;
}

enum err policy_parse(
    struct policy *policy, const struct span *argv, uint32_t argc, const char **why)
{
	static const char *const names[] = {
	    "PREFIX", "TAG", "MINBYTES", "BASIS", "WARM", "COLD", "DELETE"};
	bool seen[ARRAY_COUNT(names)] = {false};
	policy->warm_s = policy->cold_s = policy->delete_s = -1;
	*why = "syntax error";
	for (uint32_t i = 0; i < argc; i++) {
		if (span_is(argv[i], "PROMOTE") && !policy->promote) {
			policy->promote = true;
			continue;
		}
		size_t at = 0;
		while (at < ARRAY_COUNT(names) && !span_is(argv[i], names[at]))
			at++;
		if (at == ARRAY_COUNT(names) || seen[at] || i + 1 >= argc)
			return ERR_INVALID;
		seen[at] = true;
		if (!policy_option(policy, argv[i], argv[i + 1])) {
			*why = "invalid value in policy";
			return ERR_INVALID;
		}
		i++;
	}
	if (policy->warm_s < 0 && policy->cold_s < 0 && policy->delete_s < 0) {
		*why = "a policy needs WARM, COLD or DELETE";
		return ERR_INVALID;
	}
	return OK;
}

static void append_duration(struct buf *out, const char *name, int64_t seconds)
{
	if (seconds < 0)
		return;
	if (seconds > 0 && seconds % 86400 == 0)
		buf_printf(out, " %s %lldd", name, (long long)(seconds / 86400));
	else if (seconds > 0 && seconds % 3600 == 0)
		buf_printf(out, " %s %lldh", name, (long long)(seconds / 3600));
	else
		buf_printf(out, " %s %llds", name, (long long)seconds);
}

static void append_quoted(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "%s \"", name);
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\')
			buf_append_u8(out, '\\');
		if ((uint8_t)*text < 32)
			buf_printf(out, "\\x%02x", (uint8_t)*text);
		else
			buf_append_u8(out, (uint8_t)*text);
	}
	buf_append_text(out, "\" ");
}

void policy_format(const struct policy *policy, struct buf *out)
{
	if (policy->prefix_len > 0)
		append_quoted(out, "PREFIX", policy->prefix);
	if (policy->tag[0] != 0)
		append_quoted(out, "TAG", policy->tag);
	if (policy->bytes_min > 0)
		buf_printf(out, "MINBYTES %llu ", (unsigned long long)policy->bytes_min);
	buf_printf(out, "BASIS %s", policy->basis == BASIS_ACCESSED ? "accessed" : "created");
	append_duration(out, "WARM", policy->warm_s);
	append_duration(out, "COLD", policy->cold_s);
	append_duration(out, "DELETE", policy->delete_s);
	if (policy->promote)
		buf_append_text(out, " PROMOTE");
}

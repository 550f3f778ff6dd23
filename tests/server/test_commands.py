"""COMMAND and ACL DRYRUN beside redis-server: what clients, proxies and rules are told of each command is what Redis tells.

Redis 7.0 is the peer. What may differ is listed here, with its reason."""
import pytest

from wire import Wire

# 7.2 takes WITHSCORE; a command without arguments has no keys, and says that itself.
ARITY = {"zrank", "zrevrank", "command|getkeys", "command|getkeysandflags"}
# Not inside MULTI here; a replica is one from its first moment; there is no cluster.
FLAGS = {"monitor", "failover", "replicaof", "slaveof", "cluster"}
# Containers whose subcommands are listed in README.md.
PARTS = {"client", "cluster", "debug", "function", "script"}


def plain(reply):
    if isinstance(reply, list):
        return [plain(part) for part in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


def without_notes(spec):
    pairs = dict(zip(spec[::2], spec[1::2]))
    return {**pairs, "flags": sorted(pairs["flags"]), "notes": None}


def told(info):
    return {"arity": info[1], "flags": sorted(info[2]), "keys": info[3:6], "acl": sorted(info[6]), "tips": sorted(info[7]),
            "specs": [without_notes(spec) for spec in info[8]], "parts": sorted(part[0] for part in info[9])}


def every_command(port):
    with Wire(port) as wire:
        rows = [row for top in plain(wire.command("COMMAND")) for row in (top, *top[9])]
    return {row[0]: told(row) for row in rows}


def test_what_is_told_of_each_command(server, peer):
    ours, theirs = every_command(server.port), every_command(peer)
    shared = sorted(set(ours) & set(theirs))
    assert len(shared) > 240
    for name in shared:
        for field, skip in (("arity", ARITY), ("flags", FLAGS), ("keys", ()), ("acl", ()), ("tips", ()), ("specs", ()), ("parts", PARTS)):
            assert name in skip or ours[name][field] == theirs[name][field], (name, field)


def test_the_list_has_subcommands_and_can_be_filtered(server, peer):
    with Wire(server.port) as wire, Wire(peer) as other:
        every = plain(wire.command("COMMAND", "LIST"))
        assert {"get", "client|kill", "img.put", "img.tier|set"} <= set(every) and len(every) == len(set(every))
        for words in (["PATTERN", "ob*"], ["PATTERN", "config|*"], ["ACLCAT", "hash"], ["ACLCAT", "nosuch"], ["MODULE", "x"]):
            mine, other_list = (sorted(plain(w.command("COMMAND", "LIST", "FILTERBY", *words))) for w in (wire, other))
            assert mine == other_list, words
        for words in (["INFO", "nosuch", "get|x"], ["DOCS", "nosuch"]):
            assert wire.typed("COMMAND", *words) == other.typed("COMMAND", *words)


KEYS = """GET a|SET a 1|SET a 1 GET|SET a 1 EX 3|MSET a 1 b 2|LMOVE a b LEFT LEFT|ZUNIONSTORE d 2 a b|SORT a STORE b|SORT a BY w_* GET #|
DEL a b|BITOP AND d a b|BITFIELD a GET u8 0|BITFIELD a SET u8 0 1|BITFIELD a OVERFLOW SAT INCRBY u8 0 1|RENAME a b|COPY a b|SMOVE a b c|
EXISTS a b|TYPE a|SINTERCARD 2 a b|SINTERSTORE d a b|ZRANGESTORE d a 0 1|GETSET a b|GETEX a|INCR a|APPEND a b|LCS a b|MOVE a 1|
SPUBLISH a m|SSUBSCRIBE a b|BLMPOP 0 2 a b LEFT|BZPOPMIN a b 0|OBJECT ENCODING a|MEMORY USAGE a|WATCH a b|RESTORE a 0 x|PERSIST a|TOUCH a|SETNX a b|ZINTER 1 a"""


@pytest.mark.parametrize("resp", [2, 3])
def test_keys_and_what_is_done_to_them(twins, resp):
    for line in KEYS.replace("\n", "").split("|"):
        twins.same(["COMMAND", "GETKEYS", *line.split()], resp)
        twins.same(["COMMAND", "GETKEYSANDFLAGS", *line.split()], resp)


def test_key_permissions(server, peer):
    """Who reads needs %R~, who changes %W~; who asks only for a length or a type, either. A shard channel is no key."""
    rules = {"reader": ["%R~*"], "writer": ["%W~*"], "none": [], "apart": ["%R~a", "%W~b"], "channels": ["~key", "&a"]}
    questions = KEYS.replace("\n", "").split("|") + ["STRLEN a", "LLEN a", "HLEN a", "HEXISTS a f", "HSTRLEN a f", "SCARD a", "ZCARD a",
        "SISMEMBER a m", "SMISMEMBER a m", "HGET a f", "BITFIELD_RO a GET u8 0", "TTL a", "SSUBSCRIBE a", "SPUBLISH a m", "SUNSUBSCRIBE a"]
    with Wire(server.port) as wire, Wire(peer) as other:
        for user, patterns in rules.items():
            for each in (wire, other):
                assert each.command("ACL", "SETUSER", user, "on", "nopass", "+@all", *patterns) == b"+OK"
            for question in questions:
                mine, their = (each.command("ACL", "DRYRUN", user, *question.split()) for each in (wire, other))
                assert mine.replace(b"User " + user.encode(), b"This user") == their, (user, question)


def test_rules_for_commands_that_are_not_there(server, peer):
    with Wire(server.port) as wire, Wire(peer) as other:
        for each in (wire, other):
            assert each.command("ACL", "SETUSER", "web", "on", "nopass", "~*", "+@all", "-@stream", "-@geo", "-@hyperloglog") == b"+OK"
            assert each.command("ACL", "DRYRUN", "web", "GET", "a") == b"+OK"
        assert [name for name in wire.command("ACL", "CAT") if name != b"image"] == other.command("ACL", "CAT")
        assert wire.command("ACL", "CAT", "geo") == []


def hint(arguments, between=" "):
    """As redis-cli writes them."""
    shown = []
    for one in arguments:
        inner = hint(one["arguments"], "|" if one["type"] == "oneof" else " ") if "arguments" in one else one["name"]
        token = one.get("token", "")
        text = token if one["type"] == "pure-token" else f"{token} {inner}".strip()
        flags = one.get("flags", [])
        if "multiple" in flags:
            text = f"{text} [{text if 'multiple_token' in flags else inner} ...]"
        shown.append(f"[{text}]" if "optional" in flags else text)
    return between.join(shown)


def plain_map(reply):
    """A map of RESP2, with the arguments in it."""
    fields = {key.decode(): value for key, value in zip(reply[::2], reply[1::2])}
    for key in ("name", "type", "token", "syntax", "summary"):
        if key in fields:
            fields[key] = fields[key].decode()
    if "flags" in fields:
        fields["flags"] = [flag.decode().lstrip("+") for flag in fields["flags"]]
    for key in ("arguments", "subcommands"):
        if key in fields:
            fields[key] = [plain_map(one) for one in fields[key]] if key == "arguments" else dict(
                (name.decode(), plain_map(one)) for name, one in zip(fields[key][::2], fields[key][1::2]))
    return fields


def test_docs_have_arguments(server):
    with Wire(server.port) as wire:
        reply = wire.command("COMMAND", "DOCS")
    docs = {name.decode(): plain_map(one) for name, one in zip(reply[::2], reply[1::2])}
    assert all(("arguments" in one) == (one["syntax"] != "") for one in docs.values())
    shown = {name: hint(one["arguments"]) for name, one in docs.items() if "arguments" in one}
    for name in ("get", "set", "mset", "del", "hset", "zadd", "blmpop", "zrange", "lpos", "hrandfield", "bitcount", "copy", "sintercard", "expire"):
        assert shown[name] == docs[name]["syntax"], name
    assert shown["img.put"].startswith("key data [NX|XX] [TITLE t] [CAPTION t] [TAGS a,b,c] [ATTR field value [ATTR field value ...]] [LOCATION lon lat]")
    assert shown["failover"] == "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]"
    assert shown["img.get"].endswith("[RANGE first last] [AT time|AT LSN n]")
    kill = docs["client"]["subcommands"]["client|kill"]
    assert hint(kill["arguments"]).startswith("ip:port|")
    key, value, condition = docs["set"]["arguments"][:3]
    assert (key["type"], value["type"], condition["type"], condition["flags"]) == ("key", "string", "oneof", ["optional"])
    assert [one["token"] for one in condition["arguments"]] == ["NX", "XX"]

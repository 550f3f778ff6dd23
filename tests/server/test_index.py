"""IMG.INDEX: what attributes are: declared, listed, taken back; documents follow, before and after restarts."""
import pytest
import redis

from conftest import until
from images import png, put
from wire import Wire


def search(client, query, *words):
    reply = client.execute_command("IMG.SEARCH", query, "NOCONTENT", *words)
    return [key.decode() for key in reply[1:]]


def index(client, *words):
    return client.execute_command("IMG.INDEX", *words)


def filled(client):
    until(lambda: client.info("search")["search_refill_left"] == 0)


@pytest.fixture
def six(client):
    values = {"a": ("10", "2024-03-01", "2.35,48.86", "yes"), "b": ("9", "2024", "2.5,48.9", "No"), "c": ("abc", "nodate", "nowhere", "maybe"),
              "d": ("1e3", "1700000000000", "200,3", "1"), "e": ("", "2023-12", "-70,40", "off"), "f": None}
    for key, row in values.items():
        words = sum((["ATTR", name, value] for name, value in zip(("n", "when", "where", "ok"), row)), []) if row else []
        put(client, key, png(8, 8), *words)
    return client


def expect_declared(client):
    assert set(search(client, "@n:[9 10]")) == {"a", "b"} and search(client, "@n:{abc}") == []
    assert search(client, "@n:[0 +inf]", "SORTBY", "n") == ["b", "a", "d"]
    assert set(search(client, "@when:[2024 2024]")) == {"a", "b"} and set(search(client, "@when:[2023 2023]")) == {"d", "e"}
    assert set(search(client, "@where:[2.3 48.8 100 km]")) == {"a", "b"} and search(client, "@where:[-70 40 1 m]") == ["e"]
    assert search(client, "@where:[0 100]") == []
    assert set(search(client, "@ok:{true}")) == {"a", "d"} and set(search(client, "@ok:{false}")) == {"b", "e"}
    assert set(search(client, "ismissing(@n)")) == {"c", "e", "f"} and set(search(client, "ismissing(@ok)")) == {"c", "f"}
    assert search(client, "*") == list("fedcba")


def declare(client):
    for words in (("n", "TYPE", "numeric", "SORTABLE"), ("when", "TYPE", "date"), ("where", "TYPE", "geo"), ("ok", "TYPE", "bool")):
        assert index(client, "ADD", *words) == 1


def test_declared_after_the_images(six):
    assert search(six, "@n:{abc}") == ["c"] and search(six, "@where:[2.3 48.8 100 km]") == []
    declare(six)
    filled(six)
    expect_declared(six)
    assert index(six, "DEL", "n") == 1 and index(six, "DEL", "n") == 0
    filled(six)
    assert search(six, "@n:{abc}") == ["c"] and set(search(six, "@n:[9 10]")) == {"a", "b"} and search(six, "*") == list("fedcba")


def test_declared_before_the_images_and_by_database(server):
    client, other = server.client(), server.client(db=3)
    declare(client)
    for one in (client, other):
        put(one, "k", png(4, 4), "ATTR", "n", "5", "ATTR", "ok", "YES")
    assert search(client, "@ok:{true} @n:[5]") == ["k"] and search(client, "@n:{5}") == []
    assert search(other, "@ok:{yes} @n:{5} @n:[5]") == ["k"]
    assert [row[b"field"] for row in map(lambda one: dict(zip(one[::2], one[1::2])), index(client, "LIST"))] == [b"n", b"when", b"where", b"ok"]
    assert index(other, "LIST") == []


@pytest.mark.parametrize("save", [False, True])
def test_it_survives_kill_9(server, six, save):
    declare(six)
    filled(six)
    index(six, "ADD", "gone", "TYPE", "tag")
    index(six, "DEL", "gone")
    if save:
        six.save()
        index(six, "ADD", "late", "TYPE", "tag", "SORTABLE")
    listed = index(six, "LIST")
    for _ in range(2):
        server.kill()
        server.start()
        client = server.client()
        until(lambda: client.info("persistence").get("async_loading", 0) == 0)
        filled(client)
        assert index(client, "LIST") == listed
        if save:                              # documents come back in the order of the directory
            assert set(search(client, "*")) == set("abcdef") and set(search(client, "@n:[9 10]")) == {"a", "b"}
            assert set(search(client, "@ok:{true}")) == {"a", "d"}
        else:
            expect_declared(client)


def test_changes_while_documents_are_made_again(client):
    pipe = client.pipeline(transaction=False)
    for i in range(3000):
        pipe.execute_command("IMG.PUT", f"k{i}", png(4, 4), "ATTR", "n", str(i))
    pipe.execute()
    index(client, "ADD", "n", "TYPE", "numeric")
    for i in range(200):
        pipe.execute_command("IMG.EDIT", f"k{i * 7}", "ATTR", "n", str(10000 + i))
        pipe.execute_command("DEL", f"k{i * 7 + 1}")
        pipe.execute_command("IMG.PUT", f"new{i}", png(4, 5), "ATTR", "n", "-1")
    pipe.execute()
    filled(client)
    reply = client.execute_command("IMG.SEARCH", "@n:[0 +inf]", "NOCONTENT", "LIMIT", 0, 10000, "COUNT", "EXACT")
    assert reply[0] == 2800 == len(set(reply[1:]))
    assert client.execute_command("IMG.SEARCH", "@n:[10000 +inf]", "NOCONTENT", "COUNT", "EXACT")[0] == 200
    assert client.execute_command("IMG.SEARCH", "@n:[-1]", "NOCONTENT", "COUNT", "EXACT")[0] == 200
    assert client.info("search")["search_documents"] == 3000
    newest = search(client, "*", "LIMIT", 0, 10000)
    assert newest[0] == "new199" and newest.index("new150") < newest.index("new10") < newest.index("k2999") < newest.index("k3")
    index(client, "DEL", "n")
    client.flushdb()
    filled(client)
    assert search(client, "*") == [] and index(client, "LIST") == []


def test_resp3_and_ft_info(server, client):
    index(client, "ADD", "stars", "TYPE", "numeric", "SORTABLE")
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        assert wire.command("IMG.INDEX", "LIST") == [{b"field": b"stars", b"type": b"numeric", b"sortable": b"#t", b"left": b":0"}]
    fields = [field[field.index(b"attribute") + 1] for field in client.ft("images").info()["attributes"]]
    assert b"stars" in fields and b"title" in fields


def test_texts(server, client):
    put(client, "a", png(8, 8), "ATTR", "note", "A Red car, by the sea", "TITLE", "one")
    index(client, "ADD", "note", "TYPE", "text", "SORTABLE")
    index(client, "ADD", "place", "TYPE", "text")
    put(client, "b", png(8, 8), "ATTR", "note", "a blue sea", "ATTR", "place", "the red house", "TITLE", "two")
    put(client, "c", png(8, 8), "ATTR", "place", "carpet shop", "TITLE", "a red thing", "CAPTION", "sea")
    filled(client)

    def expect():
        found = {query: set(search(client, query)) for query in (
            "red", "@note:red", "@place:red", "@title:red", "@note|title:red", "@note:(red car)", '@note:"red car"', '@note:"car red"', "@place:car*", "car*",
            "sea -@note:sea", "@note:%see%", "@note:*lue", '@note:"red sea"=>{$slop:3}', "(red sea)=>{$slop:4}", "ismissing(@place)", "@note:{a blue sea}", "@place:w'h?use'")}
        assert found == {
            "red": {"a", "b", "c"}, "@note:red": {"a"}, "@place:red": {"b"}, "@title:red": {"c"}, "@note|title:red": {"a", "c"}, "@note:(red car)": {"a"},
            '@note:"red car"': {"a"}, '@note:"car red"': set(), "@place:car*": {"c"}, "car*": {"a", "c"}, "sea -@note:sea": {"c"}, "@note:%see%": {"a", "b"},
            "@note:*lue": {"b"}, '@note:"red sea"=>{$slop:3}': {"a"}, "(red sea)=>{$slop:4}": {"a"}, "ismissing(@place)": {"a"}, "@note:{a blue sea}": {"b"},
            "@place:w'h?use'": {"b"}}
        assert search(client, "@note:sea", "SORTBY", "note") == ["b", "a"]
        assert client.execute_command("IMG.SEARCH", "@note:red", "RETURN", "1", "note", "HIGHLIGHT")[2] == [b"note", b"A <b>Red</b> car, by the sea"]
        for words in (["SORTBY", "place"], ["FACET", "1", "place"]):
            with pytest.raises(redis.ResponseError):
                client.execute_command("IMG.SEARCH", "*", *words)
    expect()
    client.execute_command("IMG.EDIT", "a", "ATTR", "note", "nothing")
    assert search(client, "@note:red") == [] and search(client, "@note:nothing") == ["a"]
    client.execute_command("IMG.EDIT", "a", "ATTR", "note", "A Red car, by the sea")
    expect()
    server.stop()
    server.start()                          # from the checkpoint of the shutdown
    client = server.client()
    expect()
    server.kill()
    server.start()
    client = server.client()
    expect()
    types = {field[field.index(b"attribute") + 1]: field[field.index(b"type") + 1] for field in client.ft("images").info()["attributes"]}
    assert types[b"note"] == types[b"place"] == b"TEXT"
    assert index(client, "DEL", "note") == 1
    filled(client)
    with pytest.raises(redis.ResponseError, match="not a text field"):
        search(client, "@note:red")
    assert set(search(client, "red")) == {"b", "c"} and search(client, "@note:{a blue sea}") == ["b"]


def test_texts_are_bounded(client):
    for i in range(12):
        assert index(client, "ADD", f"t{i}", "TYPE", "text") == 1
    with pytest.raises(redis.ResponseError, match="TOOLARGE at most 12 text fields"):
        index(client, "ADD", "more", "TYPE", "text")
    assert index(client, "ADD", "t3", "TYPE", "text", "SORTABLE") == 1 and index(client, "ADD", "t4", "TYPE", "tag") == 1
    assert index(client, "ADD", "more", "TYPE", "text") == 1


@pytest.mark.parametrize("words, error", [
    (["ADD", "f"], "wrong number"), (["ADD", "f", "TYPE"], "wrong number"), (["ADD", "f", "TYPE", "nosuch"], "TYPE is one of"), (["ADD", "f", "SORTABLE", "SORTABLE"], "syntax error"),
    (["ADD", "title", "TYPE", "text"], "is built in"), (["ADD", "title", "TYPE", "tag"], "is built in"), (["ADD", "palette", "TYPE", "tag"], "is built in"),
    (["ADD", "x" * 65, "TYPE", "tag"], "1 to 64 bytes"), (["ADD", "", "TYPE", "tag"], "1 to 64 bytes"), (["ADD", "a b", "TYPE", "tag"], "no blanks"),
    (["ADD", "f", "TYPE", "tag", "NOSUCH"], "syntax error"), (["ADD", "f", "SORTABLE", "TYPE"], "syntax error"), (["DEL"], "wrong number"), (["LIST", "x"], "wrong number"), (["NOSUCH"], "unknown subcommand|Unknown subcommand")])
def test_errors(client, words, error):
    with pytest.raises(redis.ResponseError, match=error):
        index(client, *words)


def test_there_is_a_bound(client):
    for i in range(256):
        assert index(client, "ADD", f"f{i}", "TYPE", "tag") == 1
    with pytest.raises(redis.ResponseError, match="^TOOLARGE"):
        index(client, "ADD", "more", "TYPE", "tag")
    assert index(client, "ADD", "f7", "TYPE", "date") == 1 and len(index(client, "LIST")) == 256

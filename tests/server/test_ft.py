"""The FT names over the built-in index `images`, through redis-py's own search module; the shapes of RESP3; refusals."""
import json
import os
import shutil
import subprocess

import pytest
import redis
from redis.commands.search import reducers
from redis.commands.search.aggregation import AggregateRequest, Asc, Desc
from redis.commands.search.query import GeoFilter, NumericFilter, Query

from images import put
from test_analysis import analysed, picture
from test_clients import run
from wire import Wire

SIX = {
    "a": (400, 200, "TITLE", "Red car", "CAPTION", "on the coast road", "TAGS", "car,red", "ATTR", "rating", "5", "LOCATION", "-9.14", "38.72"),
    "b": (1000, 500, "TITLE", "Blue car", "TAGS", "car,blue", "ATTR", "rating", "3"),
    "c": (200, 400, "TITLE", "Red rose", "TAGS", "flower,red", "ATTR", "rating", "4", "LOCATION", "-8.61", "41.15"),
    "d": (300, 300, "TITLE", "Black cat", "CAPTION", "on a car roof", "TAGS", "cat,big cat"),
    "e": (64, 48, "TITLE", "Carpet", "TAGS", "floor"),
    "f": (80, 60, "CAPTION", "car car car"),
}


@pytest.fixture
def six(client):
    for i, (key, (width, height, *words)) in enumerate(SIX.items()):
        put(client, key, picture(i, width, height), *words)
    return client


def ids(result):
    return [doc.id for doc in result.docs]


def test_search(six):
    index = six.ft("images")
    found = index.search("red car")
    assert found.total == 1 and ids(found) == ["a"] and found.docs[0].title == "Red car" and found.docs[0].width == "400"
    assert set(ids(index.search(Query("car").no_content()))) == set("abdf")
    assert ids(index.search(Query("*").sort_by("width", asc=False).paging(0, 3))) == ["b", "a", "d"]
    assert index.search(Query("*").paging(0, 2)).total == 6
    found = index.search(Query("car").with_scores())
    assert found.docs[0].id == "f" and found.docs[0].score > 0
    assert set(ids(index.search(Query("car").limit_fields("title")))) == {"a", "b"}
    assert set(ids(index.search(Query("*").add_filter(NumericFilter("width", 300, 400))))) == {"a", "d"}
    assert set(ids(index.search(Query("*").add_filter(NumericFilter("width", 300, 400, minExclusive=True))))) == {"a"}
    assert ids(index.search(Query("*").add_filter(GeoFilter("location", -9.1, 38.7, 10)))) == ["a"]
    assert set(ids(index.search(Query("car").limit_ids("a", "f", "zzz")))) == {"a", "f"}
    doc = index.search(Query("rose").return_fields("title", "rating")).docs[0]
    assert (doc.title, doc.rating) == ("Red rose", "4") and not hasattr(doc, "width")
    assert set(ids(index.search(Query("@tags:{$t} @width:[$low +inf]").dialect(2), query_params={"t": "car", "low": 500}))) == {"b"}
    assert ids(index.search(Query('"coast road"').verbatim().no_stopwords())) == ["a"]
    assert ids(index.search(Query("on road").slop(2))) == ["a"] and ids(index.search(Query("on road").slop(1))) == []
    assert ids(index.search(Query("road coast").slop(3).in_order())) == [] and ids(index.search(Query("coast road").in_order())) == ["a"]
    assert "<b>car</b>" in index.search(Query("red car").highlight(fields=["title"], tags=["<b>", "</b>"])).docs[0].title.lower()


def test_aggregate(six):
    index = six.ft("images")
    request = AggregateRequest("*").group_by("@tags", reducers.count().alias("n"), reducers.sum("@width").alias("sum"))
    request = request.sort_by(Desc("@n"), Asc("@tags")).limit(0, 3)
    rows = [dict(zip(row[::2], row[1::2])) for row in index.aggregate(request).rows]
    assert [(row[b"tags"], row[b"n"], row[b"sum"]) for row in rows] == [(b"car", b"2", b"1400"), (b"red", b"2", b"600"), (b"big cat", b"1", b"300")]
    request = AggregateRequest("@width:[100 +inf]").load("@width", "@height").apply(ratio="@width / @height").filter("@ratio > 1")
    rows = [dict(zip(row[::2], row[1::2])) for row in index.aggregate(request).rows]
    assert len(rows) == 2 and all(row[b"ratio"] == b"2" for row in rows)
    request = AggregateRequest("*").group_by([], reducers.avg("@width").alias("avg"), reducers.quantile("@width", 0.5).alias("q"),
                                             reducers.tolist("@rating").alias("list"), reducers.count_distinct("@tags").alias("tags"),
                                             reducers.first_value("@__key", Desc("@width")).alias("widest"))
    row = index.aggregate(request.load("@__key") if False else request).rows[0]
    row = dict(zip(row[::2], row[1::2]))
    assert float(row[b"avg"]) == sum(size[0] for size in SIX.values()) / 6 and set(row[b"list"]) == {b"3", b"4", b"5"}
    assert row[b"tags"] == b"7" and row[b"widest"] == b"b"


def test_info_list_and_tagvals(six):
    index = six.ft("images")
    said = index.info()
    assert said["index_name"] == b"images" or said["index_name"] == "images"
    assert int(said["num_docs"]) == 6 and int(said["indexing"]) == 0
    fields = {field[field.index(b"attribute") + 1]: field[field.index(b"type") + 1] for field in said["attributes"]}
    assert fields[b"title"] == b"TEXT" and fields[b"tags"] == b"TAG" and fields[b"width"] == b"NUMERIC" and fields[b"location"] == b"GEO"
    assert list(six.execute_command("FT._LIST")) == [b"images"]
    assert set(index.tagvals("tags")) == {b"car", b"red", b"blue", b"flower", b"cat", b"big cat", b"floor"}
    assert set(index.tagvals("rating")) == {b"3", b"4", b"5"} and index.tagvals("nosuch") in ([], set())
    analysed(six)
    assert 1 <= len(index.tagvals("palette")) <= 12
    with pytest.raises(redis.ResponseError, match="Not a tag field"):
        index.tagvals("width")


def test_profile_shows_each_iterator_as_redis_py_reads_it(six):
    with redis.Redis(port=six.connection_pool.connection_kwargs["port"], decode_responses=True) as client:
        found, took = client.ft("images").profile(Query("car|rose"))
        root = took["Iterators profile"]
        assert found.total == 5 and root["Type"] == "UNION" and root["Counter"] == 5
        assert sorted((one["Type"], one["Term"], one["Size"]) for one in root["Child iterators"]) == [("TEXT", "car", 4), ("TEXT", "rose", 1)]
        assert {"Total profile time", "Parsing time", "Pipeline creation time", "Result processors profile"} <= set(took)
        assert took["Total profile time"] >= took["Parsing time"] >= 0 and root["Time"] >= 0
        found, took = client.ft("images").profile(Query("red @tags:{car} nosuchword"))
        assert found.total == 0 and took["Iterators profile"]["Type"] == "INTERSECT"
        assert "EMPTY" in [one["Type"] for one in took["Iterators profile"]["Child iterators"]]
        _, took = client.ft("images").profile(Query("car|rose"), limited=True)
        assert took["Iterators profile"]["Child iterators"] == "The number of iterators in the union is 2"
        rows, took = client.ft("images").profile(AggregateRequest("*").group_by([], reducers.count().alias("n")), limited=True)
        assert rows.rows == [["n", "6"]] and took["Iterators profile"]["Type"] == "WILDCARD" and took["Iterators profile"]["Counter"] == 6


def test_explain_and_suggestions(six):
    index = six.ft("images")
    assert b"red" in index.explain(Query("red car")) and b"tags" in index.explain("@tags:{cat}")
    assert [one.string for one in index.sugget("images", "car")] == ["car", "carpet"]
    assert [one.string for one in index.sugget("images", "cra", fuzzy=True)] != ["cra"]
    scored = index.sugget("images", "ca", with_scores=True, num=2)
    assert [one.string for one in scored] == ["car", "carpet"] or scored[0].score >= scored[1].score
    assert index.sugget("other", "ca") == []


def test_our_own_suggest(six):
    def suggest(*words):
        return [text.decode() for text in six.execute_command("IMG.SUGGEST", *words)]
    assert suggest("ca")[0] == "car" and set(suggest("ca", "MAX", 50)) == {"car", "cat", "carpet"}
    assert suggest("big c") == ["big cat", "big car", "big carpet"] or set(suggest("big c", "MAX", 9)) >= {"big cat"}
    assert suggest("RED") == ["red"] and suggest("zzz") == [] and suggest("") == []
    assert "rose" in suggest("rpse", "FUZZY") and "carpet" in suggest("crpet", "FUZZY") and "carpet" in suggest("caarpet", "FUZZY")
    reply = six.execute_command("IMG.SUGGEST", "car", "WITHSCORES", "MAX", 1)
    assert reply == [b"car", 4]
    six.delete("e")
    assert "carpet" not in suggest("carp") or six.execute_command("IMG.SUGGEST", "carp") == []


def test_resp3_shapes(server, six):
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        reply = wire.command("FT.SEARCH", "images", "rose", "RETURN", "1", "title")
        assert reply[b"total_results"] == b":1" and reply[b"results"][0][b"id"] == b"c"
        assert reply[b"results"][0][b"extra_attributes"] == {b"title": b"Red rose"} and reply[b"warning"] == []
        reply = wire.command("FT.AGGREGATE", "images", "*", "GROUPBY", "0", "REDUCE", "COUNT", "0", "AS", "n")
        assert reply[b"results"] == [{b"extra_attributes": {b"n": b"6"}, b"values": []}] and reply[b"format"] == b"STRING"
        reply = wire.command("FT.INFO", "images")
        assert reply[b"num_docs"] == b":6" and reply[b"attributes"][0][b"type"] == b"TEXT"
        assert wire.command("FT._LIST") == [b"images"] and set(wire.command("FT.TAGVALS", "images", "rating")) == {b"3", b"4", b"5"}
        reply = wire.command("FT.PROFILE", "images", "SEARCH", "QUERY", "rose", "NOCONTENT")
        assert reply[b"results"][b"total_results"] == b":1" and b"Total profile time" in reply[b"profile"]
        root, = reply[b"profile"][b"Iterators profile"]
        assert root[b"Type"] == b"TEXT" and root[b"Term"] == b"rose" and root[b"Counter"] == b":1"
        reply = wire.command("FT.PROFILE", "images", "SEARCH", "QUERY", "-rose (car|@tags:{cat})")
        root, = reply[b"profile"][b"Iterators profile"]
        kinds = [one[b"Type"] for one in root[b"Child iterators"]]
        assert root[b"Type"] == b"INTERSECT" and sorted(kinds) == [b"NOT", b"UNION"]
        assert [one[b"Type"] for one in reply[b"profile"][b"Result processors profile"]] == [b"Index", b"Loader"]


@pytest.mark.parametrize("words, error", [
    (["FT.SEARCH", "other", "x"], "other: no such index"), (["FT.INFO", "other"], "no such index"), (["FT.AGGREGATE", "other", "*"], "no such index"),
    (["FT.TAGVALS", "other", "x"], "no such index"), (["FT.EXPLAIN", "other", "x"], "no such index"), (["FT.PROFILE", "other", "SEARCH", "QUERY", "x"], "no such index"),
    (["FT.SEARCH", "images", "x", "SCORER", "TFIDF"], "SCORER is not available"), (["FT.SEARCH", "images", "x", "SLOP", "x"], "SLOP needs"),
    (["FT.SEARCH", "images", "x", "WITHPAYLOADS"], "WITHPAYLOADS is not available"), (["FT.SEARCH", "images", "x", "LANGUAGE", "german"], "LANGUAGE is not available"),
    (["FT.SEARCH", "images", "x", "EXPLAINSCORE"], "EXPLAINSCORE is not available"), (["FT.SEARCH", "images", "x", "SUMMARIZE"], "SUMMARIZE is not available"),
    (["FT.SEARCH", "images", "x", "RETURN", "3", "title", "AS", "t"], "RETURN with AS"), (["FT.SEARCH", "images", "x", "RETURN", "3", "title"], "syntax error"), (["FT.SEARCH", "images", "x", "LIMIT", "0"], "syntax error"), (["FT.SEARCH", "images", "x", "FILTER", "width", "1"], "syntax error"),
    (["FT.SEARCH", "images", "(x"], "Syntax error"), (["FT.SEARCH", "images", "x", "RETURN", "x"], "count"), (["FT.SEARCH", "images", "x", "INKEYS", "5", "a"], "syntax error"),
    (["FT.SEARCH", "images", "x" * 70000], "^TOOLARGE"), (["FT.EXPLAIN", "images", "x", "NOSUCH"], "NOSUCH is not available"), (["FT.EXPLAIN", "images", "$x"], "No such parameter"),
    (["FT.PROFILE", "images", "NOSUCH", "QUERY", "x"], "syntax error"), (["FT.PROFILE", "images", "SEARCH", "LIMITED", "x"], "syntax error"),
    (["FT.PROFILE", "images", "SEARCH", "QUERY", "("], "Syntax error"), (["FT.SUGGET", "images", "x", "MAX", "0"], "MAX is a number"),
    (["FT.SUGGET", "images", "x", "NOSUCH"], "syntax error"), (["IMG.SUGGEST", "x", "MAX", "101"], "MAX is a number"), (["IMG.SUGGEST", "x", "WITHPAYLOADS"], "syntax error"),
    (["FT.CURSOR", "READ", "images", "1"], "Cursor not found, id: 1"), (["FT.CURSOR", "READ", "images", "x"], "Bad cursor ID"),
    (["FT.CURSOR", "DEL", "images", "7"], "Cursor not found"), (["FT.CURSOR", "READ", "nosuch", "1"], "nosuch"), (["FT.CURSOR", "READ", "images", "1", "COUNT"], "syntax|not found"), (["FT.TAGVALS", "images", "title"], "Not a tag field")])
def test_refusals(client, words, error):
    with pytest.raises(redis.ResponseError, match=error):
        client.execute_command(*words)
    assert client.ping()


@pytest.mark.parametrize("script", ["node_redis_search.mjs", "ioredis_search.mjs"])
def test_node_clients(server, six, node_modules, script):
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, script), node_modules)
    done = run("node", script, str(server.port), cwd=node_modules)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is True

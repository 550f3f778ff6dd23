"""IMG.SEARCH: every construct of the grammar, every option, both protocols, and freshness."""
import pytest
import redis

from conftest import until
from images import get, png, put, with_exif
from wire import Wire

ALL = set("abcdefgh")
WORDS = {
    "a": (400, 200, "TITLE", "Red car", "CAPTION", "A red sports car on the coast road",
          "TAGS", "car,red", "ATTR", "rating", "5", "ATTR", "author", "Anna",
          "TAKEN", "2024-01-15", "LOCATION", "-9.14", "38.72"),
    "b": (1920, 1080, "TITLE", "Blue car", "CAPTION", "The old car of my uncle, red no more",
          "TAGS", "car,blue,old", "ATTR", "rating", "3", "TAKEN", "2024-03-01T10:00:00Z"),
    "c": (200, 400, "TITLE", "Red rose", "CAPTION", "A rose in the garden", "TAGS", "flower,red",
          "ATTR", "rating", "4", "TAKEN", "2024-06-01", "LOCATION", "-8.61", "41.15"),
    "d": (300, 300, "TITLE", "Black cat", "CAPTION", "Cat on a car roof", "TAGS", "cat,big cat"),
    "e": (64, 48, "TITLE", "Dog in the snow", "TAGS", "dog"),
    "f": (80, 60, "TITLE", "Café in München", "CAPTION", "Hauptstraße", "TAGS", "food,ice cream"),
    "g": (50, 60),
    "h": (90, 60, "TITLE", "Car", "CAPTION", "car car car", "TAGS", "racing", "ATTR", "rating",
          "1", "TAKEN", "2023-12-31T23:59:59Z"),
}


@pytest.fixture
def eight(client):
    for key, (width, height, *words) in WORDS.items():
        data = png(width, height)
        if key == "e":
            put(client, key, data)
            data = with_exif(get(client, key, "FORMAT", "jpeg"), make="Canon", model="Canon EOS R5",
                             iso=400, aperture=2.8, lens="RF 50mm F1.2")
        put(client, key, data, *words)
    return client


def search(client, query, *words):
    """(total, [keys])"""
    reply = client.execute_command("IMG.SEARCH", query, "NOCONTENT", *words)
    return reply[0], [key.decode() for key in reply[1:]]


def test_grammar(eight):
    expected = {
        "red car": "ab", '"red car"': "a", "red|cat": "abcd", "(rose|cat) -car": "c",
        "car ~red": "abdh", "-car": "cefg", "*": ALL, "@title:car": "abh", "@title:(red car)": "a",
        "@title|caption:roof": "d", "ro*": "acd", "@title:ro*": "c", '"red sports car"': "a",
        '"car red"': "", "nosuchword": "", "car -@tags:{car}": "dh", "(red car)|(black cat)": "abd",
        "@tags:{cat}": "d", "@tags:{cat|dog}": "de", "-@tags:{car}": "cdefgh", "@tags:{big cat}": "d",
        "@tags:{ca*}": "abd", "@tags:{ICE CREAM}": "f", "@tags:{red} @tags:{car}": "a",
        "@width:[1920 +inf]": "b", "@width:[(200 400]": "ad", "@height:[-inf (60]": "e",
        "@bytes:[0 1]": "", "@megapixels:[2 3]": "b", "@taken:[2024-01 (2024-06]": "ab",
        "@taken:[2024-06 2024-06]": "c", "@taken:[-inf 2023]": "h", "@taken:[2024 2024]": "abc",
        "@location:[-9.1 38.7 10 km]": "a", "@location:[-9.1 38.7 500 km]": "ac",
        "@camera:{canon*}": "e", "@camera:canon": "e", "canon": "e", "@iso:[400]": "e",
        "@aperture:[2.7 2.9]": "e", "@lens:{rf 50mm f1.2}": "e", "@orientation:{portrait}": "cg",
        "@orientation:{square}": "d", "@format:{jpeg}": "e", "@format:{png} car": "abdh",
        "ismissing(@title)": "g", "ismissing(@location)": "bdefgh", "-ismissing(@rating)": "abch",
        "cafe": "f", "CAFÉ": "f", "munchen": "f", "hauptstrasse": "f", "@rating:[4 5]": "ac",
        "*ose": "c", "*arde*": "c", "%roze%": "c", "%%rozen%%": "c", "%rozen%": "", "%%garten%%": "c", "w'r?s*'": "c",
        "@title:*ar": "abh", "@tags:{*ing}": "h", "@tags:{*ce c*}": "f", "@tags:{w'?at'}": "d",
        '"red car"=>{$slop:1}': "a", "(car red)=>{$slop:0}": "a", "(car red)=>{$slop:0;$inorder:true}": "",
        '@caption:"red on"=>{$slop:3}': "a", "red=>{$weight:3} car": "ab",
        "@author:{anna}": "a", "@nosuch:{x}": "", "ismissing(@nosuch)": ALL, "@created:[2020 +inf]": ALL,
    }
    wrong = {}
    for query, keys in expected.items():
        total, found = search(eight, query)
        if (total, set(found)) != (len(keys), set(keys)) or len(found) != len(set(found)):
            wrong[query] = (total, found)
    assert not wrong


def test_better_matches_come_first_and_scores_are_said(eight):
    reply = eight.execute_command("IMG.SEARCH", "car", "NOCONTENT", "WITHSCORES")
    scores = [float(score) for score in reply[2::2]]
    assert reply[1] == b"h" and scores == sorted(scores, reverse=True) and scores[-1] > 0
    assert search(eight, "*")[1] == list("hgfedcba")


def test_sort_and_limit(eight):
    assert search(eight, "*", "SORTBY", "width")[1] == list("gefhcdab")
    assert search(eight, "*", "SORTBY", "width", "DESC", "LIMIT", 0, 3) == (8, list("bad"))
    assert search(eight, "*", "SORTBY", "rating", "DESC", "LIMIT", 0, 4)[1] == list("acbh")
    assert search(eight, "@rating:[0 9]", "SORTBY", "taken", "ASC")[1] == list("habc")
    assert search(eight, "red|car", "SORTBY", "title", "LIMIT", 0, 2)[1] == list("db")
    assert search(eight, "*", "LIMIT", 6, 10) == (8, ["b", "a"])
    assert search(eight, "*", "LIMIT", 0, 0) == (8, []) and search(eight, "*", "LIMIT", 99, 5) == (8, [])


def test_what_comes_back(eight):
    total, key, fields = eight.execute_command("IMG.SEARCH", "rose")
    said = dict(zip(fields[::2], fields[1::2]))
    assert (total, key) == (1, b"c") and said[b"title"] == b"Red rose"
    assert said[b"tags"] == b"flower,red" and said[b"width"] == b"200" and said[b"format"] == b"png"
    reply = eight.execute_command("IMG.SEARCH", "rose", "RETURN", 4, "rating", "nosuch", "height", "orientation")
    assert reply[2] == [b"rating", b"4", b"height", b"400", b"orientation", b"portrait"]
    assert eight.execute_command("IMG.SEARCH", "rose", "RETURN", 0)[2] == []


def test_counting_inkeys_and_params(eight):
    for mode in ("EXACT", "FAST"):
        assert search(eight, "car", "COUNT", mode)[0] == 4
    total, keys = search(eight, "car", "COUNT", "NONE")
    assert total == 0 and len(keys) == 4
    assert set(search(eight, "car", "INKEYS", 3, "a", "c", "h")[1]) == set("ah")
    params = ["PARAMS", 4, "word", "rose", "low", "100"]
    assert search(eight, "$word @width:[$low 300]", *params)[1] == ["c"]
    assert search(eight, "@tags:{$word}", "PARAMS", 2, "word", "big cat", "TIMEOUT", 1000)[1] == ["d"]


def test_weights_lift_a_word_above_others(eight):
    assert search(eight, "rose=>{$weight:100}|car=>{$weight:0.01}")[1][0] == "c"
    assert search(eight, "rose=>{$weight:0.01}|car=>{$weight:100}")[1][0] == "h"


def test_facets_count_all_matches(eight):
    reply = eight.execute_command("IMG.SEARCH", "car", "NOCONTENT", "LIMIT", 0, 1, "FACET", 3, "tags", "rating", "width")
    assert reply[:2] == [4, b"h"]
    facets = dict(zip(reply[2][::2], reply[2][1::2]))
    assert facets[b"tags"][:4] == [b"car", 2, b"big cat", 1] and len(facets[b"tags"]) == 14
    assert facets[b"rating"] == [b"1", 1, b"3", 1, b"5", 1] and facets[b"width"][:2] == [b"90", 1]
    reply = eight.execute_command("IMG.SEARCH", "car", "LIMIT", 0, 0, "INKEYS", 2, "a", "b", "FACET", 1, "tags")
    assert reply[-1] == [b"tags", [b"car", 2, b"blue", 1, b"old", 1, b"red", 1]]
    assert eight.execute_command("IMG.SEARCH", "nosuch", "FACET", 1, "none") == [0, [b"none", []]]


def test_words_are_highlighted_in_the_texts_that_matched(eight):
    def fields(*words):
        reply = eight.execute_command("IMG.SEARCH", *words)
        return dict(zip(reply[2][::2], reply[2][1::2]))
    said = fields("red sport* -garden", "HIGHLIGHT", "RETURN", 4, "title", "caption", "tags", "width")
    assert said == {b"title": b"<b>Red</b> car", b"caption": b"A <b>red</b> <b>sports</b> car on the coast road",
                    b"tags": b"car,<b>red</b>", b"width": b"400"}
    said = fields("@title:munchen", "HIGHLIGHT", "FIELDS", 1, "title", "TAGS", "[", "]")
    assert said[b"title"].decode() == "Café in [München]" and said[b"caption"].decode() == "Hauptstraße"


def test_plan_and_profile_say_what_a_query_costs(eight):
    plan = eight.execute_command("IMG.SEARCH", "red car -@tags:{old} *ose", "EXPLAIN").decode()
    assert "TERM red df=3" in plan and "NOT" in plan and plan.index("AND") < plan.index("TERM")
    results, profile = eight.execute_command("IMG.SEARCH", "red", "NOCONTENT", "PROFILE")
    said = dict(zip(profile[::2], profile[1::2]))
    assert results[0] == 3 and said[b"units"] > 0 and said[b"blocks_read"] > 0 and b"TERM red" in said[b"plan"]


def test_resp3_shape(server, eight):
    with Wire(server.port) as wire:
        wire.command("HELLO", "3")
        reply = wire.command("IMG.SEARCH", "rose", "RETURN", "1", "title", "WITHSCORES")
        assert reply[b"total_results"] == b":1" and reply[b"warning"] == []
        assert reply[b"results"][0][b"id"] == b"c" and reply[b"results"][0][b"score"].startswith(b",")
        assert reply[b"results"][0][b"extra_attributes"] == {b"title": b"Red rose"}
        reply = wire.command("IMG.SEARCH", "rose", "NOCONTENT", "FACET", "1", "format")
        assert reply[b"facets"] == {b"format": {b"png": b":1"}}
        reply = wire.command("IMG.SEARCH", "nosuch")
        assert reply[b"total_results"] == b":0" and reply[b"results"] == []


@pytest.mark.parametrize("words, error", [
    (["red ("], "Syntax error at offset"), (["@width:[1 2"], "Syntax error"), ([""], "."),
    (["@width:[x y]"], "."), (["%%%fuzzy%%%"], "goes to 2"), (["$p"], "No such parameter"),
    (["x", "LIMIT", "0"], "syntax error"), (["x", "LIMIT", "-1", "1"], "not an integer"),
    (["x", "LIMIT", "0", "10001"], "^TOOLARGE"), (["x", "NOSUCH"], "syntax error"),
    (["x", "SORTBY", "caption"], "cannot be sorted"), (["x", "PARAMS", "1", "a"], "PARAM VALUE pairs"),
    (["x", "FACET", "1", "title"], "or counted"), (["x", "FACET", "17"] + ["tags"] * 17, "^TOOLARGE"),
    (["x", "EXPLAIN", "PROFILE"], "syntax error"), (["x", "HIGHLIGHT", "TAGS", "<b>"], "syntax error"),
    (["x", "SIMILAR", "a", "MAXDIST", "257"], "^TOOLARGE"), (["x", "COUNT", "MANY"], "syntax error"),
    (["x", "NOCONTENT", "NOCONTENT"], "syntax error"), (["(" * 70 + "x" + ")" * 70], "^TOOLARGE"),
    (["|".join(f"w{i}" for i in range(1100))], "^TOOLARGE"), (["x" * 70000], "^TOOLARGE")])
def test_errors(client, words, error):
    with pytest.raises(redis.ResponseError, match=error):
        client.execute_command("IMG.SEARCH", *words)
    assert client.ping()


def test_every_change_shows_in_the_next_command(client):
    pipe = client.pipeline(transaction=False)
    steps = [
        (["IMG.PUT", "k", png(4, 4), "TITLE", "first"], "first", 1), (["IMG.EDIT", "k", "TITLE", "second"], "first", 0),
        (["PING"], "second", 1), (["IMG.EDIT", "k", "ADDTAGS", "t"], "@tags:{t}", 1),
        (["IMG.EDIT", "k", "REMTAGS", "t"], "@tags:{t}", 0), (["RENAME", "k", "k2"], "second", 1),
        (["COPY", "k2", "k3"], "second", 2), (["DEL", "k2"], "second", 1), (["SET", "k3", "text"], "second", 0),
        (["IMG.PUT", "k", png(4, 5), "TITLE", "third"], "third", 1), (["FLUSHDB"], "*", 0)]
    for words, query, _ in steps:
        pipe.execute_command(*words)
        pipe.execute_command("IMG.SEARCH", query, "NOCONTENT")
    replies = pipe.execute()
    assert [reply[0] for reply in replies[1::2]] == [count for _, _, count in steps]


def test_expired_images_are_not_found(client):
    put(client, "k", png(4, 4), "TITLE", "short", "PX", 40)
    put(client, "kept", png(4, 4), "TITLE", "short lived no more")
    until(lambda: search(client, "short") == (1, ["kept"]))


def test_databases_have_indexes_of_their_own(server):
    zero, one = server.client(), server.client(db=1)
    put(zero, "k", png(4, 4), "TITLE", "here")
    assert search(one, "here") == (0, []) and search(zero, "here") == (1, ["k"])
    one.execute_command("FLUSHDB")
    assert search(zero, "here") == (1, ["k"])


def test_the_index_is_there_after_kill_9(server, eight):
    eight.execute_command("IMG.EDIT", "g", "TITLE", "Edited car")
    eight.delete("h")
    server.kill()
    server.start()
    client = server.client()
    assert set(search(client, "car")[1]) == set("abdg") and search(client, "*")[0] == 7
    assert search(client, "@location:[-9.1 38.7 10 km] @rating:[5]")[1] == ["a"]


def test_a_heavy_query_leaves_others_alone(server):
    client = server.client()
    data = png(4, 4)
    pipe = client.pipeline(transaction=False)
    for i in range(3000):
        pipe.execute_command("IMG.PUT", f"k{i}", data, "TITLE", f"word{i} common w{i % 7}", "TAGS", f"t{i % 50}")
    pipe.execute()
    assert search(client, "common", "COUNT", "EXACT")[0] == 3000
    total, keys = search(client, "(word* -w3)|common", "LIMIT", 0, 10000, "COUNT", "EXACT")
    assert total == 3000 and len(set(keys)) == 3000
    assert search(client, "@tags:{t7} w3 common", "COUNT", "EXACT")[0] == len([i for i in range(3000) if i % 50 == 7 and i % 7 == 3])
    assert client.info("search")["search_slice_us_max"] < 100000


def test_the_tier_is_told_but_not_sought(client, photos):
    client.execute_command("IMG.PUT", "a", next(iter(photos.values())))
    for query, says in (("@tier:{hot}", "not a tag field"), ("-@tier:{hot}", "not a tag field"), ("@tier:hot", "not a text field")):
        with pytest.raises(redis.ResponseError, match="`tier` is " + says):
            client.execute_command("IMG.SEARCH", query)
    assert client.execute_command("IMG.SEARCH", "*", "RETURN", 1, "tier") == [1, b"a", [b"tier", b"hot"]]

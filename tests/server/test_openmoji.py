"""Tags as people give them: the 4,495 drawings of OpenMoji (npm: openmoji), against plain Python over the same list."""
import collections
import json
import os
import random
import re

import pytest
from images import png

BODY = png(8, 8)


def split(text):
    """Tags as the index keeps them: without case, blanks at the ends, or repetition."""
    return list(dict.fromkeys(" ".join(tag.split()).lower() for tag in text.split(",") if tag.strip()))


@pytest.fixture(scope="module")
def drawings(node_modules):
    with open(os.path.join(node_modules, "node_modules/openmoji/data/openmoji.json"), encoding="utf-8") as file:
        found = json.load(file)
    found = [one for one in found if (one["annotation"] + one["tags"] + one["openmoji_tags"]).isascii()]
    assert len(found) > 4000
    return {one["hexcode"]: {"title": one["annotation"], "tags": split(one["tags"] + "," + one["openmoji_tags"]),
                             "group": one["group"], "order": int(one["order"] or 0)} for one in found}


@pytest.fixture
def client(server, drawings):
    client = server.client()
    pipe = client.pipeline(transaction=False)
    for key, one in drawings.items():
        pipe.execute_command("IMG.PUT", key, BODY, "TITLE", one["title"], "TAGS", ",".join(one["tags"]),
                             "ATTR", "group", one["group"], "ATTR", "order", one["order"])
    pipe.execute()
    return client


def keys_of(client, query, *words):
    reply = client.execute_command("IMG.SEARCH", query, "NOCONTENT", "COUNT", "EXACT", *words)
    return reply[0], [key.decode() for key in reply[1:]]


def test_tags_groups_and_numbers_are_found_as_a_plain_loop_finds_them(client, drawings):
    random_ = random.Random(3)
    tags = sorted({tag for one in drawings.values() for tag in one["tags"] if re.fullmatch("[a-z][a-z ]+", tag)})
    assert len(tags) > 1500
    for tag in random_.sample(tags, 150):
        wanted = {key for key, one in drawings.items() if tag in one["tags"]}
        total, found = keys_of(client, f"@tags:{{{tag}}}", "LIMIT", 0, 5000)
        assert wanted and total == len(wanted) and set(found) == wanted, tag
        other = random_.choice(drawings[found[0]]["tags"])
        if re.fullmatch("[a-z][a-z ]+", other):
            either = {key for key, one in drawings.items() if {tag, other} & set(one["tags"])}
            both = {key for key in either if {tag, other} <= set(drawings[key]["tags"])}
            assert set(keys_of(client, f"@tags:{{{tag}|{other}}}", "LIMIT", 0, 5000)[1]) == either
            assert set(keys_of(client, f"@tags:{{{tag}}} @tags:{{{other}}}", "LIMIT", 0, 5000)[1]) == both
        low = random_.randrange(4000)
        ranged = [key for key in wanted if low <= drawings[key]["order"] <= low + 1000]
        assert keys_of(client, f"@tags:{{{tag}}} @order:[{low} {low + 1000}]", "LIMIT", 0, 0)[0] == len(ranged)


def test_facets_and_groups_count_what_is_there(client, drawings):
    counts = collections.Counter(tag for one in drawings.values() for tag in one["tags"])
    reply = client.execute_command("IMG.SEARCH", "*", "NOCONTENT", "LIMIT", 0, 0, "FACET", 1, "tags")
    values = reply[-1][1] if isinstance(reply[-1], list) else []
    facet = {values[at].decode(): values[at + 1] for at in range(0, len(values), 2)}
    best = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:10]
    assert facet == dict(best)
    rows = client.execute_command("IMG.AGGREGATE", "*", "GROUPBY", 1, "@group", "REDUCE", "COUNT", 0, "AS", "n")[1:]
    found = {row[1].decode(): int(row[3]) for row in rows}
    assert found == collections.Counter(one["group"] for one in drawings.values())


def test_titles_sort_word_by_word_to_their_ends(client, drawings):
    """Hundreds begin alike ("woman: medium-dark skin tone, ..."); equal ones come newest first."""
    def words(title):
        return " ".join(re.findall("[a-z0-9]+", title.lower()))
    numbered = [(words(one["title"]), at, key) for at, (key, one) in enumerate(drawings.items())]
    rising = [key for _, _, key in sorted(numbered, key=lambda one: (one[0], -one[1]))]
    falling = [key for _, _, key in sorted(sorted(numbered, key=lambda one: -one[1]), key=lambda one: one[0], reverse=True)]
    for order, wanted in (("ASC", rising), ("DESC", falling)):
        for offset in (0, 1000, len(wanted) - 500):
            assert keys_of(client, "*", "SORTBY", "title", order, "LIMIT", offset, 500)[1] == wanted[offset:offset + 500]

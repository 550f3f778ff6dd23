"""Captions of real pictures in dozens of languages (tuxpaint-stamps-default): what stands in one finds its picture."""
import os
import random
import re
import unicodedata

import pytest
from images import png

STAMPS = "/usr/share/tuxpaint/stamps"
UNSPACED = ("ja", "zh_cn", "zh_tw", "th", "km")
BODY = png(8, 8)


def stamps():
    """{picture: {language: its caption}}"""
    found = {}
    for where, _, names in os.walk(STAMPS):
        for name in sorted(names):
            if not name.endswith(".txt"):
                continue
            with open(os.path.join(where, name), encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
            captions = dict(re.findall(r"^([a-z_A-Z@]+)\.utf8=(.+)$", "\n".join(lines), re.M))
            captions["en"] = lines[0] if lines else ""
            found[os.path.join(where, name)] = captions
    return found


@pytest.fixture(scope="module")
def corpus():
    found = stamps()
    if not found:
        pytest.skip("tuxpaint-stamps-default is not installed")
    return found


def words_of(text):
    """Runs of letters and marks, long enough to say something."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return [word for word in kept.split() if len(word) >= 4]


def pick(language, caption, random_):
    """A word of it; of scripts without spaces, three characters in a row, with their marks."""
    words = words_of(caption)
    if language in UNSPACED:
        found = []
        for word in words:
            starts = [at for at, c in enumerate(word) if unicodedata.category(c)[0] != "M"] + [len(word)]
            found += [word[a:b] for a, b in zip(starts, starts[3:])]
        words = found
    return random_.choice(words) if words else None


def test_every_language_finds_its_pictures(server, corpus):
    client, random_ = server.client(), random.Random(5)
    keys = {}
    pipe = client.pipeline(transaction=False)
    for number, (path, captions) in enumerate(sorted(corpus.items())):
        for language, caption in captions.items():
            keys[f"{number}:{language}"] = caption
            pipe.execute_command("IMG.PUT", f"{number}:{language}", BODY, "CAPTION", caption)
    pipe.execute()
    languages = {}
    for key, caption in keys.items():
        languages.setdefault(key.split(":")[1], []).append((key, caption))
    asked = 0
    for language, captions in languages.items():
        for key, caption in random_.sample(captions, min(12, len(captions))):
            word = pick(language, caption, random_)
            if word is None:
                continue
            asked += 1
            for query in (f"@caption:({word})", f'"{word}"', word.upper()):
                options = ["NOCONTENT", "LIMIT", 0, 10000, "INKEYS", 1, key]
                assert client.execute_command("IMG.SEARCH", query, *options) == [1, key.encode()], (language, word, caption)
    assert len(languages) >= 40 and asked >= 300
    hits = client.execute_command("IMG.SEARCH", "アメリカ", "RETURN", 1, "caption", "LIMIT", 0, 1000)
    assert hits[0] >= 3 and all("アメリカ" in fields[1].decode() for fields in hits[2::2])
    assert client.execute_command("IMG.SEARCH", "ΝΌΜΙΣΜΑ", "NOCONTENT") == client.execute_command(
        "IMG.SEARCH", "νομισμα", "NOCONTENT")

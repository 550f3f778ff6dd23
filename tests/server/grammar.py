"""Random commands by the grammar that a server tells of itself (COMMAND DOCS): every option of every command of the core
types, alone and together, on a few keys that they share; some of them damaged on purpose.

Left out is what two servers may answer differently without either being wrong: what chance decides (of these only forms that
ask for all there is), cursors and dumps (exchanges.py sees to these), idle times; and what waits for other servers."""

GROUPS = ("generic", "string", "bitmap", "list", "set", "sorted-set", "hash")
LEFT_OUT = {"wait", "waitaof", "migrate", "randomkey", "dump", "object|freq", "object|idletime", "object|help", "sort_ro"}
CHANCE = {"spop", "srandmember", "hrandfield", "zrandmember"}
UNDAMAGED = {"sort", "zrank", "zrevrank", "bitcount"}
HOMES = {"string": "t", "bitmap": "t", "list": "l", "set": "s", "sorted-set": "z", "hash": "h"}

SMALL = ["0", "1", "2", "3", "5", "-1", "-2", "-3", "100"]
ODD = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "", "x", "1.5", " 1", "+1", "007", "-0", "1e3", "4294967296"]
REALS = ["0", "1", "-1.5", "3.25", "1e3", "0.1", "-7", "1000000", "1e-5"]
ODD_REALS = ["inf", "-inf", "+inf", "nan", "x", "", "1e400", "0x10", " 1", "1 ", "1e308", "-1e308", "9007199254740993", "3.0"]
MEMBERS = ["a", "b", "c", "d", "e", "1", "2", "3", "10", "-7", "007", "", "é", "long " * 20, "\r\n", "9" * 19, "foo:1", "w", "n\x00l"]
TEXTS = ["", "0", "1", "10", "-5", "abc", "foobar", "3.5", "1e3", "x" * 50, "9223372036854775807", "-9223372036854775808", " 7", "\x00\xff", "hello world"]
PATTERNS = ["*", "?", "[tl]*", "t*", "*1", "[^t]?", "z[0-2]", "\\t0", "none", "["]
SCORES = ["-inf", "+inf", "0", "1", "(1", "3", "(-1.5", "1000", "x", "(", "nan"]
LEX = ["-", "+", "[a", "(a", "[c", "(e", "[", "(", "a", "[foo", "[1"]
SECONDS = ["1000", "200000", "30000000", "-1", "0"]
MOMENTS = ["1", "4102444800", "4133980800", "7258118400"]


class Grammar:
    def __init__(self, docs, rng):
        """`docs`: COMMAND DOCS in RESP3, as Wire.read gives it."""
        self.rng, self.shapes, self.dumps = rng, {}, []
        for name, about in docs.items():
            if about[b"group"].decode() in GROUPS:
                self.learn(name.decode(), about)
        self.names = sorted(self.shapes)
        self.quick = [name for name in self.names if not self.may_wait(name)]

    def learn(self, name, about):
        for part, inner in about.get(b"subcommands", {}).items():
            self.learn(part.decode(), inner)
        if b"subcommands" not in about and name not in LEFT_OUT:
            self.shapes[name] = (about[b"group"].decode(), about.get(b"arguments", []))

    def may_wait(self, name):
        return name.startswith("b") and self.shapes[name][0] in ("list", "sorted-set")

    # ---- Words by what they mean

    def pick(self, *pools):
        return self.rng.choice(self.rng.choice(pools))

    def key(self):
        if "lex" in self.name or "bylex" in self.chosen:
            return "y" + str(self.rng.randrange(3))
        home = HOMES.get(self.group)
        if home is None or self.rng.random() < 0.06:
            home = self.rng.choice("tlszh")
        return home + str(self.rng.randrange(4))

    def number(self):
        return self.pick(ODD) if self.rng.random() < 0.06 else self.pick(SMALL)

    def real(self):
        return self.pick(ODD_REALS) if self.rng.random() < 0.12 else self.pick(REALS)

    def bound(self):
        if "lex" in self.name or "bylex" in self.chosen:
            return self.pick(LEX)
        if "byscore" in self.name or self.name == "zcount" or "byscore" in self.chosen:
            return self.pick(SCORES)
        return self.pick(LEX) if self.rng.random() < 0.05 else self.number()

    def count_of_keys(self):
        self.keys_due = self.rng.choice([1, 1, 2, 2, 3])
        return str(self.keys_due) if self.rng.random() < 0.94 else self.number()

    def moment(self, name):
        moment = self.pick(MOMENTS) if "unix" in name else self.pick(SECONDS)
        if self.name == "set" and moment == "1":      # it would be there until somebody looks at the clock
            return "0"
        if self.rng.random() < 0.05:
            return self.pick(ODD)
        return moment + "000" if "milli" in name or self.name in ("psetex", "pexpire", "pexpireat") else moment

    def offset(self):
        if self.group != "bitmap" and self.name != "setrange":
            return self.number()
        return self.rng.choice(["0", "1", "7", "8", "100", "-1", "4294967296", "536870912" if self.name == "setrange" else "200000", "x", "#1", "#3"])

    def word(self, name, kind):
        named = {"numkeys": self.count_of_keys, "offset": self.offset, "bit": lambda: self.pick(["0", "1", "1", "2"]), "timeout": lambda: "0.002",
                 "encoding": lambda: self.pick(["u8", "i8", "u1", "i5", "u63", "i64", "u64", "x", "i0", "U8", "i65"]),
                 "cursor": lambda: self.pick(["0"] * 12 + ["", "x", "-1", " 1", "99999999999999999999"]),
                 "ttl": lambda: self.pick(["0", "0", "0", "-1", "100000000", "4133980800000", "x"]),
                 "serialized-value": lambda: self.pick(self.dumps or TEXTS) if self.rng.random() < 0.8 else self.pick(TEXTS), "db": lambda: self.pick(["0", "1", "9", "16", "-1", "x"]), "db-index": lambda: self.pick(["0", "1", "9", "16", "x"]),
                 "increment": self.real if self.name.endswith("float") or self.name == "zincrby" else self.number,
                 "operation": lambda: self.pick(["AND", "OR", "XOR", "NOT", "and", "NAND"])}
        if name in named:
            return named[name]()
        if name in ("min", "max", "start", "stop", "end"):
            return self.bound()
        if kind == "unix-time" or "seconds" in name:
            return self.moment(name if kind != "unix-time" else "unix " + name)
        if kind == "pattern":
            return self.pick(["w*", "h*->a", "t*", "#", "none"] if self.name.startswith("sort") else PATTERNS)
        if kind in ("integer", "double"):
            return self.real() if kind == "double" else self.number()
        if self.name in CHANCE and name == "count":
            return "1000"
        return self.pick(TEXTS if name in ("value", "string") and self.group != "hash" else MEMBERS)

    # ---- Arguments

    def argument(self, about):
        name, kind = about[b"name"].decode(), about[b"type"].decode()
        flags = about.get(b"flags") or []
        if b"+optional" in flags and self.rng.random() < 0.55:
            return []
        times = 1
        if kind == "key" and b"+multiple" in flags and self.keys_due:
            times = self.keys_due
        elif name == "weight" and self.rng.random() < 0.85:
            times = self.keys_due or 1
        elif b"+multiple" in flags:
            times = self.rng.choice([1, 1, 2, 3])
        token = [about[b"token"].decode()] if b"token" in about else []
        out = [] if b"+multiple_token" in flags else list(token)
        for _ in range(times):
            if b"+multiple_token" in flags:
                out += token
            if kind == "oneof":
                out += self.argument(self.rng.choice(about[b"arguments"]))
            elif kind == "block":
                out += [word for part in about[b"arguments"] for word in self.argument(part)]
            elif kind == "pure-token":
                self.chosen.add(name)
            else:
                out.append(self.key() if kind == "key" else self.word(name, kind))
        return out

    def arguments(self, shape):
        """Bounds come after the words that say what they are: these are decided first."""
        order = sorted(range(len(shape)), key=lambda i: shape[i][b"type"] != b"oneof")
        made = {}
        for i in order if self.name.startswith("zrange") else range(len(shape)):
            made[i] = self.argument(shape[i])
        return [word for i in range(len(shape)) for word in made[i]]

    def damaged(self, words):
        how, at = self.rng.randrange(4), self.rng.randrange(1, len(words) + 1)
        if how == 0:
            return words[:at]
        if how == 1:
            return words + [self.pick(MEMBERS, ODD)]
        if how == 2 and at < len(words):
            return words[:at] + [self.pick(ODD, ODD_REALS)] + words[at + 1:]
        return words[:at] + [words[at - 1]] + words[at:]

    def of_one_score(self):
        """A range of words means something only where all scores are the same: such keys are kept apart."""
        return ["ZADD", "y" + str(self.rng.randrange(3))] + [word for _ in range(3) for word in ("0", self.pick(MEMBERS))]

    def command(self):
        if self.rng.random() < 0.02:
            return self.of_one_score()
        self.name = self.rng.choice(self.names if self.rng.random() < 0.02 else self.quick)
        self.group, shape = self.shapes[self.name]
        self.chosen, self.keys_due = set(), 0
        words = self.name.upper().split("|") + self.arguments(shape)
        if self.name in CHANCE:
            words = words[:2] + ["1000"]
        if self.name.endswith("scan") and self.rng.random() < 0.9:
            words += ["COUNT", "100000"]
        if self.name == "sort" and "BY" in words:
            words = [word for word in words if word not in ("STORE", "LIMIT")]
        if self.name in ("expire", "pexpire"):        # which of two is later must not depend on a millisecond
            words = [word for word in words if word not in ("GT", "LT")]
        left_alone = self.may_wait(self.name) or self.name in CHANCE or self.name in UNDAMAGED
        return words if left_alone or self.rng.random() > 0.05 else self.damaged(words)

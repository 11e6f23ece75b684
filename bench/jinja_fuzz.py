#!/usr/bin/env python3
"""bench/jinja_fuzz.py: random small templates, rendered by jinja2 as transformers sets it up and
by Faultline. Equal: the same text, or an error in both. A refusal of what is not supported is
counted apart; anything else is printed and fails.

    python3 bench/jinja_fuzz.py build/release/bench_jinja_render [COUNT] [SEED]
"""
import json
import random
import subprocess
import sys

import transformers.utils.chat_template_utils as utils

VARIABLES = {
    "s": "Hello, World", "t": "  \tpadded text\n", "u": "Größe ß ŉ ǆ İ ΑΣ 数学 🙂", "e": "",
    "w": "one two  three two", "q": "it's \"x\" \\ \n", "n": 7, "z": 0, "m": -3, "f": 2.5, "g": -0.125,
    "h": 1e16, "k": 123456789, "yes": True, "no": False, "nil": None,
    "l": [3, 1, 2], "p": ["b", "A", "c", "a"], "r": [1, "x", None, 2.5, [1]], "o": [],
    "d": {"a": 1, "b": "two", "c": [1, 2]}, "v": {},
    "x": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": None, "n": 1},
          {"role": "User", "n": 3.5}],
    "j": {"items": 1, "z": {"y": [{"k": "v<&>"}]}, "é": "ü"},
}
TEXTS = ["s", "t", "u", "e", "w", "q"]
NUMBERS = ["n", "z", "m", "f", "g", "h", "k", "yes", "no"]
LISTS = ["l", "p", "r", "o", "x", "s", "w"]
DICTS = ["d", "v", "j", "x[0]", "x[1]"]
ALL = list(VARIABLES) + ["undefined_name"]
R = random.Random()
pick = R.choice


def literal_text():
    return pick(["''", "'a'", "'b'", "\"it's\"", "'x y'", "'ß'", "'\\n'", "', '", "'Two'", "' '", "'two'",
                 "'-'", "'.'", "'\\u00e9\\t'", "'l'", "'o'", "'%s'", "'{}'", "'12'", "'3.7'", "' 5 '",
                 "'0x1f'", "'1e3'", "'abc' 'def'", "'<b>&'"])


def text(depth):
    if depth <= 0:
        return pick(TEXTS + [literal_text()] * 4)
    a, d = lambda: text(depth - 1), depth - 1
    return pick([
        lambda: f"{a()}|{pick(['upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse'])}",
        lambda: f"{a()}.{pick(['upper', 'lower', 'title', 'capitalize', 'strip', 'lstrip', 'rstrip', 'swapcase', 'casefold'])}()",
        lambda: f"{a()}.{pick(['strip', 'lstrip', 'rstrip', 'removeprefix', 'removesuffix'])}({literal_text()})",
        lambda: f"({a()} ~ {value(d)} ~ {a()})",
        lambda: f"({a()} + {a()})",
        lambda: f"{a()}[{bound(d)}:{bound(d)}{pick(['', '', ':' + bound(d)])}]",
        lambda: f"{a()}|replace({a()}, {a()}{pick(['', '', ', ' + number(0)])})",
        lambda: f"{a()}.replace({literal_text()}, {a()}{pick(['', ', 1', ', -1'])})",
        lambda: f"({listing(d)}|join({a()}))",
        lambda: f"({listing(d)}|map({pick(['upper', 'string', 'length', 'lower'])!r})|join(','))",
        lambda: f"{a()}.join({listing(d)})",
        lambda: f"({value(d)}|tojson{pick(['', '', '(indent=2)', '(ensure_ascii=true)', '(sort_keys=true)', '(separators=(`,`, `:`))'])})",
        lambda: f"({a()} * {pick(['0', '2', 'n', 'm', '1'])})",
        lambda: f"{a()}|indent({pick(['', '2', 'first=true', '3, true, true', 'width=`> `', 'blank=true'])})",
        lambda: f"{a()}|center({pick(['3', '12', '20', 'n', 'm', 'f'])})",
        lambda: f"{a()}|truncate({pick(['5', '8, true', '6, false, ``', '4, true, `~`, 0', 'length=9, leeway=0'])})",
        lambda: f"{a()}.{pick(['center', 'ljust', 'rjust', 'zfill'])}({pick(['3', '12', '20'])})",
        lambda: f"('%s|%d' % ({value(d)}, {number(d)}))",
        lambda: f"('%5.2f %05d %-6s|' % ({number(0)}, {number(0)}, {a()}))",
        lambda: f"{pick(['%s', '%r', '%x', '%e', '%g', '%+d', '%5s', '%.2s', '%%', '%i', '%o', '%X', '%G', '% d', '%(a)s'])!r}|format({value(d)})",
        lambda: f"{pick(['{}', '{0}-{0}', '{:>8}', '{:<6}|', '{:^7}', '{!r}', '{:05d}', '{:.2f}', '{:,}', '{:x}', '{a}', '{{}}{}', '{:e}', '{:*^9}', '{:+}', '{:%}', '{:.3}'])!r}.format({value(d)})",
        lambda: f"({value(d)}|string)",
        lambda: f"{a()}|{pick(['e', 'escape', 'safe', 'forceescape'])}",
        lambda: f"{pick(DICTS)}[{a()}]",
        lambda: f"({value(d)} if {test(d)} else {a()})",
        lambda: f"{a()}|default({a()}{pick(['', ', true'])})",
    ])()


def bound(depth):
    return pick(["", "", "0", "1", "-1", "2", "-2", "3", "100", "-100", "n", "m", "none"])


def number(depth):
    if depth <= 0:
        return pick(NUMBERS + ["0", "1", "2", "3", "10", "0.5", "1.5", "-1", "100", "1e3", "0x10", "1_000", "2.675"])
    a, d = lambda: number(depth - 1), depth - 1
    return pick([
        lambda: f"({a()} {pick(['+', '-', '*', '/', '//', '%', '+', '-', '*'])} {a()})",
        lambda: f"({a()} ** {pick(['0', '1', '2', '3', '-1', '0.5'])})",
        lambda: f"(-{a()})", lambda: f"(+{a()})",
        lambda: f"{listing(d)}|{pick(['length', 'count', 'sum', 'max', 'min', 'first', 'last'])}",
        lambda: f"{text(d)}|{pick(['length', 'wordcount', 'int', 'float', 'count'])}",
        lambda: f"{text(d)}|int({pick(['5', '-1, 16', 'base=2', 'default=none', '0, 0', 'base=36'])})",
        lambda: f"{a()}|{pick(['abs', 'round', 'int', 'float', 'round(1)', 'round(2)', 'round(0, `floor`)', 'round(1, `ceil`)', 'round(-1)', 'round(method=`ceil`)'])}",
        lambda: f"{text(d)}.{pick(['count', 'find', 'rfind', 'index', 'rindex'])}({literal_text()}{pick(['', '', ', 1', ', -3', ', 0, 4'])})",
        lambda: f"{listing(d)}.{pick(['count', 'index'])}({value(0)})",
        lambda: f"({test(d)} + {a()})",
    ])()


def listing(depth):
    if depth <= 0:
        return pick(LISTS + ["[1, 2, 3]", "('a', 'b')", "[]", "range(4)", "['x', 'Y']", "(1,)", "d.values()",
                             "d.keys()", "d.items()", "range(5, 0, -2)", "w.split()", "'a,b,,c'.split(',')"])
    a, d = lambda: listing(depth - 1), depth - 1
    return pick([
        lambda: f"[{value(d)}, {value(d)}]", lambda: f"({value(d)}, {value(d)})",
        lambda: f"({a()}|{pick(['list', 'sort', 'reverse', 'unique', 'sort(reverse=true)', 'sort(case_sensitive=true)'])})",
        lambda: f"({a()}|reverse|list)", lambda: f"({a()}|unique|list)",
        lambda: f"({a()} + {a()})",
        lambda: f"{a()}[{bound(d)}:{bound(d)}{pick(['', '', ':' + bound(d)])}]",
        lambda: f"({a()}|map({pick(['upper', 'string', 'length', 'int', 'tojson', 'trim', 'first', 'list', 'title'])!r})|list)",
        lambda: f"({a()}|{pick(['select', 'reject'])}({pick(['', '', chr(39) + 'string' + chr(39), chr(39) + 'odd' + chr(39), chr(39) + 'gt' + chr(39) + ', 1', chr(39) + 'in' + chr(39) + ', l', chr(39) + 'none' + chr(39)])})|list)",
        lambda: f"(x|{pick(['selectattr', 'rejectattr'])}({pick(['role', 'content', 'n', 'missing'])!r}{pick(['', ', `equalto`, `user`', ', `none`', ', `defined`', ', `gt`, 1', ', `string`'])})|list)",
        lambda: f"(x|map(attribute={pick(['role', 'content', 'n', 'role.0', 'missing'])!r}{pick(['', ', default=0'])})|list)",
        lambda: f"(x|sort(attribute={pick(['role', 'n', 'content', 'role,n', 'missing'])!r}{pick(['', ', reverse=true'])}))",
        lambda: f"(x|groupby({pick(['role', 'n', 'content'])!r}{pick(['', ', default=0', ', case_sensitive=true'])}))",
        lambda: f"(x|sum(attribute='n'), x|{pick(['min', 'max'])}(attribute={pick(['n', 'role'])!r}))",
        lambda: f"({a()}|{pick(['batch', 'slice'])}({pick(['1', '2', '3', '2, 0', '3, fill_with=`-`'])})|list)",
        lambda: f"({pick(DICTS)}|{pick(['items', 'list', 'dictsort', 'dictsort(by=`value`)', 'dictsort(true, reverse=true)'])}|list)",
        lambda: f"{text(d)}.{pick(['split', 'rsplit'])}({pick(['', literal_text(), literal_text() + ', 1', 'none, 1', 'maxsplit=1'])})",
        lambda: f"{text(d)}.{pick(['splitlines()', 'splitlines(true)', 'partition(`o`)', 'rpartition(` `)'])}",
        lambda: f"range({number(0)}{pick(['', ', ' + number(0), ', ' + number(0) + ', ' + number(0)])})",
        lambda: f"({text(d)}|list)", lambda: f"({a()} * {pick(['0', '2', '-1'])})",
    ])()


def mapping(depth):
    return pick([lambda: pick(DICTS), lambda: f"{{'a': {value(depth - 1)}, {pick(['1', 'n', 'none', literal_text(), '2.0', 'true'])}: {value(depth - 1)}}}",
                 lambda: f"dict({pick(['d', '[(1, 2)]', 'a=1', 'd, a=s, zz=n', 'j', 'x[0]'])})"])()


def test(depth):
    d = depth - 1
    if depth <= 0:
        return pick(["true", "false", "yes", "no", "s", "e", "z", "n", "nil", "undefined_name", "l", "o"])
    return pick([
        lambda: f"({value(d)} {pick(['==', '!=', '<', '<=', '>', '>='])} {value(d)})",
        lambda: f"({number(d)} {pick(['==', '<', '>=', '!='])} {number(d)} {pick(['<', '==', '>'])} {number(d)})",
        lambda: f"({value(d)} {pick(['in', 'not in'])} {pick([listing, text, mapping])(d)})",
        lambda: f"({test(d)} {pick(['and', 'or'])} {value(d)})",
        lambda: f"(not {value(d)})",
        lambda: f"({value(d)} is {pick(['', 'not '])}{pick(['defined', 'undefined', 'none', 'string', 'number', 'integer', 'float', 'boolean', 'mapping', 'sequence', 'iterable', 'true', 'false', 'odd', 'even', 'lower', 'upper', 'callable', 'escaped', 'filter', 'test'])})",
        lambda: f"({value(d)} is {pick(['divisibleby 2', 'eq 7', 'equalto(s)', 'ne none', 'lt 5', 'gt(1)', 'ge 2.5', 'in l', 'in([1, none])', 'sameas none', 'sameas(true)', 'lessthan 3', 'greaterthan 2', 'divisibleby(z)'])})",
        lambda: f"{text(d)}.{pick(['startswith', 'endswith'])}({pick([literal_text(), '(' + literal_text() + ', ' + literal_text() + ')', literal_text() + ', 1'])})",
        lambda: f"{text(d)}.{pick(['isalpha', 'isdigit', 'isspace', 'isupper', 'islower', 'istitle', 'isalnum', 'isnumeric', 'isascii', 'isdecimal', 'isprintable'])}()",
    ])()


def value(depth):
    if depth <= 0:
        return pick(ALL + [literal_text(), number(0), "none", "[]", "{}", "'abc'", "j.z.y[0].k", "x[2].content", "d.a", "d.items", "x[9]", "s.nothing", "d['c'][1]"])
    return pick([text, text, number, number, listing, listing, test, mapping, lambda d: f"{value(d - 1)}.{pick(['a', 'b', 'role', 'z', 'upper', 'items', 'get', 'append', 'x', '0'])}",
                 lambda d: f"{value(d - 1)}[{value(d - 2)}]",
                 lambda d: f"{mapping(d)}.{pick(['get(`a`)', 'get(`q`, 5)', 'items()|list', 'keys()|list', 'values()|list', 'items()', 'keys()', 'pop(`a`)', 'update({})', 'copy()'])}",
                 lambda d: f"({value(d - 1)} if {test(d - 1)})",
                 lambda d: f"{value(d - 1)}|{pick(['first', 'last', 'length', 'list', 'string', 'int', 'float', 'default(3)', 'd(`x`, true)', 'tojson', 'sum', 'abs', 'items', 'upper', 'join', 'round', 'unknown_filter', 'attr(`a`)', 'attr(`items`)|string|length'])}"])(depth)


def blank():
    return pick(["", "", "", " ", "\n", "  \n  ", "\t", "x", " a b ", "\n\n"])


def tag(inside):
    return "{%" + pick(["", "", "", "-", "+"]) + " " + inside + " " + pick(["", "", "", "-", "+"]) + "%}"


def output(depth):
    return "{{" + pick(["", "", "-"]) + " " + value(depth) + " " + pick(["", "", "-"]) + "}}"


def loop_words():
    return "{{ " + pick(["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex",
                         "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')",
                         "loop.changed(i)", "loop.depth", "loop.depth0", "loop", "loop.nothing"]) + " }}"


def block(depth):
    b = lambda: body(depth - 1)
    names = ["i", "a1", "s", "y", "n"]
    return pick([
        lambda: tag(f"if {test(2)}") + b() + pick(["", tag("else") + b(), tag(f"elif {test(1)}") + b() + tag("else") + b()]) + tag("endif"),
        lambda: tag(f"for i in {listing(1)}{pick(['', '', ' if i', ' if ' + test(1), ' if i is string'])}") + b() + pick(["", loop_words()]) + "{{ i }}" + pick(["", tag("else") + b()]) + tag("endfor"),
        lambda: tag(f"for i in {listing(1)}") + tag(f"if {pick(['loop.index == 2', 'i == 1', test(1)])}") + tag(pick(["break", "continue"])) + tag("endif") + "{{ i }}" + b() + pick(["", tag("else") + "E"]) + tag("endfor"),
        lambda: tag(f"for {pick(['a1, y', '(a1, y)', 'y, a1'])} in {pick(['d.items()', 'd|dictsort', '[(1, 2), (3, 4)]', 'd|items', listing(1)])}") + "{{ a1 }}={{ y }};" + pick(["", loop_words()]) + tag("endfor"),
        lambda: tag(f"set {pick(names)} = {value(2)}") + b() + "{{ y }}{{ a1 }}{{ s }}",
        lambda: tag(f"set a1, y = {pick(['1, 2', 's, n', listing(1), '(1, [2])'])}") + "{{ a1 }}{{ y }}",
        lambda: tag(f"set {pick(names)}{pick(['', '|upper', '|trim', '|replace(`a`, `b`)'])}") + b() + tag("endset") + "{{ y }}|{{ i }}",
        lambda: tag("set ns = namespace(c=0, t='')") + tag(f"for i in {listing(1)}") + tag(f"set ns.c = ns.c + {pick(['1', 'i', 'loop.index'])}") + b() + tag("endfor") + "{{ ns.c }}{{ ns }}",
        lambda: tag(f"macro mac({pick(['', 'a1', 'a1, y=2', 'y=n, a1=y'])})") + b() + "({{ a1 }},{{ y }}" + pick(["", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller(1, 2) }}"]) + ")" + tag("endmacro") + "{{ " + pick(["mac()", "mac(1)", "mac(1, 2)", "mac(y=3)", "mac(a1=s)", "mac(1, 2, 3)", "mac(1, z9=2)", "mac(*l)", "mac(**d)", "mac"]) + " }}",
        lambda: tag("macro mac(a1=1)") + "[{{ caller(" + pick(["", "a1", "1, 2"]) + ") }}]" + tag("endmacro") + tag(f"call{pick(['', '(i)', '(i, y=3)'])} mac({pick(['', '2'])})") + b() + "{{ i }}" + tag("endcall"),
        lambda: tag(f"filter {pick(['upper', 'trim', 'replace(`a`, `b`)', 'length', 'trim|upper', 'indent(2)', 'title'])}") + b() + tag("endfilter"),
        lambda: tag(f"with {pick(['a1 = 1', 's = n, y = s', 'y = ' + value(1), 'i = 1, a1 = i', ''])}") + b() + "{{ a1 }}{{ y }}" + tag("endwith") + "{{ a1 }}",
        lambda: tag("raw") + pick(["{{ x }}", "  {% if %}\n", "\n a", "{# c #}"]) + tag("endraw"),
        lambda: pick(["{# c #}", "{#- c -#}", " {# c #} \n", "{#+ c +#}\n"]),
        lambda: tag("generation") + b() + tag("endgeneration"),
        lambda: tag("for i in [[1, [2, [3]]], [4]] recursive") + "{{ i if i is number else '<' ~ loop(i) ~ '>' }}" + loop_words() + tag("endfor"),
        lambda: tag(f"if {test(1)}") + "{{ raise_exception(" + value(1) + ") }}" + tag("endif"),
        lambda: "{{ strftime_now('%d %b %Y') }}" if R.random() < 0.1 else b(),
        lambda: "{%- set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{% set j2 = joiner('|') %}{{ j2() }}{{ j2() }}",
    ])()


def body(depth):
    parts = [blank()]
    for _ in range(R.randint(1, 3 if depth > 0 else 1)):
        parts.append(block(depth) if depth > 0 and R.random() < 0.6 else output(R.randint(0, 2)))
        parts.append(blank())
    return "".join(parts)


def template():
    """A backquote stands for a double quote, which f-strings do not take in their expressions."""
    return any_template().replace("`", '"')


def any_template():
    kind = R.random()
    if kind < 0.5:
        return "".join("{{ " + value(R.randint(1, 4)) + " }}" for _ in range(1))
    text = body(R.randint(1, 3))
    if R.random() < 0.05 and text:  # broken syntax
        at = R.randrange(len(text))
        text = text[:at] + pick(["", "{", "}", "%", "(", "'", "|", " "]) + text[at + 1:]
    return text


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    R.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    environment = utils._compile_jinja_template("").environment
    counts, shown = {}, 0
    import datetime
    date = datetime.datetime.now()
    for start in range(0, count, 500):
        templates = [template() for _ in range(min(500, count - start))]
        days = (date.date() - datetime.date(1970, 1, 1)).days
        lines = "".join(json.dumps({"template": t, "variables": VARIABLES, "date": days}) + "\n" for t in templates)
        done = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
        for t, answer in zip(templates, answers):
            try:
                expected, error = environment.from_string(t).render(**VARIABLES), None
                expected.encode()
            except Exception as e:
                expected, error = None, f"{type(e).__name__}: {e}"
            outcome = answer["outcome"]
            if outcome == "rendered":
                kind = "equal" if answer["text"] == expected else "DIFFERENT"
            elif error:
                kind = "both errors"
            elif outcome in ("unsupported", "limit") or (outcome == "refused" and "not supported" in answer["message"]):
                kind = "refused"
            else:
                kind = "DIFFERENT"
            counts[kind] = counts.get(kind, 0) + 1
            if kind == "DIFFERENT":
                shown += 1
                if shown <= 40:
                    print(repr(t), "\n   expected", repr(expected), error, "\n   answer  ", answer["outcome"], repr(answer["text"]), answer["message"])
            if kind == "refused" and "--refused" in sys.argv:
                print("refused", repr(t)[:200], answer["message"])
    print(count, "templates:", counts)
    return "DIFFERENT" in counts


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""make_jinja.py: templates written for this project, with the texts that jinja2 makes of them as
transformers 5.24 sets it up. Writes DIR/cases.jsonl, one object per line: template,
text (null: an error), and seeds of fuzz_jinja. The variables are in the first line.

    python make_jinja.py DIR [--seeds FOLDER] [--random N]
"""
import datetime
import importlib.util
import json
import os
import re
import sys

import transformers.utils.chat_template_utils as utils

DATE = datetime.datetime(2024, 2, 29)


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(DATE.year, DATE.month, DATE.day)


utils.datetime = FixedDate
HERE = os.path.dirname(os.path.abspath(__file__))

VARIABLES = {
    "messages": [
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "What is 2 + 3? {{ x }}"},
        {"role": "assistant", "content": "<think>\nsum\n</think>\n\n5", "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "Ünd 4?"}, {"type": "image"}]},
    ],
    "tools": None, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
    "enable_thinking": False, "n": 7, "f": 2.5, "s": "Hello, World", "u": "Größe ß ΑΣ 数学 🙂",
    "l": [3, 1, 2], "d": {"a": 1, "b": "two", "c": [1, None, True]}, "e": "", "k": {"items": 5, "é": {"x": "<&>"}},
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4}]}]}],
}

# Whole templates of the kinds that models have.
CHATS = [
    # turns with marks, a default system text, a generation prompt
    "{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content'] | trim %}\n"
    "    {%- set rest = messages[1:] %}\n{%- else %}\n    {%- set system_message = 'You help.' %}\n    {%- set rest = messages %}\n"
    "{%- endif %}\n{{- '[sys]' + system_message + '[end]\\n' }}\n{%- for m in rest %}\n    {%- if m['content'] is string %}\n"
    "        {{- '[' + m['role'] + ']' + m['content'] | trim + '[end]\\n' }}\n    {%- else %}\n        {%- for part in m.content %}\n"
    "            {%- if part.type == 'text' %}{{ part['text'] }}{% elif part.type == 'image' %}[image]{% endif %}\n        {%- endfor %}\n"
    "    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '[assistant]' }}\n"
    "    {%- if enable_thinking is defined and enable_thinking is false %}\n        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}\n",
    # thoughts of earlier answers are cut, found from behind
    "{% set ns = namespace(multi=true, last=messages|length - 1) %}{% for message in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}"
    "{% if ns.multi and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}"
    "{% set ns.multi = false %}{% set ns.last = index %}{% endif %}{% endfor %}{% for message in messages %}"
    "{% if message.content is string and '</think>' in message.content %}{% set c = message.content.split('</think>')[-1].lstrip('\\n') %}"
    "{% set r = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}({{ r }})({{ c }})"
    "{% else %}{{ message.role }};{% endif %}{% endfor %}{{ ns.last }}",
    # roles must alternate
    "{{ bos_token }}{% for m in messages[1:] %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate: ' ~ m.role) }}{% endif %}"
    "{% if m['role'] == 'user' %}[INST] {{ m['content'] if m.content is string else m.content[0].text }} [/INST]{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}",
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}",
    # tools, macros, dates
    "{% macro show(p, level=0) %}{% if p is mapping %}{{ '{' }}{% for k, v in p|dictsort %}{{ k }}:{{ show(v, level + 1) }}{% if not loop.last %},{% endif %}{% endfor %}{{ '}' }}"
    "{% elif p is iterable and p is not string %}[{% for x in p %}{{ show(x, level=level + 1) }} {% endfor %}]{% else %}{{ p|tojson }}@{{ level }}{% endif %}{% endmacro %}{{ show(d) }}{{ show(messages) }}",
    "{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n        {%- set date_string = strftime_now(\"%d %b %Y\") %}\n    {%- else %}\n        {%- set date_string = \"26 Jul 2024\" %}\n    {%- endif %}\n{%- endif %}\nToday: {{ date_string }}, {{ strftime_now('%A %B %-d %Y %j %H:%M:%S %y/%m %a %p %%') }}",
    "{% for message in messages %}{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ message.content }}\n{% endif %}{% endfor %}",
    "{% if tools %}{{ tools|tojson }}{% endif %}{{ messages|tojson }}\n{{ d|tojson(indent=2) }}\n{{ u|tojson(ensure_ascii=true) }}{{ d|tojson(separators=(',', ':')) }}{{ {'b': 1, 'a': [], 'c': {}}|tojson(sort_keys=true, indent=1) }}",
]

# One construct each; ⏎ and ␍ stand for line ends inside of one.
SMALL = """
{{ bos_token }}|{{ missing }}|{{ none }}|{{ true }}{{ False }}|{{ 1.0 }}{{ 1e16 }}{{ 1e-5 }}{{ 0.1 + 0.2 }}
{{ missing.x }}
{{ missing + 1 }}
{{ missing == other_missing }}{{ missing is defined }}{{ missing|default('x') }}{{ e|default('y', true) }}{{ missing|length }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 - 2 * 3 }} {{ -2 ** 2 }}
{{ 1 / 0 }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 'a' in 'abc' }}{{ 2 not in l }}{{ 'a' in d }}{{ not 1 == 2 }}{{ 1 == 1.0 == true }}
{{ 1 < 'a' }}
{{ s[0] }}{{ s[-1] }}{{ s[1:4] }}{{ s[::-1] }}{{ s[100] }}{{ s[7:] }}{{ l[::2] }}{{ l[-2:] }}{{ u[0:5] }}{{ u[::-2] }}
{{ d.a }}{{ d['b'] }}{{ d.c[2] }}{{ d.missing }}{{ d['missing'] }}{{ d.get('z', 9) }}{{ k['items'] }}{{ k.items()|list }}{{ k.é }}
{{ k['é'].x }}{{ k['é']['x'] }}{{ d.items()|list }}{{ d.keys()|list }}{{ d.values()|list }}{{ d }}{{ d.items() }}
{{ l.append(4) }}
{{ d.update({'x': 1}) }}
{{ l.append is defined }}{{ l.append }}
{{ 'a' ~ 1 ~ none ~ 2.5 ~ [1, 'x'] }}{{ 'a' 'b' "c" }}{{ 'ab' * 2 }}{{ [1] + [2] }}{{ (1,) + (2,) }}{{ (1,) }}{{ () }}{{ {} }}
{{ 'x' if n > 5 else 'y' }}{{ 'x' if n > 50 }}{{ (1 if e else 2) + 3 }}{{ e or 'z' }}{{ n and 'q' }}{{ [] or {} or 0 }}
{{ s|upper }}{{ s|lower }}{{ u|upper }}{{ u|lower }}{{ u|title }}{{ u|capitalize }}{{ 'ŉﬁǆ'|upper }}{{ 'ǆ'.title() }}{{ "they're x-y".title() }}{{ "they're x-y"|title }}
{{ ' x '|trim }}|{{ 'xxaxx'.strip('x') }}|{{ '  a'.lstrip() }}|{{ 'a  '.rstrip() }}|{{ 'abc'|trim('ac') }}|{{ '\\u3000a\\x85'|trim }}|
{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a b c'.split(' ', 1) }}{{ 'a b c'.rsplit(' ', 1) }}{{ 'a\\nb\\r\\nc'.splitlines() }}{{ 'a=b=c'.partition('=') }}
{{ ''.split() }}{{ ''.split(',') }}{{ 'abc'.split('') }}
{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abc'.find('c') }}{{ 'abc'.count('') }}{{ 'aXbX'.replace('X', '-', 1) }}{{ 'abc'.replace('', '.') }}
{{ '-'.join(['a', 'b']) }}{{ ['a', 1, none]|join('/') }}{{ [{'v': 1}, {'v': 2}]|join(',', attribute='v') }}{{ '-'.join([1]) }}
{{ 'a{}b{x}'.format(1, x=2) }}{{ '{0}{0:>4}|{1:<4}|{2:^5}|{3:05d}|{4:.2f}|{5:,}|{6!r}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 'q') }}
{{ '%s %d %5.1f %x %r %%'|format('a', 3, 2.55, 255, 'q') }}{{ '%(a)s' % {'a': 1} }}{{ '%05d|%-5s|%+d' % (42, 'a', 3) }}
{{ '%d' % 'a' }}
{{ l|sort }}{{ l|sort(reverse=true) }}{{ ['b', 'A', 'a']|sort }}{{ ['b', 'A']|sort(case_sensitive=true) }}{{ l|max }}{{ l|min }}{{ l|sum }}{{ l|first }}{{ l|last }}{{ []|first }}
{{ l|reverse|list }}{{ 'abc'|reverse }}{{ [1, 2, 1, 'a', 'A']|unique|list }}{{ l|map('string')|join }}{{ messages|map(attribute='role')|list }}{{ messages|map(attribute='nope', default='-')|list }}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|rejectattr('tool_calls', 'defined')|map(attribute='role')|join(',') }}{{ l|select('odd')|list }}{{ l|reject('gt', 1)|list }}{{ [0, 1, '']|select|list }}
{{ l|map('upper') is iterable }}{{ messages|groupby('role')|map(attribute='grouper')|list }}{% for role, group in messages|groupby('role') %}{{ role }}{{ group|length }}{% endfor %}
{{ [1, 2, 3, 4, 5]|batch(2)|list }}{{ [1, 2, 3, 4, 5]|batch(3, 0)|list }}{{ [1, 2, 3, 4, 5]|slice(2)|list }}{{ d|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(by='value', reverse=true) }}{{ d|items|list }}
{{ '42'|int }}{{ 'x'|int }}{{ 'x'|int(5) }}{{ '0x1f'|int(base=16) }}{{ '3.9'|int }}{{ 3.9|int }}{{ '2.5'|float }}{{ none|int }}{{ true|int }}{{ 2.5|round }}{{ 2.675|round(2) }}{{ 2.1|round(0, 'ceil') }}{{ -3|abs }}{{ 15|round(-1) }}
{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent('> ', blank=true) }}|{{ 'hello big world'|truncate(9) }}|{{ 'hello big world'|truncate(9, true, '~', 0) }}|{{ 'a b-c'|wordcount }}|{{ 'ab'|center(6) }}|
{{ '<a&"\\'>'|e }}{{ ('<b>'|safe) + '<i>' }}{{ '<b>'|escape|upper }}{{ '&amp;'|safe|e }}{{ '&amp;'|forceescape }}{{ '<'|e is escaped }}
{{ [1, 2.0, 'a\\'b', "q\\"'", none, true, (1, 2), {'k': [u]}, missing] }}
{{ 1 is odd }}{{ 2 is even }}{{ 6 is divisibleby 3 }}{{ 'a' is string }}{{ 1 is number }}{{ 1.5 is float }}{{ 1 is integer }}{{ true is boolean }}{{ none is none }}{{ d is mapping }}{{ l is sequence }}{{ range is callable }}{{ 'A' is upper }}{{ 'a1' is lower }}
{{ 1 is eq 1 }}{{ 1 is not in [2] }}{{ 2 is gt 1 }}{{ 2 is lessthan(3) }}{{ true is sameas true }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ s is not defined }}
{{ range(3)|list }}{{ range(1, 10, 3)|list }}{{ range(3) }}{{ range(5, 0, -2)|list }}{{ range(3)|length }}{{ 2 in range(3) }}{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}
{{ range(1000000)|list }}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }};{% endfor %}
{% for i in [1, 1, 2] %}{{ i if loop.changed(i) }}{% endfor %}{% for x in [] %}a{% else %}none{% endfor %}{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{% for i in range(10) if i % 3 == 0 %}{{ loop.index }}:{{ i }}{{ '' if loop.last else ',' }}{% endfor %}{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% if loop.index == 3 %}{% break %}{% endif %}{% else %}E{% endfor %}
{% for i in [1] %}{% continue %}{% else %}else after continue{% endfor %}{% for a, b in [1] %}{% endfor %}
{% for node in tree recursive %}{{ node.v }}@{{ loop.depth }}{% if node.kids %}({{ loop(node.kids) }}){% endif %}{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i + 10 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 5 %}{% endif %}{{ x }}
{% for i in [1, 2] %}{{ s }}{% endfor %}{% set s = 'later' %}{{ s }}{% if false %}{% set bos_token = 1 %}{% endif %}{{ bos_token }}
{% macro m() %}{{ later }}{{ n }}{% endmacro %}{{ m() }}{% set later = 'L' %}{{ m() }}{% set n = 8 %}{{ m() }}
{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% set ns.b = i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns }}{% set d.x = 1 %}
{% set ns = namespace(_x=1) %}
{% set a, b = 1, 2 %}{{ b }}{{ a }}{% set c %}<{{ a }}>{% endset %}{{ c }}{% set c | upper %}abc{% endset %}{{ c }}{% with z = 1, y = a %}{{ z }}{{ y }}{% set a = 9 %}{% endwith %}{{ a }}{{ z }}
{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }}{{ f(1, c=3) }}{{ f(1, 2, 3, 4, z=5) }}{{ f() }}
{% macro f(a) %}[{{ a }}{{ caller('x') if caller }}]{% endmacro %}{% call(y) f(1) %}<{{ y }}>{% endcall %}{{ f(2) }}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f }}{{ f(*[1]) }}{{ f(**{'a': 2}) }}{{ f(b=1) }}
{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b')|indent(2) %}a⏎ a{% endfilter %}
a  {#- comment -#}  b {# c #} c⏎   {# gone #}⏎d   {{- ' e ' -}}   f⏎    {% if true %}⏎ g⏎    {% endif %}⏎   {%+ if true %}h{% endif +%}⏎i
{% raw %}{{ x }} {% if %}{% endraw %}|  {%- raw -%}  {{ y }}  {%- endraw -%}  |
line␍⏎end␍x⏎⏎
{% if true -%}⏎  x⏎{%- elif false %}y{% else %}z{% endif %}{% if missing %}a{% elif e %}b{% elif n == 7 %}c{% endif %}
{{ '\\x41\\u00e9\\t\\101\\q\\\\' }}{{ "a\\⏎b" }}{{ 0x1F }}{{ 0b101 }}{{ 0o17 }}{{ 1_000 }}{{ 1e3 }}{{ 1.5e-3 }}{{ .5 }}
{{ 'a' if }}
{% for x in l %}
{{ foo( }}
{{ 'unfinished }}
{% if s is string and s|length > 3 and not (s.startswith('x') or n == 8) %}yes{% endif %}{{ s is string == true }}{{ (n is odd) ~ (-1)|abs ~ -1|abs }}
{{ ''.join(['x'] * 3) }}{{ [[1, 2], [3]]|sum(start=[]) }}{{ [0.1, 0.2]|sum }}{{ 'abc'|list }}{{ {'a': 1}|list }}{{ 'abc'|first }}{{ d|first }}{{ d|length }}
{{ [1, 2] == [1, 2.0] }}{{ (1, 2) == [1, 2] }}{{ {'a': 1} == {'a': true} }}{{ [1, 2] < [1, 3] }}{{ 'a' < 'b' < 'c' }}{{ none == false }}{{ 10 ** 18 }}{{ 3 ** 2 ** 2 }}
{{ cycler('a', 'b').next() }}{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{% set j = joiner(', ') %}{{ j() }}x{{ j() }}y
{{ messages[0].role.upper().lower().title()[0:3].replace('S', 'T') }}{{ messages[-1].content[0]['text'][0] }}{{ messages[1].content.split('?')[0].split()[-1]|int + 1 }}
{{ raise_exception('stop: ' ~ n) }}
{% set x = raise_exception(none) %}
{{ strftime_now('%Y-%m-%d') }}{{ strftime_now(5) }}
{% break %}
{% set loop = 1 %}{% for i in l %}{% set loop = 2 %}{% endfor %}
{{ {'a': 1, 'a': 2} }}{{ {1: 'x', true: 'y', 1.0: 'z'} }}{{ {[1]: 2} }}
{{ 'ab'.zfill(5) }}{{ '-5'.zfill(4) }}{{ 'x'.center(4, '*') }}{{ 'x'.ljust(3) }}|{{ 'x'.rjust(3) }}{{ 'aBc'.swapcase() }}{{ 'ß'.casefold() }}{{ 'abc'.removeprefix('a').removesuffix('c') }}
{{ 'a1'.isalnum() }}{{ 'a'.isalpha() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ '٣'.isdecimal() }}{{ ' \\t'.isspace() }}{{ 'Ab C'.istitle() }}{{ ''.isascii() }}{{ 'A1'.isupper() }}{{ 'ª'.islower() }}
{{ ['a', 'b'].index('b') }}{{ [1, 1, 2].count(1) }}{{ (1, 2).index(3) }}
{{ foo is defined and foo.bar }}{{ d.a.b is defined }}{{ d.a.b.c is defined }}
"""


def fuzz_module():
    path = os.path.join(HERE, "..", "..", "bench", "jinja_fuzz.py")
    spec = importlib.util.spec_from_file_location("jinja_fuzz", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    folder = sys.argv[1]
    seeds = sys.argv[sys.argv.index("--seeds") + 1] if "--seeds" in sys.argv else None
    count = int(sys.argv[sys.argv.index("--random") + 1]) if "--random" in sys.argv else 400
    environment = utils._compile_jinja_template("").environment
    own = CHATS + [line.replace("⏎", "\n").replace("␍", "\r")
                   for line in SMALL.strip("\n").split("\n")]
    fuzz = fuzz_module()
    fuzz.R.seed(20)
    random_ones = []
    while len(random_ones) < count:
        template = fuzz.template()
        if len(template) < 300:
            random_ones.append(template)
    variables = dict(fuzz.VARIABLES)
    with open(os.path.join(folder, "cases.jsonl"), "w", encoding="utf-8") as out:
        for values, templates in ((VARIABLES, own), (variables, random_ones)):
            out.write(json.dumps({"variables": values}, ensure_ascii=False) + "\n")
            for template in templates:
                try:
                    text = environment.from_string(template).render(**values)
                except Exception:
                    text = None
                if text is None or (" at 0x" not in text and len(text) < 600 and
                                    not re.search(r"range\(.*\)\.(count|index)", template)):
                    out.write(json.dumps({"template": template, "text": text}, ensure_ascii=False) + "\n")
    for i, template in enumerate(own if seeds else []):
        with open(os.path.join(seeds, f"own_{i:03d}"), "w", encoding="utf-8", newline="") as f:
            f.write(template)


if __name__ == "__main__":
    main()

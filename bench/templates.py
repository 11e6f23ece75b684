#!/usr/bin/env python3
"""bench/templates.py: renders a folder of chat templates with transformers and with Faultline.

Every template x 8 conversations; equal is byte for byte. Needs the packages transformers and
jinja2, and the program bench_jinja_render of a build. Writes a table for docs/templates.md.

    python3 bench/templates.py build/release/bench_jinja_render FOLDER [--table]
"""
import datetime
import hashlib
import json
import os
import subprocess
import sys

import jinja2
import transformers.utils.chat_template_utils as utils

DATE = datetime.datetime(2024, 7, 26)
DAYS = (DATE.date() - datetime.date(1970, 1, 1)).days


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(DATE.year, DATE.month, DATE.day)


utils.datetime = FixedDate

U = lambda text: {"role": "user", "content": text}
A = lambda text: {"role": "assistant", "content": text}
S = lambda text: {"role": "system", "content": text}
CONVERSATIONS = [
    ([U("What is 2 + 3?")], True, None),
    ([S("You are terse."), U("What is 2 + 3?")], True, False),
    ([U("Hi"), A("Hello! How can I help?"), U("Add 1 and 2.\n\nThen stop.")], True, True),
    ([S("Réponds en français. 数学"), U("Größe: ½ · 🙂 e\u0301"), A("Ünïcödé ✓"), U("ΑΣ ς ß İ")],
     True, None),
    ([U("  blanks before and behind  \n\n"), A("\n\nanswer with blanks \t "), U("\tx\n")], True, False),
    ([S(" {{ not a tag }} {% raw %} "), U("{% if x %} {{ y }} {# z #} \\n <|im_end|> [INST] </s>")],
     True, True),
    ([U("Think."), A("<think>\nfirst 1 then 2\n</think>\n\nThe answer is 3."), U("Again?"), A("4")],
     False, True),
    ([S("Sum."), U("1+1"), A("2"), U("'2' + \"2\" & <3>"), A("4")], False, None),
]
CONSTANTS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def reference(template, messages, add, thinking):
    """What transformers renders: (text, None), or (None, its error)."""
    variables = dict(CONSTANTS)
    if thinking is not None:
        variables["enable_thinking"] = thinking
    try:
        rendered, _ = utils.render_jinja_template(
            conversations=[messages], chat_template=template, add_generation_prompt=add, **variables)
        return rendered[0], None
    except jinja2.exceptions.TemplateError as error:
        return None, f"{type(error).__name__}: {error}"
    except Exception as error:  # what Python raises inside of a template
        return None, f"{type(error).__name__}: {error}"


def request(template, messages, add, thinking):
    variables = dict(CONSTANTS, messages=messages, tools=None, documents=None,
                     add_generation_prompt=add)
    if thinking is not None:
        variables["enable_thinking"] = thinking
    return {"template": template, "variables": variables, "date": DAYS}


def ask(program, requests):
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in requests)
    done = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.split(b"\n") if line]


def compare(expected, answer):
    text, error = expected
    outcome = answer["outcome"]
    if text is not None and outcome == "rendered":
        return "equal" if text == answer["text"] else "DIFFERENT"
    if text is None and outcome in ("raised", "failed", "refused"):
        return "raises"
    if outcome in ("unsupported", "refused", "limit"):
        return "refused"
    return "DIFFERENT"


def main():
    program, folder = sys.argv[1:3]
    seen, counts, slowest = {}, {}, 0.0
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), newline="", encoding="utf-8") as f:
            template = f.read()
        digest = hashlib.sha256(template.encode()).hexdigest()
        if digest in seen:
            continue
        seen[digest] = name
        # The least of three times: the clock also runs while other programs do.
        answers, *again = [ask(program, [request(template, *c) for c in CONVERSATIONS])
                           for _ in range(3)]
        for other in again:
            for a, b in zip(answers, other):
                a["us"] = min(a["us"], b["us"])
        expected = [reference(template, *c) for c in CONVERSATIONS]
        results = [compare(e, a) for e, a in zip(expected, answers)]
        slowest = max([slowest] + [a["us"] for a in answers])
        kinds = [f"{results.count(k)} {k}" for k in ("equal", "raises", "refused", "DIFFERENT")
                 if k in results]
        why = next((a["message"].split(": ", 1)[1] for r, a in zip(results, answers)
                    if r == "refused"), "")
        if "--table" in sys.argv:
            print(f"| {name} | `{digest[:16]}` | {', '.join(kinds)}{': ' + why if why else ''} |")
        else:
            print(name, ", ".join(kinds), why)
            for e, a, r in zip(expected, answers, results):
                if r == "DIFFERENT":
                    print("  expected", repr(e), "\n  answer  ", a)
        key = "DIFFERENT" if "DIFFERENT" in results else "refused" if "refused" in results else "equal"
        counts[key] = counts.get(key, 0) + 1
    print(f"{len(seen)} templates x {len(CONVERSATIONS)} conversations: {counts}; "
          f"the slowest rendering took {slowest:.0f} us")
    return "DIFFERENT" in counts


if __name__ == "__main__":
    sys.exit(main())

"""Speed and agreement of `faultline grade` and Math-Verify on the same pairs, in one run.

    python -m venv VENV && VENV/bin/pip install math-verify antlr4-python3-runtime==4.13.2
    taskset -c 0 VENV/bin/python bench/against_math_verify.py build/release/faultline ../shared/data/math 3000

Pairs: every answer with itself written another way, and with that of another problem of
its subject. Truth: the first are equal; the second differ (their texts do, and in 12,500
such pairs three were equal by rule, docs/grader.md). Times: the library's calls
for Math-Verify; for faultline the whole process, JSON in and out included, and the
verdicts alone.
"""
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time


def pairs_of(folder, count):
    rows = []
    for part in ("train", "test"):
        with gzip.open(f"{folder}/{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows += [json.loads(line) for line in file]
    draw = random.Random(5)
    by_subject = {}
    for row in rows:
        by_subject.setdefault(row["type"], []).append(row["answer"])
    out = []
    while len(out) < count:
        row = draw.choice(rows)
        gold = row["answer"]
        other = draw.choice(by_subject[row["type"]])
        if not gold or not other:
            continue
        if len(out) % 2 == 0:
            out.append((gold, gold.replace("\\frac", "\\dfrac").replace(" ", "  "), True))
        elif other != gold:
            out.append((gold, other, False))
    return out


def math_verify(pairs):
    from math_verify import parse, verify

    verdicts = []
    start = time.perf_counter()
    for gold, pred, _ in pairs:
        verdicts.append(verify(parse(f"${gold}$"), parse(f"${pred}$")))
    return verdicts, time.perf_counter() - start


def faultline(program, pairs):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for gold, pred, _ in pairs:
            file.write(json.dumps({"gold": gold, "pred": pred}) + "\n")
        file.flush()
        start = time.perf_counter()
        done = subprocess.run([program, "grade", "--jsonl", file.name], check=True,
                              capture_output=True, text=True)
        seconds = time.perf_counter() - start
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row["correct"] for row in rows], seconds, sum(row["ms"] for row in rows) / 1e3


def right(verdicts, pairs):
    return sum(v == truth for v, (_, _, truth) in zip(verdicts, pairs)) / len(pairs)


def main():
    program, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    pairs = pairs_of(folder, count)
    ours, process, verdicts = faultline(program, pairs)
    theirs, library = math_verify(pairs)
    print(f"{count} pairs")
    print(f"faultline, process  {count / process:10.0f} pairs/s  agreement {right(ours, pairs):.4f}")
    print(f"faultline, verdicts {count / verdicts:10.0f} pairs/s")
    print(f"Math-Verify         {count / library:10.0f} pairs/s  agreement {right(theirs, pairs):.4f}")
    print(f"ratio, process      {library / process:10.1f}")


main()

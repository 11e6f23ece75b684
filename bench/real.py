"""Our program against llama.cpp's server on the same weights. Called by bench/real.sh.

tokens    ids of mixed texts, then of as many of each kind in bench/texts.py, with special tokens
          recognised and as plain text: equal. Set apart are texts where we do as the tokenizers
          package does with the model's own tokenizer.json and llama.cpp does not:
          - recognised only: a token that the file calls normal and llama.cpp makes special
            because of its looks (its log says which)
greedy    of each prompt 64 tokens: our first choice after each is the server's, up to the
          first difference, where our margin must be under 1e-3
logprobs  of the server's 20 likeliest tokens at each of them: ours within 2e-3
"""
import argparse
import json
import random
import re
import subprocess
import sys
import time
import urllib.request

import texts as kinds_of_texts

NEW, LIKELIEST, NEAR, MARGIN = 64, 20, 2e-3, 1e-3

PROMPTS = [
    "The capital of France is", "def fibonacci(n):\n", "Once upon a time, in a small village,",
    "Water boils at a temperature of", "#include <stdio.h>\nint main(void)\n{\n",
    "Question: Tom has 3 boxes with 12 pens each and gives away 7 pens. How many are left?\nAnswer:",
    "法国的首都是", "Der schnellste Weg nach Berlin", "SELECT name, age FROM users WHERE",
    "The three laws of motion are:\n1.", "Dear Sir or Madam,\n\nI am writing to",
    "1, 1, 2, 3, 5, 8, 13,", "Translate to Spanish: Good morning, my friend.\n",
    "The opposite of hot is", "class Stack:\n    def __init__(self):\n",
    "In 1969, humans first", "$$\\int_0^1 x^2 dx =", "Roses are red,\n",
    "<|im_start|>user\nWhat is 17 times 23?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "Write a haiku about rain.<|im_end|>\n<|im_start|>assistant\n",
]

PIECES = ["the ", "The", "I'm ", "they'LL", " 's", "3.14159", "2024-11-26", "1234567890", " ", "  ", "   ", "\n", "\n\n",
          "\r\n", "\t", "\t\t ", "naïve ", "café", "cafe\u0301", "Straße", "ﬁ", "½", "²", "٣", "७", "中文", "汉字测试", "日本語の",
          "カタカナ", "한국어 ", "עברית", "العربية", "ไทย", "हिन्दी", "Ελληνικά", "Русский ", "😀", "👩‍👩‍👧", "🇩🇪", "❤️",
          "\u200b", "\u00a0", "\u3000", "\ufeff", "...", "!!!", "?!", "--", "=>", "!=", "&&", "/*", "*/", "//", "#", "$x^2$",
          "\\frac{1}{2}", "{", "}", "()", "[0]", "_name", "camelCase", "snake_case", "URL: http://a.b/c?d=e&f=g",
          "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</s>", "<s>", "a" * 40, "\x00", "\x01", "\x7f"]


def texts(count):
    """Lines of the repository and seeded mixtures of pieces that splitting rules trip over."""
    out = []
    for name in ("README.md", "docs/architecture.md", "docs/formats.md", "runtime/text/bpe.c", "shaders/push.h"):
        out += [line for line in open(name, encoding="utf-8").read().split("\n") if line.strip()]
    out = random.Random(1).sample(out, min(len(out), count // 4))
    for kind in ("qwen2", "llama3", "gpt2"):
        with open(f"tests/golden/tokenizer/{kind}/vectors.jsonl", encoding="utf-8") as file:
            out += [json.loads(line)["text"] for line in file][:count // 8]
    draw = random.Random(2)
    while len(out) < count:
        out.append("".join(draw.choice(PIECES) for _ in range(draw.randint(1, 24))))
    return out[:count]


class Server:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(600):
            try:
                if self.opener.open(self.base + "/health", timeout=5).status == 200:
                    return
            except OSError:
                time.sleep(0.5)
        sys.exit("real: the server does not answer; see build/real-*.log")

    def post(self, path, **body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(self.opener.open(request, timeout=600))

    def tokens(self, text, special):
        return self.post("/tokenize", content=text, add_special=False, parse_special=special)["tokens"]

    def greedy(self, ids):
        answer = self.post("/completion", prompt=ids, n_predict=NEW, temperature=0, n_probs=LIKELIEST,
                           cache_prompt=False, samplers=["top_k"], top_k=1, return_tokens=True)
        # Of tokens that make one character together the server reports the last only.
        reported, out = iter(answer["completion_probabilities"]), []
        entry = next(reported, None)
        for token in answer["tokens"]:
            likeliest = {}
            if entry and entry["id"] == token:
                likeliest = {t["id"]: t["logprob"] for t in entry["top_logprobs"]}
                entry = next(reported, None)
            out.append((token, likeliest))
        return out


def ours(options, tool, lines, *more):
    command = [options.program, "tool", tool, "--model", options.model, "--device", options.device, "--kv", "f32", *more]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"real: {' '.join(command)}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def overridden(log):
    """Texts of the tokens whose type llama.cpp does not take from the file."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return re.findall(r"control-looking token: +\d+ '(.*?)' was not control-type", file.read())


def compare(options, server, lines, special, apart):
    """How many are equal, how many set apart, and the first that differ."""
    got = ours(options, "tokenize", [json.dumps(t) for t in lines], "--json", *([] if special else ["--plain"]))
    differ = [(t, a, b) for t, a in zip(lines, got) if a != (b := server.tokens(t, special))]
    wrong = [d for d in differ if not any(s in d[0] for s in apart)]
    for text, a, b in wrong[:3]:
        print(f"  differs: {text!r}\n    ours  {a}\n    peer  {b}")
    return len(lines) - len(differ), len(differ) - len(wrong), not wrong


def check_tokens(options, server):
    lists = {"mixed": texts(options.texts), **kinds_of_texts.kinds(options.texts)}
    marked, good = overridden(options.log), True
    for name, lines in lists.items():
        counts = []
        for special in (True, False):
            equal, apart, all_equal = compare(options, server, lines, special, marked if special else [])
            counts.append(f"{equal} equal" + (f", {apart} set apart" if apart else ""))
            good = good and all_equal
        print(f"  {name}, {len(lines)} texts: special tokens recognised {counts[0]}; plain {counts[1]}", flush=True)
    if marked:
        print(f"  set apart where recognised: texts with {marked}")
    return good


def check_prompts(options, server):
    prompts = ours(options, "tokenize", [json.dumps(p) for p in PROMPTS[:options.prompts]], "--json")
    answers = [server.greedy(ids) for ids in prompts]
    lines = [ids + [i for i, _ in a] for ids, a in zip(prompts, answers)]
    rows = ours(options, "logits", [json.dumps(ids) for ids in lines], "--top", "64")
    equal = compared = missing = 0
    worst, good = 0.0, True
    for prompt, ids, answer, top in zip(PROMPTS, prompts, answers, rows):
        same = True
        for k, (token, likeliest) in enumerate(answer):
            row = dict(map(tuple, top[len(ids) - 1 + k]))
            first, second = list(row.items())[:2]
            for i, logprob in likeliest.items():
                if i in row:
                    compared += 1
                    worst = max(worst, abs(row[i] - logprob))
                else:
                    missing += 1
            if same and first[0] != token:
                same = False
                margin = first[1] - row.get(token, -1e9)
                print(f"  {prompt[:40]!r}: token {k} is {first[0]}, the peer's {token}, margin {margin:.2e}")
                good = good and margin < MARGIN
        equal += same
    print(f"  greedy: {equal} of {len(answers)} prompts equal in all of up to {NEW} tokens")
    print(f"  log-probabilities: {compared} compared, largest difference {worst:.2e}, {missing} not among our 64")
    return good and worst <= NEAR and missing == 0


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("program", str), ("device", str), ("model", str), ("log", str), ("port", int), ("prompts", int), ("texts", int)):
        parser.add_argument("--" + name, type=kind, required=True)
    options = parser.parse_args()
    server = Server(options.port)
    print(options.model, flush=True)
    good = check_tokens(options, server)
    good = check_prompts(options, server) and good
    print("  " + ("holds" if good else "DOES NOT HOLD"), flush=True)
    sys.exit(not good)


main()

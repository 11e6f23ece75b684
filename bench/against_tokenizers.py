"""Our tokenizers against the tokenizers package (0.23), id by id.

    python bench/against_tokenizers.py [--program FILE] [--texts N] [--seed N] FOLDER...   folders with a tokenizer.json
    python bench/against_tokenizers.py --made N [...]                                      N tokenizers made up here

Random texts: all planes, white space, combining marks, added tokens of the tokenizer in context, digits, line ends,
mixed scripts. Each is encoded with special tokens recognised and as plain text, and what was encoded is decoded. A made
tokenizer has a random normalizer, pre-tokenizer and added tokens: the kinds that are read. One that either side refuses
is counted and named. Ends with 1 if anything differs.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer


def span(first, last):
    return [chr(c) for c in range(first, last + 1) if not 0xd800 <= c <= 0xdfff]


WORDS = ["the", "The", " answer", "is", "I'm", "they'LL", "'s", "'S", "it's", "hello", "WORLD", "camelCase", "snake_case", "3.14159",
         "1234567", "12", "7", "x^2", "café", "cafe\u0301", "Straße", "ﬁ", "½", "²", "٣", "७", "中文", "汉字", "日本語の", "カタカナ", "한국어",
         "עברית", "العربية", "ไทย", "हिन्दी", "Ελληνικά", "Русский", "😀", "👩‍👩‍👧", "🇩🇪", "❤️", "...", "!!!", "--", "=>", "{", "}", "\\frac",
         "http://a.b/c?d=e", "\uff11", "\uac01", "\u1100\u1161", "Å", "\u212b", "ſ", "K", "İ", "ß", "ǆ", "\u1e9b\u0323", "\ufb01"]
BLANKS = [" "] * 8 + ["  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\v", "\f", "\u00a0", "\u3000", "\u2028", "\u0085", "\u180e",
                      "\u200b", "\ufeff", "\x1c", "\u1680", "\u2003", "▁", "▁▁"]
MARKS = span(0x300, 0x36f) + ["\u0591", "\u064b", "\u0670", "\u093c", "\u0e38", "\u3099", "\u309a", "\u20d0", "\ufe0f", "\u200d", "\u0f71",
                              "\u0f72", "\u1dfa", "\U0001e8d0", "\U00011930", "\u0897", "\U0001e08f"]
SCRIPTS = [span(0x20, 0x7e), span(0xa0, 0x17f), span(0x370, 0x3ff), span(0x400, 0x4ff), span(0x5d0, 0x5ea), span(0x621, 0x64a),
           span(0x905, 0x939), span(0xe01, 0xe3a), span(0x3041, 0x30ff), span(0x4e00, 0x4eff), span(0xac00, 0xacff),
           span(0x1f600, 0x1f64f), span(0x1d400, 0x1d7ff), span(0, 0x1f) + span(0x7f, 0x9f), span(0x1c80, 0x1c8a),
           span(0xa7c0, 0xa7ff), span(0x10d40, 0x10d8f), span(0x16d40, 0x16d79), span(0x2000, 0x206f), span(0x3250, 0x33ff)]


def any_plane(draw):
    while True:
        c = draw.randrange(0x110000) if draw.random() < 0.5 else draw.randrange(0x20000)
        if not 0xd800 <= c <= 0xdfff:
            return chr(c)


def text(draw, added):
    out = []
    script = draw.choice(SCRIPTS)
    for _ in range(draw.randint(0, 24)):
        kind = draw.random()
        if kind < 0.25:
            out.append(draw.choice(WORDS))
        elif kind < 0.45:
            out.append(draw.choice(BLANKS))
        elif kind < 0.55 and added:
            token = draw.choice(added)
            out.append(token if draw.random() < 0.8 else token[:draw.randint(0, len(token))])
        elif kind < 0.65:
            out.append("".join(draw.choice("0123456789") for _ in range(draw.randint(1, 9))))
        elif kind < 0.75:
            out.append("".join(draw.choice(MARKS) for _ in range(draw.randint(1, 3))))
        elif kind < 0.9:
            out.append("".join(draw.choice(script) for _ in range(draw.randint(1, 6))))
        elif kind < 0.93:
            script = draw.choice(SCRIPTS)
        else:
            out.append("".join(any_plane(draw) for _ in range(draw.randint(1, 3))))
    return "".join(out)


def ours(program, folder, lines, *more):
    done = subprocess.run([program, "tool", "tokenize", "--model", folder, *more], input="\n".join(map(json.dumps, lines)) + "\n",
                          capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1]
    # a line may end in what Python takes for one and JSON does not
    return [json.loads(line) for line in done.stdout.split("\n") if line], None


def differences(name, what, lines, mine, theirs):
    bad = [(t, a, b) for t, a, b in zip(lines, mine, theirs) if a != b]
    for t, a, b in bad[:1]:
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        print(f"  {name}: {what} of {t!r}\n    from {at}: ours {a[at:at + 8]!r}, package {b[at:at + 8]!r}")
    return len(bad)


def compare(options, name, folder, seed):
    """(texts, what differs, refusal)"""
    spec = json.load(open(os.path.join(folder, "tokenizer.json"), encoding="utf-8"))
    try:
        peer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        peer.no_truncation()
    except BaseException as error:  # a panic is no Exception
        return 0, 0, f"the package refuses it: {str(error)[:120]}"
    draw = random.Random(seed)
    added = [a["content"] for a in spec.get("added_tokens", [])]
    added += [" " + a for a in added] + [a.swapcase() for a in added]
    lines = [text(draw, added) for _ in range(options.texts)]
    bad = 0
    for plain in (False, True):
        peer.encode_special_tokens = plain
        mine, error = ours(options.program, folder, lines, "--json", *(["--plain"] if plain else []))
        if error:
            return 0, 0, error
        theirs = [e.ids for e in peer.encode_batch(lines, add_special_tokens=False)]
        bad += differences(name, "plain" if plain else "ids", lines, mine, theirs)
        if not plain and options.decode:
            # what the package replaces is bytes here
            pairs = [(i, d) for i, d in zip(theirs, peer.decode_batch(theirs, skip_special_tokens=False)) if "\ufffd" not in d]
            back, error = ours(options.program, folder, [i for i, _ in pairs], "--decode", "--json")
            bad += differences(name, "decoding", [i for i, _ in pairs], back, [d for _, d in pairs]) if not error else print(error) or 1
    return len(lines), bad, None


# ---- tokenizers made up here ----

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
          r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
PATTERNS = [GPT2, LLAMA3, LLAMA3.replace("{1,3}", ""), TEKKEN, CL100K, r"\p{N}{1,3}", r"\p{N}{1,3}+", r"\p{N}{2}+", r"\h+", r"\H", r"$", r"^", r"\b",
            r"\B", r"x*", r"\d*", r"(?=[a-z])", r"\w+", r"\W", r"[\w&&[^aeiou]]+", r"[^\W\d]+", r"[[:alpha:]]+", r"[[:^alpha:]]", r"[[:punct:]]",
            r"\p{Punct}", r"\p{^L}+", r"\P{^L}", r"[^\p{L}a-c[x-z]]", r"[^[^a]b]", r"[a-z--b]", r"[]a]", r"a{,2}", r"a{2}?", r"a+?*b", r"(?:ab|a)++b?",
            r"(?>a|ab)c", r"(?i)a|b", r"a(?i)b|c", r"(?m:.+)", r".+", r"\R", r"\N+", r"\O", r"\s*\Z", r"\s+\z", r"\A.", r"(?<=\s)\S", r"(?<!\p{L})\p{L}",
            r"[\r\n]", r"[\s\S]", r"(?#a comment)a", r"(?<n>[a-c])+", r"[一-龥぀-ゟ゠-ヿ]+", r"\p{Han}+", r"\p{Katakana}|\p{Hiragana}", r"[^\S\r\n]+",
            r"\x41|\x{4e00}|\u00e9", r"\-|\.", r"", r"\p{Lu}?\p{Ll}+", r"\p{M}+", r"\p{S}|\p{P}", r"\p{Cn}+", r"\p{C}", r"[\p{Z}\t]", r"(?i:k|s)", r"\p{Cf}"]
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def normalizer(draw):
    def one():
        return draw.choice([{"type": k} for k in ("NFC", "NFC", "NFD", "NFKC", "NFKD", "Lowercase")] +
                           [{"type": "Strip", "strip_left": draw.random() < 0.5, "strip_right": draw.random() < 0.5},
                            {"type": "Prepend", "prepend": draw.choice(["▁", " ", "x"])},
                            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                            {"type": "Replace", "pattern": {"Regex": draw.choice([r"\s+", r"\p{N}", "a|b", " {2,}"])}, "content": draw.choice(["", " ", "zz"])}])
    kind = draw.random()
    if kind < 0.3:
        return None
    return one() if kind < 0.7 else {"type": "Sequence", "normalizers": [one() for _ in range(draw.randint(1, 3))]}


def splitter(draw, last):
    def one():
        return draw.choice([{"type": "Split", "pattern": {"Regex": draw.choice(PATTERNS)}, "behavior": draw.choice(BEHAVIORS[:1] * 4 + BEHAVIORS),
                             "invert": draw.random() < 0.15}] * 5 +
                           [{"type": "Split", "pattern": {"String": draw.choice([" ", "a", "1", "'s"])}, "behavior": draw.choice(BEHAVIORS), "invert": False},
                            {"type": "Digits", "individual_digits": draw.random() < 0.5},
                            {"type": "Punctuation", "behavior": draw.choice(BEHAVIORS)},
                            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": draw.choice(["always", "first", "never"]), "split": draw.random() < 0.5}])
    steps = [one() for _ in range(draw.randint(0, 2))]
    if last == "bytes":
        at = draw.randint(0, len(steps)) if draw.random() < 0.2 else len(steps)
        steps.insert(at, {"type": "ByteLevel", "add_prefix_space": draw.random() < 0.3, "trim_offsets": True, "use_regex": draw.random() < 0.4})
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def alphabet():
    shown = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    return [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]


def made(draw):
    kind = draw.choice(["bytes", "bytes", "characters"])
    letters = alphabet() if kind == "bytes" else sorted(set("".join(WORDS)) | set("abcdefghijklmnopqrstuvwxyz ▁0123456789"))
    letters = [c for c in letters if kind == "bytes" or draw.random() < 0.9]
    fallback = kind == "characters" and draw.random() < 0.6
    tokens = ["<unk>"] + ([f"<0x{i:02X}>" for i in range(256) if draw.random() < 0.98] if fallback else []) + letters
    merges, known = [], set(tokens)
    while len(merges) < 150:
        pair = (draw.choice(tokens[-400:]), draw.choice(letters if draw.random() < 0.5 else tokens[-60:]))
        if len(pair[0] + pair[1]) > 8 or "<" in pair[0] + pair[1]:
            continue
        merges.append(pair)
        if pair[0] + pair[1] not in known:
            known.add(pair[0] + pair[1])
            tokens.append(pair[0] + pair[1])
    merges += draw.sample(merges, 10)  # some are listed twice
    texts = draw.sample(["<s>", "</s>", "<|x|>", "<|x|>y", "abc", "bcd", "The", "é", "e\u0301", " a", "a b", "<pad>", "▁b", "x", "12", "Ä", "ﬁ", "<0x0A>"], 8)
    added = [{"id": 5000 + i, "content": t, "single_word": draw.random() < 0.2, "lstrip": draw.random() < 0.3, "rstrip": draw.random() < 0.3,
              "normalized": draw.random() < 0.5, "special": draw.random() < 0.4} for i, t in enumerate(texts)]
    decoder = ({"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True} if kind == "bytes" else
               {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                 {"type": "Fuse"}] + [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] * draw.randint(0, 1)})
    model = {"type": "BPE", "dropout": None, "unk_token": draw.choice([None, "<unk>"]), "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": draw.random() < 0.5, "byte_fallback": fallback, "ignore_merges": draw.random() < 0.3,
             "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [" ".join(m) if " " not in "".join(m) else list(m) for m in merges]}
    if any(isinstance(m, list) for m in model["merges"]):
        model["merges"] = [list(m) for m in merges]
    if draw.random() < 0.2:
        del model["type"]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer(draw),
            "pre_tokenizer": splitter(draw, kind), "post_processor": None, "decoder": decoder, "model": model}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="build/release/faultline")
    parser.add_argument("--texts", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--made", type=int, default=0, help="how many tokenizers to make up")
    parser.add_argument("--keep", help="folder for those made up that differ")
    parser.add_argument("--no-decode", dest="decode", action="store_false")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args()
    failed, refused = 0, {}
    for folder in options.folders:
        count, bad, refusal = compare(options, folder, folder, options.seed)
        print(f"{folder}: " + (refusal or f"{count} texts, {bad} differ"), flush=True)
        failed += bad + bool(refusal)
    equal = 0
    for n in range(options.made):
        with tempfile.TemporaryDirectory() as folder:
            spec = made(random.Random(options.seed * 100003 + n))
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
                json.dump(spec, file, ensure_ascii=False)
            count, bad, refusal = compare(options, f"made {n}", folder, n)
            if refusal:
                reason = refusal.split("tokenizer.json': ")[-1][:110]
                refused[reason] = refused.get(reason, 0) + 1
            elif bad:
                failed += 1
                print(f"  made {n}: {json.dumps({k: spec[k] for k in ('normalizer', 'pre_tokenizer', 'added_tokens')}, ensure_ascii=False)}", flush=True)
                if options.keep:
                    with open(os.path.join(options.keep, f"made-{n}.json"), "w", encoding="utf-8") as file:
                        json.dump(spec, file, ensure_ascii=False)
            else:
                equal += 1
    if options.made:
        print(f"{options.made} made up, {options.texts} texts each: {equal} equal, {sum(refused.values())} refused")
        for reason, n in sorted(refused.items()):
            print(f"  refused {n}: {reason}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

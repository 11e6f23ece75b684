#!/usr/bin/env python3
"""Small tokenizers of many kinds with the ids that the tokenizers package gives: tests/golden/tokenizer/kinds.json.

    python make_kinds.py --out DIR [--seed 20261129]

Needs tokenizers 0.23. Two models are written here; a case adds a normalizer, a pre-tokenizer, added tokens and settings
of the model. Patterns, texts and random steps are those of bench/against_tokenizers.py.
"""
import argparse
import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
import against_tokenizers as peer  # noqa: E402


def models(draw):
    """byte-level and characters, each with merges of letters and blanks"""
    out = {}
    for kind in ("bytes", "characters"):
        letters = peer.alphabet() if kind == "bytes" else list("abcdefghijklmnopqrstuvwxyzTI' ▁0123456789éÄ中文\n")
        tokens = ["<unk>"] + ([] if kind == "bytes" else [f"<0x{i:02X}>" for i in range(256)]) + letters + ["<a special token>"]
        space = "Ġ" if kind == "bytes" else "▁"
        words = ["the", "is", "it", "abc", "ab", "bc", space + "a", space + space, "12", "123", "he", "ll", "'s", "an", "x", "3.", "OR"]
        merges = []
        for word in words:
            for i in range(1, len(word)):
                pair = (word[:i], word[i])
                if pair not in merges and all(p in tokens for p in pair):
                    merges.append(pair)
                    if "".join(pair) not in tokens:
                        tokens.append("".join(pair))
        out[kind] = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                     "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)},
                     "merges": [list(m) for m in merges]}
    return out


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
TEXTS = ["The answer is 12345, it's abcabc\n\nanabc  x ", "a\u0301bc ABC abc\r\n123 4½²٣ \u00a0中文かな한 x^2", "it'S the_aab cc 3.14\taab\u2028ab "]


def decoder_of(kind):
    return ({**BYTES, "use_regex": True} if kind == "bytes" else
            {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                              {"type": "Fuse"}]})


def token(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}


def case(name, kind, texts, normalizer=None, splitters=(), added=(), decoder=None, **settings):
    steps = list(splitters) + ([BYTES] if kind == "bytes" and not any(s["type"] == "ByteLevel" for s in splitters) else [])
    return {"name": name, "kind": kind, "normalizer": normalizer, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps} if steps else None,
            "added_tokens": list(added), "decoder": decoder or decoder_of(kind), "settings": settings, "texts": texts}


def by_hand():
    for pattern in peer.PATTERNS:
        yield case("pattern " + pattern, "bytes", TEXTS, splitters=[{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}])
    for behavior in peer.BEHAVIORS:
        for invert in (False, True):
            yield case(f"{behavior} {invert}", "bytes", TEXTS[:1], splitters=[{"type": "Split", "pattern": {"Regex": "[abc ]"}, "behavior": behavior, "invert": invert}])
    for scheme in ("always", "first", "never"):
        for split in (False, True):
            yield case(f"Metaspace {scheme} {split}", "characters", ["the is", " the  is<s>a", "<s>", ""], added=[token("<s>", special=True)],
                       splitters=[{"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}],
                       decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}, byte_fallback=True)
    for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"):
        yield case(name, "bytes", ["Å\u212b ﬁ ẛ\u0323 İ ß e\u0301\u0323 \u1100\u1161", "\u1e9b\u0323 \u03a3ας 1½ \u0345\u0301 \u0897\u0301 a\u1dfa\u0301"], normalizer={"type": name})
    first = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    for name, normalizer in (("Prepend", {"type": "Prepend", "prepend": " "}), ("Strip", {"type": "Strip", "strip_left": True, "strip_right": True}),
                             ("Replace", {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": ""})):
        yield case(f"{name} before a first Metaspace", "bytes", ["12 3", " 1 ab", "  12", "a  1"], normalizer=normalizer,
                   splitters=[{"type": "Digits", "individual_digits": True}, first, BYTES])
    overlap = [token("<|a|>", special=True), token("<|a|>b", normalized=True), token("abc"), token("bcd"), token("<|a"), token("é", normalized=True)]
    yield case("overlap", "bytes", ["<|a|>b abcd bcd <|a|", "e\u0301 é <|a|>bc"], normalizer={"type": "NFC"}, added=overlap)
    yield case("white space", "bytes", ["a <s>  b <m> \u00a0c<s>", "<s>\n\n<m> <m>"], added=[token("<s>", lstrip=True), token("<m>", rstrip=True), token(" <m>")])
    yield case("single words", "bytes", ["<s> a<s> <s>b <s>.<s> \u0301<s>", "x 1x x1 x_ x. x"], added=[token("<s>", single_word=True), token("x", single_word=True, lstrip=True)])
    yield case("given another id", "bytes", ["a special <a special token>", "ab<new>ab"], added=[{**token("<new>"), "id": 9}, token("<a special token>", special=True)])
    for fuse in (False, True):
        for fallback in (False, True):
            yield case(f"unknown {fuse} {fallback}", "characters", ["aЖЖb 中ЖЖ", "Ж"], unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback)
    yield case("nothing for what is unknown", "characters", ["thЖe ЖaЖbЖc", "Ж"])
    yield case("whole words", "bytes", TEXTS[:2], splitters=[{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}], ignore_merges=True)
    yield case("a merge listed twice", "bytes", ["abc bc abcbc"], again=True)
    yield case("no type", "bytes", TEXTS[:1], no_type=True)
    yield case("merges as strings", "bytes", TEXTS[:1], strings=True)
    yield case("spaces before", "characters", ["the is", " a<s> a"], normalizer={"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, added=[token("<s>", special=True)],
        byte_fallback=True, decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                                      {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})


def by_chance(draw, count):
    for n in range(count):
        kind = draw.choice(["bytes", "characters"])
        spec = peer.made(draw)
        texts = [t for t in (peer.text(draw, [a["content"] for a in spec["added_tokens"]]) for _ in range(40)) if 10 < len(t) < 50][:2]
        out = case(f"by chance {n}", kind, texts, normalizer=spec["normalizer"], added=spec["added_tokens"])
        out["pre_tokenizer"] = peer.splitter(draw, kind)
        yield {**out, "settings": {"unk_token": draw.choice([None, "<unk>"]), "fuse_unk": draw.random() < 0.5, "byte_fallback": draw.random() < 0.5}}


def spec_of(c, models):
    model = {**models[c["kind"]], **{k: v for k, v in c["settings"].items() if k not in ("again", "no_type", "strings")}}
    if c["settings"].get("again"):
        model["merges"] = model["merges"] + [["a", "b"]]
    if c["settings"].get("strings"):
        model["merges"] = ["#version: 0.2"] + [" ".join(m) for m in model["merges"]]
    if c["settings"].get("no_type"):
        model = {k: v for k, v in model.items() if k != "type"}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": c["added_tokens"], "normalizer": c["normalizer"],
            "pre_tokenizer": c["pre_tokenizer"], "post_processor": None, "decoder": c["decoder"], "model": model}


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--out", required=True, type=Path, help="folder to write into")
    ap.add_argument("--seed", type=int, default=20261129)
    a = ap.parse_args()
    draw, made, cases = random.Random(a.seed), None, []
    made = models(draw)
    for c in [*by_hand(), *by_chance(draw, 60)]:
        try:
            tok = Tokenizer.from_str(json.dumps(spec_of(c, made)))
        except BaseException as error:  # what the package refuses is no golden
            print(f"{c['name']}: {error}", file=sys.stderr)
            continue
        normalized = [tok.normalizer.normalize_str(t["content"]) if tok.normalizer and t["normalized"] else None for t in c["added_tokens"]]
        if len({n for n in normalized if n is not None}) < sum(n is not None for n in normalized):
            continue  # two that are one: the package takes either
        rows = []
        for text in c.pop("texts"):
            tok.encode_special_tokens = True
            plain = tok.encode(text, add_special_tokens=False).ids
            tok.encode_special_tokens = False
            ids = tok.encode(text, add_special_tokens=False).ids
            decoded = tok.decode(ids, skip_special_tokens=False)
            rows.append({"text": text, "ids": ids, **({"ids_plain": plain} if plain != ids else {}), **({} if "\ufffd" in decoded else {"decoded": decoded})})
        cases.append({**c, "rows": rows})
    with open(a.out / "kinds.json", "w", encoding="utf-8") as file:
        file.write('{"models": ' + json.dumps(made, ensure_ascii=False, separators=(",", ":")) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()

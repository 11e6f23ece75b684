"""Texts that splitting rules and vocabularies trip over, for bench/real.py: one seeded list a kind."""
import glob
import random


def span(first, last):
    return [chr(c) for c in range(first, last + 1)]


# Of each kind the pieces, drawn alike, and how many of them make a text.
PIECES = {
    "Chinese, Japanese, Korean": (2, 80, span(0x4e00, 0x9fff)[::7] + list("，。、！「」《》 \n１２ａのはを을한국カｶ々〇") * 30),
    "Arabic, Hebrew, Thai, Hindi": (2, 80, 2 * span(0x621, 0x64a) + span(0x64b, 0x669) + span(0x5b0, 0x5ea) +
                                    span(0xe01, 0xe4e) + span(0x904, 0x96f) + 40 * [" "] +
                                    list("؟،ـ\u200c\u200d\u200f\n")),
    "emoji": (2, 30, span(0x1f600, 0x1f64f) + 3 * span(0x1f3fb, 0x1f3ff) + 60 * ["\u200d"] + 40 * ["\ufe0f"] +
              ["👩‍👩‍👧", "🏳️‍🌈", "👨🏽‍💻", "1️⃣", "🇩🇪", "❤️‍🔥", "☺", "™", "⇒", "a", " ", "\n", "\U000e0067", "\U000e007f"]),
    "white space": (3, 120, 12 * [" "] + 5 * ["\n"] + 4 * ["\t"] +
                    ["\r", "\r\n", "\v", "\f", "\u00a0", "\u2003", "\u3000", "\u2028", "\u2029", "\u0085", "\u180e", "\u200b",
                     "\ufeff", "\x1c", "\x1f", "\u1680", "a", "1", ".", '"', "中"]),
    "numbers": (3, 60, 3 * list("0123456789") + list(".,-+eE%$€/: \n²½٣७Ⅷ①〇𝟘x１") + ["0x", "1e-5"]),
    "control characters": (2, 60, span(0, 31) + span(127, 159) + list("ab 1é\ufffd\uffff\ue000\u2060\u00ad\u061c\U0010ffff")),
    "contractions and case": (2, 30, ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'m", "'M", "'ll", "'LL", "'lL", "'d",
                                      "'D", "’s", "I", "you", "WE", "'", "''", "`", "İ", "ſ", "'ſ", "ß", "ǅ", "ʰ", "a\u0301",
                                      "n\u0303", "Å", " ", "\n"]),
    "special tokens": (1, 20, ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "start|>", "<|fim_prefix|>",
                               "<|file_sep|>", "<repo_name>", "<tool_call>", "</tool_call>", "<think>", "<|box_end|>",
                               "<issue_start>", "<file_sep>", "<s>", "</s>", "<pad>", "<|", "|>", "<", ">", " ", "\n", "a"]),
    "any Unicode": (3, 60, [chr(c) for c in range(0x20, 0x1fb00, 5) if not 0xd800 <= c <= 0xdfff] + 3000 * [" "]),
}


def code(count):
    """Parts of this tree's own sources."""
    draw, out = random.Random(1), []
    files = sorted(glob.glob("**/*.[ch]", recursive=True) + glob.glob("bench/*") + glob.glob("shaders/**/*.comp", recursive=True))
    files = [f for f in files if f.startswith(("runtime", "pipeline", "store", "shaders", "bench/real"))]
    while len(out) < count:
        with open(draw.choice(files), encoding="utf-8") as file:
            text = file.read()
        at = draw.randrange(len(text) + 1)
        out += [text[at:at + draw.randint(20, 600)]] if at < len(text) else []
    return out


def kinds(count):
    out = {"code": code(count)}
    for seed, (name, (low, high, pieces)) in enumerate(PIECES.items()):
        draw = random.Random(seed + 2)
        out[name] = ["".join(draw.choice(pieces) for _ in range(draw.randint(low, high))) for _ in range(count)]
    return out

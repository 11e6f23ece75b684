#!/usr/bin/env python3
"""More tokenizer fixtures: SentencePiece BPE as tokenizer.model and in a GGUF file, Llama 2's and SmolLM's tokenizer.json.

    python make_pieces.py --out DIR [--seed 20250511]

Needs tokenizers, sentencepiece, gguf and numpy. Texts come from gen/corpus.py, ids and decoded texts from the libraries.
"""
import argparse
import io
import json
from pathlib import Path

import sentencepiece
from gguf import GGUFWriter, TokenType
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from gen import corpus
from gen.common import Golden

VOCAB = 700
SENTENCEPIECE = {
    # Llama 2's settings
    "sp-llama": dict(byte_fallback=True, remove_extra_whitespaces=False, split_digits=True),
    # the library's defaults otherwise: no fallback, so unknown characters; spaces squeezed; pieces matched before all else
    "sp-user": dict(user_defined_symbols=["<sep>", "apples", "42"]),
}


def texts(g):
    return [t for _, t in corpus.test_lines(g.rng("lines"))]


def row(text, ids, back):
    r = {"text": text, "ids": ids}
    if back != text:
        r["decoded"] = back
    return r


def sentencepiece_model(g, name, options):
    folder = f"tokenizer/{name}"
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus.training_lines(g.rng("corpus"))), model_writer=out, model_type="bpe",
        vocab_size=VOCAB, character_coverage=0.99, normalization_rule_name="identity", num_threads=1, minloglevel=2, **options)
    data = out.getvalue()
    g.path(f"{folder}/tokenizer.model").write_bytes(data)
    sp = sentencepiece.SentencePieceProcessor(model_proto=data)
    # the library ends a text at U+0000
    g.jsonl(f"{folder}/vectors.jsonl", [row(t, sp.encode(t), sp.decode(sp.encode(t))) for t in texts(g) if "\0" not in t])
    return sp


def gguf_of(g, sp, rel):
    def kind(i):
        return (TokenType.UNKNOWN if sp.is_unknown(i) else TokenType.CONTROL if sp.is_control(i)
                else TokenType.BYTE if sp.is_byte(i) else TokenType.NORMAL)
    ids = range(sp.vocab_size())
    w = GGUFWriter(g.path(rel), "llama")
    w.add_tokenizer_model("llama")
    w.add_token_list([sp.id_to_piece(i) for i in ids])
    w.add_token_scores([sp.get_score(i) for i in ids])
    w.add_token_types([kind(i) for i in ids])
    w.add_bos_token_id(sp.bos_id())
    w.add_unk_token_id(sp.unk_id())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def save(g, name, tok):
    folder = f"tokenizer/{name}"
    spec = json.loads(tok.to_str())
    g.path(f"{folder}/tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    tok = Tokenizer.from_file(str(g.root / folder / "tokenizer.json"))
    rows = []
    for t in texts(g):
        ids = tok.encode(t, add_special_tokens=False).ids
        rows.append(row(t, ids, tok.decode(ids, skip_special_tokens=False)))
    g.jsonl(f"{folder}/vectors.jsonl", rows)


def smollm(g):
    tok = Tokenizer(BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus.training_lines(g.rng("corpus")), BpeTrainer(
        vocab_size=VOCAB, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    # trained with digits together, so that splitting them wrongly changes ids
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<|im_start|>", "<|im_end|>")])
    tok.add_tokens([AddedToken("<sep>", lstrip=True, rstrip=True, normalized=False)])
    save(g, "smollm", tok)


def llama2(g):
    tok = Tokenizer(BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"]
    tok.train_from_iterator(corpus.training_lines(g.rng("corpus")), BpeTrainer(
        vocab_size=VOCAB, special_tokens=special + [f"<0x{i:02X}>" for i in range(256)], show_progress=False))
    spec = json.loads(tok.to_str())
    spec["added_tokens"] = [a for a in spec["added_tokens"] if a["content"] in special]
    tok = Tokenizer.from_str(json.dumps(spec))
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])
    save(g, "llama2", tok)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--out", required=True, type=Path, help="folder to write into")
    ap.add_argument("--seed", type=int, default=20250511)
    a = ap.parse_args()
    g = Golden(a.out, a.seed)
    for name, options in SENTENCEPIECE.items():
        sp = sentencepiece_model(g, name, options)
        if name == "sp-llama":
            gguf_of(g, sp, f"tokenizer/{name}/tokenizer.gguf")
    smollm(g)
    llama2(g)


if __name__ == "__main__":
    main()

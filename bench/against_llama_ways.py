"""Ways of splitting of GGUF files (tokenizer.ggml.pre) against llama.cpp's server, id by id.

    python bench/against_llama_ways.py --root DIR [--program FILE] [--texts N] [--write FILE] MODEL.gguf [NAME...]

DIR is a chroot with llama-server (bench/real.sh), MODEL.gguf a small model of architecture llama, whose vocabulary is
replaced: every byte, and every pair of bytes merged in an order of no sense, so that a split in another place shows.
--write keeps texts and ids for tests/golden/test_tokenizer_gguf.c, which makes the same vocabulary.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.request

import numpy
from gguf import GGUFReader, GGUFWriter

import against_tokenizers as peer

SPECIAL = ["<|endoftext|>", "<|a|>", "<|a|>b"]
WAYS = ("gpt-2 qwen2 llama-bpe smollm tekken default falcon smaug-bpe deepseek-llm deepseek-coder deepseek-v3 qwen35 gpt-4o minicpm5 "
        "poro-chat viking chameleon bailingmoe seed-coder exaone-moe youtu jais-2 laguna ufakzeka spark2_5").split()
FIXED = ["The answer is 12345, it's abc\n\nan  x ", "a\u0301bc ABC ÉaB\r\n123 4½²٣ \u00a0中文かな한 x^2", "it'S 'RE the_aab/\ncc 3.14\t \u3000a。b、c"]


def vocabulary():
    shown = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    hidden = [b for b in range(256) if b not in shown]
    letter = [chr(b) if b in shown else chr(256 + hidden.index(b)) for b in range(256)]
    pairs = [(i * 40503 + 12345) % 65536 for i in range(65536)]
    merges = [(letter[k >> 8], letter[k & 255]) for k in pairs]
    return SPECIAL + letter + [a + b for a, b in merges], [f"{a} {b}" for a, b in merges]


def write(reader, path, way, tokens, merges):
    w = GGUFWriter(path, "llama")
    for key, field in reader.fields.items():
        if key.startswith(("GGUF.", "tokenizer.")) or key == "general.architecture":
            continue
        value = field.contents()
        add = w.add_string if isinstance(value, str) else w.add_float32 if isinstance(value, float) else w.add_uint32
        add(key, value)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(way)
    w.add_token_list(tokens)
    w.add_token_merges(merges)
    w.add_token_types([3] * (len(SPECIAL) - 1) + [4] + [1] * (len(tokens) - len(SPECIAL)))
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    for t in reader.tensors:
        head = t.name in ("token_embd.weight", "output.weight")
        w.add_tensor(t.name, numpy.zeros((len(tokens), t.data.shape[-1]), dtype=numpy.float32) if head else numpy.array(t.data))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


class Server:
    def __init__(self, root, port):
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.process = subprocess.Popen(["chroot", root, "llama-server", "-m", "/m/way.gguf", "--port", str(port), "--device", "none", "-ngl", "0",
                                         "-c", "256", "-np", "1", "--no-warmup"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(240):
            try:
                if self.process.poll() is not None or self.opener.open(self.base + "/health", timeout=5).status == 200:
                    break
            except OSError:
                time.sleep(0.25)

    def tokens(self, text, special):
        request = urllib.request.Request(self.base + "/tokenize", json.dumps({"content": text, "add_special": False, "parse_special": special}).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(self.opener.open(request, timeout=60))["tokens"]

    def close(self):
        self.process.kill()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", required=True)
    parser.add_argument("--program", default="build/release/faultline")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--port", type=int, default=18461)
    parser.add_argument("--write")
    parser.add_argument("model")
    parser.add_argument("ways", nargs="*")
    options = parser.parse_args()
    reader = GGUFReader(options.model)
    tokens, merges = vocabulary()
    os.makedirs(os.path.join(options.root, "m"), exist_ok=True)
    path, failed, golden = os.path.join(options.root, "m", "way.gguf"), 0, {}
    draw = random.Random(7)
    lines = FIXED + [t for t in (peer.text(draw, SPECIAL) for _ in range(options.texts)) if t]
    short = [t for t in lines if len(t) < 60][:10]
    for way in options.ways or WAYS:
        write(reader, path, way, tokens, merges)
        server, bad, theirs = Server(options.root, options.port), 0, []
        if server.process.poll() is not None:
            print(f"{way}: llama.cpp refuses it")
            continue
        for special in (True, False):
            mine, error = peer.ours(options.program, path, lines, "--json", *([] if special else ["--plain"]))
            ids = [server.tokens(t, special) for t in lines]
            theirs = theirs or ids
            if error:
                print(f"{way}: {error}")
                bad += 1
            else:
                bad += peer.differences(way, "ids" if special else "plain", lines, mine, ids)
        server.close()
        golden[way] = [theirs[lines.index(t)] for t in short]
        failed += bad
        print(f"{way}: {len(lines)} texts, {bad} differ", flush=True)
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            file.write('{"texts": ' + json.dumps(short) + ',\n"ways": {\n')
            file.write(",\n".join(f"{json.dumps(w)}: {json.dumps(i, separators=(',', ':'))}" for w, i in golden.items()) + "\n}}\n")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

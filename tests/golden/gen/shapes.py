"""Random models of larger and odder shapes than models.py: hidden sizes up to 896, heads of 12 to 256, 7 heads a key head.
Not part of the committed fixtures (130 MB). Their logits are computed in float64: at these sizes transformers' float32
differs from it by up to 1.2e-4, more than the tests' tolerance."""
from . import models, ref


def shape(arch, hidden, heads, kv_heads, head_dim, ffn, layers, vocab, tied, dtype, **more):
    special = dict(bos=vocab - 3, eos=[vocab - 1, vocab - 3], pad=vocab - 3)
    return dict(dict(arch=arch, hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, ffn=ffn, layers=layers,
                     vocab=vocab, tied=tied, dtype=dtype, rope_theta=1e6, rope_scaling=None, eps=1e-6, max_pos=1024,
                     config="v4", specials=special), **more)


LONG = dict(lengths=(1, 17, 64, 300))
SHAPES = {
    "qwen2-896": shape("qwen2", 896, 14, 2, 64, 1536, 2, 1009, True, "float32"),
    "llama-576": shape("llama", 576, 9, 3, 64, 1536, 3, 997, True, "float32", rope_theta=1e5),
    "llama-heads-80": shape("llama", 320, 4, 2, 80, 512, 2, 601, False, "float16"),
    "llama-heads-96": shape("llama", 384, 4, 1, 96, 640, 2, 333, False, "bfloat16", rope_scaling=models.LLAMA3),
    "qwen3-heads-256": shape("qwen3", 256, 2, 1, 256, 512, 2, 401, True, "float32", config="v5"),
    "qwen3-heads-128": shape("qwen3", 256, 8, 2, 128, 768, 2, 509, False, "bfloat16", config="v5", **LONG),
    "qwen2-seven-a-key-head": shape("qwen2", 448, 7, 1, 64, 1200, 2, 511, False, "float16", config="v5",
                                    rope_scaling={"rope_type": "linear", "factor": 4.0}, **LONG),
    "llama-mha": shape("llama", 128, 8, 8, 16, 344, 4, 2053, True, "float32", **LONG),
    "qwen3-heads-20": shape("qwen3", 120, 6, 3, 20, 172, 2, 263, True, "float16", config="v5"),
    "llama-heads-12": shape("llama", 72, 6, 2, 12, 116, 3, 301, False, "bfloat16"),
}


def build(g):
    report = {}
    for name, c in SHAPES.items():
        folder = f"models/{name}"
        models.save_model(g, folder, c, models.random_weights(g, name, c))
        model = models.load_hf(g.root / folder)
        seqs = models.write_golden(g, folder, name, c, model)
        w64 = models.load_weights(g.root / folder)
        worst = 0.0
        for s in seqs:
            z = ref.forward(w64, c, s["ids"])
            worst = max(worst, float((z - models.logits_of(model, s["ids"]).double()).abs().max()))
            g.f32(f"{folder}/{s['logits']}", z)
        report[name] = {"float32_max_abs_diff": worst}
    return report

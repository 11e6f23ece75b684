"""A few layers of a model's exact shape with random weights, as a float folder: time and memory do not depend on what weights say.
The vocabulary is that of the bundled model. usage: synthetic_layers.py FOLDER 0.5B|7B [LAYERS]"""
import json
import os
import shutil
import struct
import sys

import numpy as np

SHAPES = {"0.5B": (896, 4864, 14, 2, 64), "7B": (3584, 18944, 28, 4, 128)}
folder, name = sys.argv[1:3]
layers = int(sys.argv[3]) if len(sys.argv) > 3 else 2
hidden, ffn, heads, kv, head = SHAPES[name]
demo = os.path.join(os.path.dirname(__file__), "..", "pipeline", "demo")
os.makedirs(folder, exist_ok=True)
for file in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(os.path.join(demo, file), folder)
config = json.load(open(os.path.join(demo, "config.json")))
config.update(model_type="qwen2", architectures=["Qwen2ForCausalLM"], hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers,
              num_attention_heads=heads, num_key_value_heads=kv, head_dim=head, max_position_embeddings=4096, torch_dtype="float16")
json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=1)

tensors = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
if not config.get("tie_word_embeddings"):
    tensors["lm_head.weight"] = (config["vocab_size"], hidden)
for l in range(layers):
    at = f"model.layers.{l}."
    tensors |= {at + "input_layernorm.weight": (hidden,), at + "post_attention_layernorm.weight": (hidden,),
                at + "self_attn.q_proj.weight": (heads * head, hidden), at + "self_attn.q_proj.bias": (heads * head,),
                at + "self_attn.k_proj.weight": (kv * head, hidden), at + "self_attn.k_proj.bias": (kv * head,),
                at + "self_attn.v_proj.weight": (kv * head, hidden), at + "self_attn.v_proj.bias": (kv * head,),
                at + "self_attn.o_proj.weight": (hidden, heads * head), at + "mlp.gate_proj.weight": (ffn, hidden),
                at + "mlp.up_proj.weight": (ffn, hidden), at + "mlp.down_proj.weight": (hidden, ffn)}
header, offset = {}, 0
for tensor, shape in tensors.items():
    size = 2 * int(np.prod(shape))
    header[tensor] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
    offset += size
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
random = np.random.default_rng(1)
with open(os.path.join(folder, "model.safetensors"), "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text)
    for tensor, shape in tensors.items():
        if "norm" in tensor:
            values = np.ones(shape, np.float16)
        else:
            values = (random.standard_normal(shape, np.float32) / np.sqrt(shape[-1])).astype(np.float16)
        out.write(values.tobytes())

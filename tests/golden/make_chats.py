"""Writes chat/tokenizer.json and chat/chats.json: chat templates written for this project after
the constructs of public ones, and what transformers makes of conversations by them.

    python make_chats.py [DIR]      # default: the folder of this file

Per template: the files of a model folder beside tokenizer.json, and chats: messages, switches,
the text, and its token ids (apply_chat_template). `today`: what strftime_now was made to say, null:
it was not defined, as where Faultline is given no date. `fold`: the messages that transformers was
given instead, as it refuses or drops a system text. `ends`: what must end an answer, by hand.
Needs transformers, tokenizers, jinja2; the versions are in the file.
"""
import datetime, json, os, shutil, sys, tempfile
import tokenizers, transformers
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils as utils

USUAL = "2024-07-26"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<|begin_of_text|>", "<|start_header_id|>",
           "<|end_header_id|>", "<|eot_id|>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>",
           "<|system|>", "<|end|>"]
VISIBLE = ["So it is \\boxed{4}.", " The final answer is 7.", "<|stop|>", "\n\n\n"]


def write_tokenizer(path):
    units = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    others = [b for b in range(256) if b not in units]
    chars = [chr(b) for b in units] + [chr(256 + i) for i in range(len(others))]
    vocab = {t: i for i, t in enumerate(SPECIAL)}
    for c in chars:
        vocab[c] = len(vocab)
    added = [(vocab[t], t, True) for t in SPECIAL] + [(len(vocab) + i, t, False) for i, t in enumerate(VISIBLE)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    root = {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": s} for i, t, s in added],
            "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": []}}
    json.dump(root, open(path, "w"), ensure_ascii=False, separators=(",", ":"))


CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
IM = {"eos_token": "<|im_end|>"}
ALTERNATE = ("{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
             "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}")
TEMPLATES = [
    dict(name="chatml", template=CHATML, config=IM, ends=["<|im_end|>"]),
    dict(name="default system text", config=IM, ends=["<|im_end|>"],
         template="{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nSolve each task step by step."
                  "<|im_end|>\n' }}{% endif %}" + CHATML),
    dict(name="start token before ChatML", template="{{ bos_token }}" + CHATML, ends=["<|im_end|>"],
         config=dict(IM, bos_token={"__type": "AddedToken", "content": "<s>", "lstrip": False, "rstrip": False,
                                    "normalized": False, "single_word": False, "special": True})),
    dict(name="opener of reasoning", template=CHATML.replace("assistant\n' }}{% endif %}", "assistant\n<think>\n' }}"
                                                             "{% endif %}"), config=IM, ends=["<|im_end|>"]),
    dict(name="no line end", template=CHATML.replace("<|im_end|>\n", "<|im_end|>"), config=IM, ends=["<|im_end|>"]),
    dict(name="other names of roles", config={"eos_token": "<|endoftext|>"}, ends=["<|end|>"],
         template="{% set names = {'system': '<|system|>', 'user': '<|user|>', 'assistant': '<|assistant|>'} %}"
                  "{% for m in messages %}{{ names[m.role] }}\n{{ m.content | trim }}<|end|>\n{% endfor %}"
                  "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"),
    dict(name="suffix in the user's turn", config=IM, ends=["<|im_end|>"],
         template=CHATML.replace("m['content'] + '<", "m['content'] + (' /think' if m['role'] == 'user' else '') + '<")),
    dict(name="headers and a date with a fallback", ends=["<|eot_id|>"],
         config={"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}, dates=True,
         template="{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n"
                  "        {%- set date_string = strftime_now('%d %b %Y') %}\n    {%- else %}\n"
                  "        {%- set date_string = '12 Dec 2023' %}\n    {%- endif %}\n{%- endif %}\n"
                  "{%- if messages[0].role == 'system' %}\n    {%- set system = messages[0].content | trim %}\n"
                  "    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system = '' %}\n{%- endif %}\n"
                  "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}\n{{- 'Today Date: ' + date_string + '\n\n' }}\n"
                  "{{- system }}\n{{- '<|eot_id|>' }}\n{%- for m in messages %}\n"
                  "    {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}\n"
                  "{%- endfor %}\n{%- if add_generation_prompt %}\n"
                  "    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}\n{%- endif %}\n"),
    dict(name="headers without a start token", config={"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
         ends=["<|eot_id|>"],
         template="{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
                  "+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
                  "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"),
    dict(name="a date without a fallback", config=IM, ends=["<|im_end|>"], dates=True,
         template="{%- set today = strftime_now('%d %B %Y') -%}<|im_start|>system\nToday: {{ today }}\n"
                  "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<|im_end|>\n"
                  + CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")),
    dict(name="a date of the caller", config=IM, ends=["<|im_end|>"], dates=True,
         template="{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
                  "{{ date_string }}\n" + CHATML),
    dict(name="no system text, in brackets", config={"bos_token": "<s>", "eos_token": "</s>"}, ends=["</s>"], fold=True,
         template="{{ bos_token }}" + ALTERNATE +
                  "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
                  "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}"
                  "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"),
    dict(name="system text within the user's", config={"bos_token": "<s>", "eos_token": "</s>"}, ends=["</s>"],
         template="{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
                  "{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}"
                  "{% endif %}{% for m in rest %}{% if loop.index0 == 0 and system != false %}"
                  "{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m['content'] %}{% else %}"
                  "{% set content = m['content'] %}{% endif %}{% if m['role'] == 'user' %}"
                  "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}"
                  "{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"),
    dict(name="reasoning with a switch", config=dict(IM, bos_token=None), ends=["<|im_end|>"], thinking=True,
         template="{%- if tools %}\n    {{- '<|im_start|>system\nYou are provided with function signatures' }}\n"
                  "{%- else %}\n    {%- if messages[0].role == 'system' %}\n"
                  "        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}\n    {%- endif %}\n"
                  "{%- endif %}\n{%- set ns = namespace(last=messages|length - 1) %}\n"
                  "{%- for m in messages[::-1] %}\n    {%- set i = (messages|length - 1) - loop.index0 %}\n"
                  "    {%- if m.role == 'user' and ns.last == messages|length - 1 %}\n"
                  "        {%- set ns.last = i %}\n    {%- endif %}\n{%- endfor %}\n{%- for m in messages %}\n"
                  "    {%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}\n"
                  "        {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}\n"
                  "    {%- elif m.role == 'assistant' %}\n        {%- set content = m.content %}\n"
                  "        {%- if '</think>' in content %}\n"
                  "            {%- set content = content.split('</think>')[-1].lstrip('\n') %}\n        {%- endif %}\n"
                  "        {{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>\n' }}\n    {%- endif %}\n"
                  "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n"
                  "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
                  "        {{- '<think>\n\n</think>\n\n' }}\n    {%- endif %}\n{%- endif %}"),
    dict(name="system text refused", config={"bos_token": "<bos>", "eos_token": "<|endoftext|>"},
         ends=["<end_of_turn>"], fold=True,
         template="{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
                  "{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}"
                  "{% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}"
                  "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
                  "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"),
    dict(name="system text dropped", config={"eos_token": "</s>"}, ends=["</s>"], fold=True,
         template="{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + eos_token + '\n' }}"
                  "{% elif m['role'] == 'assistant' %}{{ '<|assistant|>\n' + m['content'] + eos_token + '\n' }}{% endif %}"
                  "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"),
    dict(name="the next turn ends an answer", config={"eos_token": "<|endoftext|>"}, ends=["<|user|>"],
         template="{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
                  "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"),
    dict(name="contents in parts", config=IM, ends=["<|im_end|>"], parts=True,
         template="{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% for p in m.content %}"
                  "{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
                  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"),
    dict(name="plain words", config={"eos_token": "<|endoftext|>"}, ends=[], text="\n### Instruction:",
         template="{% if messages[0].role == 'system' %}{{ messages[0].content + '\n\n' }}{% endif %}"
                  "{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
                  "{% elif m.role == 'assistant' %}### Response:\n{{ m.content }}\n\n{% endif %}{% endfor %}"
                  "{% if add_generation_prompt %}### Response:\n{% endif %}"),
    dict(name="a mark of several tokens", config={"eos_token": "<|endoftext|>"}, ends=[], text="<|turn_end|>",
         template=CHATML.replace("<|im_end|>", " <|turn_end|>").replace("<|im_start|>", "@")),
    dict(name="a mark that is shown", config={"eos_token": "<|endoftext|>"}, ends=["<|stop|>"], text="<|stop|>",
         template=CHATML.replace("<|im_end|>", "<|stop|>")),
    dict(name="two marks", config={"eos_token": "</s>"}, ends=["</s>", "<|end|>"],
         template="{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
                  "{% if loop.last and not add_generation_prompt %}{{ eos_token }}{% else %}\n\n\n<|end|>{% endif %}"
                  "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"),
    dict(name="other special tokens", ends=["<|im_end|>"], template="{{ cls_token }}{{ unk_token }}{{ frame_token }}" +
         CHATML + "{{ nothing_token }}", config=dict(IM, cls_token="<s>", extra_special_tokens={"frame_token": "<|end|>"})),
]
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+3?"},
        {"role": "assistant", "content": "<think>\nsum\n</think>\n\n5"}, {"role": "user", "content": " And 4? "}]
UNICODE = [{"role": "user", "content": "Wie heißt „größer“ – {{ 7 }} {% raw %} <|im_end|> \\n 数?"}]
TALKS = [TALK[1:2], TALK[:2], TALK[1:], TALK, UNICODE]


def folded(messages):
    if messages[0]["role"] != "system":
        return messages
    first = dict(messages[1], content=messages[0]["content"] + "\n\n" + messages[1]["content"])
    return [first] + messages[2:]


def parted(messages):
    return [dict(m, content=[{"type": "text", "text": m["content"]}]) for m in messages]


def render(tok, template, entry, messages, today, date, thinking):
    """today: what strftime_now says, None: it is not there; date: what the user gave."""
    compiled = utils._compile_jinja_template(template)
    known = compiled.environment.globals
    known.pop("strftime_now", None)
    if today:
        day = datetime.datetime.strptime(today, "%Y-%m-%d")
        known["strftime_now"] = lambda form: day.strftime(form)
    more = {} if thinking else {"enable_thinking": False}
    if date:
        more["date_string"] = datetime.datetime.strptime(date, "%Y-%m-%d").strftime("%d %b %Y")
    given = folded(messages) if entry.get("fold") else messages
    given = parted(given) if entry.get("parts") else given
    text = tok.apply_chat_template(given, tokenize=False, add_generation_prompt=True, **more)
    ids = tok.apply_chat_template(given, tokenize=True, add_generation_prompt=True, return_dict=False, **more)
    return text, ids


def main():
    out = os.path.join(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)), "chat")
    os.makedirs(out, exist_ok=True)
    write_tokenizer(os.path.join(out, "tokenizer.json"))
    entries = []
    for e in TEMPLATES:
        folder = tempfile.mkdtemp()
        shutil.copy(os.path.join(out, "tokenizer.json"), folder)
        config = dict(e["config"], chat_template=e["template"], tokenizer_class="PreTrainedTokenizerFast")
        json.dump(config, open(os.path.join(folder, "tokenizer_config.json"), "w"))
        tok = AutoTokenizer.from_pretrained(folder)
        chats = []
        for messages in TALKS:
            for date in ([None, "2025-03-04"] if e.get("dates") else [None]):
                for thinking in ([True, False] if e.get("thinking") else [True]):
                    today = date or (USUAL if e["name"] == "a date without a fallback" else None)
                    text, ids = render(tok, e["template"], e, messages, today, date, thinking)
                    chats.append(dict(messages=messages, date=date, thinking=thinking, text=text, ids=ids))
        shutil.rmtree(folder)
        entries.append(dict(name=e["name"], config=config, chats=chats, stop_tokens=e["ends"],
                            stop_text=e.get("text", ""), folds=bool(e.get("fold"))))
    packages = dict(transformers=transformers.__version__, tokenizers=tokenizers.__version__)
    lines = ",\n".join(json.dumps(e, ensure_ascii=False, separators=(",", ":")) for e in entries)
    with open(os.path.join(out, "chats.json"), "w") as file:
        file.write('{"packages":%s,"templates":[\n%s\n]}\n' % (json.dumps(packages), lines))


main()

"""Makes the fixtures of this folder with the real programs: lm-evaluation-harness 0.4.13
(MIT) and Inspect 0.3.285 (MIT). Problems and answers are our own; the models are a random
choice among texts (lm_eval) and a list of texts (inspect_ai's mock model).

    python3 -m venv V; V/bin/pip install lm-eval==0.4.13 inspect-ai==0.3.285
    cd tests/golden/exchange; HF_HUB_OFFLINE=1 V/bin/python - <make_exchange.py
"""
import glob, json, os, random, shutil, sys, tempfile

import tiktoken

PROBLEMS = [
    ("own-0", "Ana has 3 boxes with 4 pens in each box. How many pens does Ana have?", "12"),
    ("own-1", "A rope of 20 m is cut into 5 equal pieces. How long is a piece, in m?", "4"),
    ("own-2", "Leo had 31 cards and gave away 12. How many are left?", "19"),
    ("own-3", "Mia reads 7 pages a day. How many pages does she read in 9 days?", "63"),
]
HERE = os.getcwd()
work = tempfile.mkdtemp()
os.chdir(work)
with open("problems.jsonl", "w") as f:
    for name, question, answer in PROBLEMS:
        f.write(json.dumps({"id": name, "question": question, "answer": answer}) + "\n")
shutil.copy("problems.jsonl", HERE)

# ---- lm-evaluation-harness ----
os.mkdir("task")
with open("task/own.yaml", "w") as f:
    f.write(r'''task: own_words
dataset_path: json
dataset_kwargs:
  data_files:
    test: problems.jsonl
test_split: test
output_type: generate_until
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_target: "{{answer}}"
repeats: 2
generation_kwargs:
  until: ["Question:"]
  do_sample: false
filter_list:
  - name: strict-match
    filter:
      - function: regex
        regex_pattern: "#### (\\-?[0-9\\.\\,]+)"
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
''')
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


@register_model("tiny-random")
class Tiny(LM):
    def __init__(self, **kwargs):
        super().__init__()

    def generate_until(self, requests, **kwargs):
        draw = random.Random(2)
        texts = ["3*4=12\n#### 12", "The answer is 4.", "so 19\n#### 19", "It is 63\u2026 #### 63",
                 "I do not know."]
        return [draw.choice(texts) for _ in requests]

    def loglikelihood(self, requests, **kwargs):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


from lm_eval.__main__ import cli_evaluate

sys.argv = ["lm_eval", "--model", "tiny-random", "--tasks", "own_words", "--include_path",
            "task", "--output_path", "out", "--log_samples"]
cli_evaluate()
shutil.copy(glob.glob("out/*/samples*.jsonl")[0], HERE + "/samples_own_words.jsonl")

# ---- Inspect ----


class Words:  # the mock model counts tokens; no vocabulary is at hand
    def encode(self, text, **kwargs):
        return text.split()


tiktoken.get_encoding = tiktoken.encoding_for_model = lambda name: Words()
from inspect_ai import Task, eval, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, system_message

TEXTS = ["3*4=12\nANSWER: 12", "20/5=5\nANSWER: 5", "31-12=19\nANSWER: 19", "I do not know."]


def model():
    outputs = [ModelOutput.from_content("mockllm/model", t) for t in 4 * TEXTS]
    outputs[3].choices[0].stop_reason = "max_tokens"
    return get_model("mockllm/model", custom_outputs=outputs)


@task
def own_words():
    data = [Sample(id=i, input=q, target=a) for i, q, a in PROBLEMS]
    return Task(dataset=MemoryDataset(data), scorer=match(numeric=True), epochs=2,
                solver=[system_message("Work it out."), generate()])


for form in ("eval", "json"):
    eval(own_words(), model=model(), log_dir="logs-" + form, log_format=form,
         display="none", max_samples=1)
    log = glob.glob("logs-" + form + "/*." + form)[0]
    if form == "eval":
        shutil.copy(log, HERE + "/own_words.eval")
        continue
    with open(log) as f:
        whole = json.load(f)
    for sample in whole["samples"]:  # what happened inside is long and not read
        sample["events"] = []
        sample["events_data"] = None
    with open(HERE + "/own_words.json", "w") as f:
        json.dump(whole, f, indent=1)

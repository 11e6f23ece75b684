"""What generators of word problems share (demo2_problems.py, demo3_problems.py): the steps of a story,
drawing until the numbers fit, and the command line

    GENERATOR OUT COUNT SEED PREFIX [OTHER.jsonl ...]

which writes COUNT problems as JSON Lines (docs/data.md), none of which stands in the other files.
"""
import json
import random
import sys


class Refused(Exception):
    """The numbers drawn do not fit: draw again."""


class Story:
    """A generator's own has value_max and a method `step` that calls `calculated`."""

    def __init__(self, rng):
        self.rng = rng
        self.told = []
        self.steps = []
        self.lines = []

    def tell(self, *ways):
        """One of the sentences that mean the same."""
        self.told.append(self.rng.choice(ways))

    def calculated(self, label, a, op, b):
        """The value of a gold step, which is kept."""
        if op == "-" and b >= a or op == "/" and a % b:
            raise Refused
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
        if value > self.value_max:
            raise Refused
        self.steps.append({"label": label, "expr": f"{a}{op}{b}", "value": value})
        return value


def told(rng, story_of, kinds):
    """A story whose numbers fit, its kind, and what the kind returned."""
    while True:
        story = story_of(rng)
        kind = rng.choice(kinds)
        try:
            return story, kind, kind(story)
        except Refused:
            continue


def problem(story, solution, skills):
    """`solution` makes one text of the lines, the last of which gives the answer."""
    answer = str(story.steps[-1]["value"])
    lines = story.lines + [f"The answer is \\boxed{{{answer}}}."]
    return {"question": " ".join(story.told), "solution": solution(lines), "answer": answer,
            "steps": story.steps, "skills": skills}


def main(draw):
    out, count, seed, prefix = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    seen = set()
    for name in sys.argv[5:]:
        with open(name, encoding="utf-8") as file:
            seen |= {json.loads(line)["question"] for line in file}
    rng = random.Random(seed)
    with open(out, "w", encoding="utf-8") as file:
        made = 0
        while made < count:
            drawn = draw(rng)
            if drawn["question"] in seen:
                continue
            seen.add(drawn["question"])
            row = {"id": f"{prefix}-{made:04d}", **drawn}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            made += 1

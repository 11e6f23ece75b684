"""Word problems of the third demo model: trays, hens, laps, fences, savings, ages, recipes.

    python3 bench/demo3_problems.py OUT COUNT SEED PREFIX [OTHER.jsonl ...]

writes COUNT problems as JSON Lines (docs/data.md), none of which stands in the other files, with
the gold program: per step its quantity, its calculation and its value. The weights of the verdict
(docs/locate.md) are fitted on answers to them. Nothing is shared with pipeline/demo and
tests/demo2: other stories, names and units. A step is a paragraph, its wording is drawn step by
step, and steps that do not need each other come in either order. Own work.
"""
import stories

PEOPLE = ("Anouk Bilal Carmen Dmitri Esra Fabio Gita Hassan Ilona Jorge Kira Leon Marta Noor "
          "Oskar Paula").split()


class Story(stories.Story):
    value_max = 300

    def step(self, label, a, op, b, *ways):
        """A step in one of its wordings; {} is the equation."""
        value = self.calculated(label, a, op, b)
        self.lines.append(self.rng.choice(ways).format(f"{a} {op} {b} = {value}"))
        return value

    def either(self, first, second):
        """Two steps that do not need each other, in either order; their values in this one."""
        if self.rng.random() < 0.5:
            x = self.step(*first)
            return x, self.step(*second)
        y = self.step(*second)
        return self.step(*first), y


def bakery(s):
    r = s.rng
    trays, each, sold = r.randint(3, 12), r.randint(4, 15), r.randint(5, 90)
    what = r.choice(["rolls", "muffins", "pretzels"])
    s.tell(f"A bakery bakes {trays} trays with {each} {what} on each tray.",
           f"There are {each} {what} on each of the {trays} trays of a bakery.")
    s.tell(f"By noon {sold} are sold.", f"Customers take {sold} of them in the morning.")
    total = s.step("baked", trays, "*", each, f"The number of {what} baked is {{}}.",
                   f"They baked {{}} {what}.")
    rest = s.step("remain", total, "-", sold, f"{{}} {what} remain.",
                  f"After the sale there remain {{}} {what}.")
    if r.random() < 0.5:
        more = r.randint(6, 40)
        s.tell(f"Then {more} fresh ones arrive.", f"Later another {more} are put out.")
        s.step("shelf", rest, "+", more, f"Now the shelf holds {{}} {what}.",
               f"That puts {{}} {what} on the shelf.")
    s.tell(f"How many {what} does the bakery have at the end?",
           f"What number of {what} is there in the end?")


def hens(s):
    r = s.rng
    count, eggs, box = r.randint(3, 14), r.randint(2, 6), r.choice([2, 3, 4, 6, 10])
    days = r.randint(2, 5)
    s.tell(f"Each of {count} hens lays {eggs} eggs a week.",
           f"A farmer keeps {count} hens, and every hen lays {eggs} eggs weekly.")
    s.tell(f"The eggs of {days} weeks go into boxes of {box}.",
           f"He collects for {days} weeks and fills boxes with {box} eggs each.")
    s.tell("How many boxes does that fill?", "What is the number of full boxes?")
    week = s.step("weekly", count, "*", eggs, "The weekly number is {} eggs.",
                  "The hens give {} eggs weekly.")
    total = s.step("altogether", week, "*", days, "Altogether these are {} eggs.",
                   "It comes to {} eggs altogether.")
    s.step("boxes", total, "/", box, "So {} boxes get full.", "The boxes number {}.")


def laps(s):
    r = s.rng
    a, b = r.sample(PEOPLE, 2)
    n, m, extra = r.randint(3, 12), r.randint(3, 12), r.randint(2, 9)
    lap = r.choice([3, 4, 5, 6, 8])
    s.tell(f"One lap around the pond takes {lap} minutes.",
           f"Around the pond every lap is {lap} minutes of walking.")
    s.tell(f"{a} walks {n} laps and {b} walks {m} laps.",
           f"{n} laps are done by {a}, while {b} does {m}.")
    x, y = s.either((a, n, "*", lap, f"{a} needs {{}} minutes.", f"For {a} it takes {{}} minutes."),
                    (b, m, "*", lap, f"{b} needs {{}} minutes.", f"For {b} it takes {{}} minutes."))
    if r.random() < 0.5:
        s.tell(f"{a} also rests for {extra} minutes.",
               f"A rest of {extra} minutes is taken by {a}.")
        x = s.step("rest", x, "+", extra, f"With the rest {a} is out for {{}} minutes.",
                   f"Adding the rest, {a} needs {{}} minutes.")
    if r.random() < 0.5:
        s.tell("How many minutes are both out taken together?",
               "What is the sum of their minutes?")
        s.step("both", x, "+", y, "Both are out for {} minutes.",
               "The minutes of both sum to {}.")
    else:
        s.tell("How many minutes longer is the one out than the other?",
               "By how many minutes do their times differ?")
        s.step("longer", max(x, y), "-", min(x, y), "The longer one takes {} minutes more.",
               "It is {} minutes longer.")


def fence(s):
    r = s.rng
    long, wide, price = r.randint(4, 30), r.randint(3, 20), r.randint(2, 6)
    s.tell(f"A meadow is {long} yards long and {wide} yards wide.",
           f"The sides of a meadow measure {long} and {wide} yards.")
    s.tell("A fence goes all around it.", "Its owner fences it on every side.")
    half = s.step("sides", long, "+", wide, "Two sides make {} yards.",
                  "The sum of the two sides is {} yards.")
    around = s.step("around", half, "*", 2, "All around it is {} yards.",
                    "The way around has {} yards.")
    if r.random() < 0.5:
        gate = r.randint(2, 5)
        s.tell(f"A gate of {gate} yards needs no fence.",
               f"Only a gate of {gate} yards stays open.")
        around = s.step("gate", around, "-", gate, "Without the gate {} yards are needed.",
                        "The gate leaves {} yards.")
    if r.random() < 0.5:
        s.tell(f"Every yard costs ${price}. What does the fence cost?",
               f"At ${price} for each yard, how many dollars is that?")
        s.step("fence", around, "*", price, "The fence costs {} dollars.",
               "For the fence they pay {} dollars.")
    else:
        s.tell("How many yards of fence are used?", "What length of fence is that in yards?")


def savings(s):
    r = s.rng
    who = r.choice(PEOPLE)
    have, week, weeks = r.randint(5, 80), r.randint(3, 15), r.randint(2, 9)
    price = r.randint(10, 120)
    s.tell(f"{who} has ${have} in a jar and puts ${week} in it every week.",
           f"Every week {who} adds ${week} to a jar that holds ${have}.")
    s.tell(f"After {weeks} weeks a drum for ${price} is bought from it.",
           f"{weeks} weeks later {who} pays ${price} out of it for a drum.")
    s.tell("How many dollars stay in the jar?", "What is then left in the jar, in dollars?")
    added = s.step("added", week, "*", weeks, "The money added is {} dollars.",
                   "{} dollars are added.")
    jar = s.step("jar", have, "+", added, "The jar then holds {} dollars.",
                 "There are {} dollars in the jar.")
    s.step("drum", jar, "-", price, "After the drum {} dollars stay.",
           "Paying the drum leaves {} dollars.")


def ages(s):
    r = s.rng
    a, b, c = r.sample(PEOPLE, 3)
    first, gap, times = r.randint(4, 30), r.randint(2, 15), r.choice([2, 3])
    s.tell(f"{a} is {first} years old.", f"The age of {a} is {first} years.")
    if r.random() < 0.5:
        s.tell(f"{b} is {gap} years older than {a}.", f"{a} is {gap} years younger than {b}.")
        y = s.step(b, first, "+", gap, f"{b} is {{}} years old.", f"The age of {b} is {{}}.")
    else:
        s.tell(f"{b} is {gap} years younger than {a}.", f"{a} is {gap} years older than {b}.")
        y = s.step(b, first, "-", gap, f"{b} is {{}} years old.", f"The age of {b} is {{}}.")
    word = {2: "twice", 3: "three times"}[times]
    s.tell(f"{c} is {word} as old as {b}.", f"The age of {c} is {word} that of {b}.")
    z = s.step(c, y, "*", times, f"{c} is {{}} years old.", f"The age of {c} is {{}}.")
    if r.random() < 0.4:
        s.tell(f"How old is {c}?", f"What is the age of {c}?")
        return
    s.tell("What do the three ages sum to?", "How many years are the three together?")
    pair = s.step("two", first, "+", y, "The first two have {} years.",
                  "Two of them sum to {} years.")
    s.step("three", pair, "+", z, "The three have {} years.", "All three sum to {} years.")


def recipe(s):
    r = s.rng
    flour, sugar, times = r.randint(2, 12), r.randint(1, 9), r.randint(2, 9)
    have = r.randint(1, 20)
    who = r.choice(PEOPLE)
    s.tell(f"One cake takes {flour} cups of flour and {sugar} cups of sugar.",
           f"For a cake {who} mixes {sugar} cups of sugar with {flour} cups of flour.")
    s.tell(f"{who} wants {times} cakes.", f"{times} such cakes are planned.")
    x, y = s.either(("flour", flour, "*", times, "The flour is {} cups.", "That takes {} cups of flour."),
                    ("sugar", sugar, "*", times, "The sugar is {} cups.", "That takes {} cups of sugar."))
    kind = r.random()
    if kind < 0.4:
        s.tell("How many cups is that in all?", "What is the number of cups in all?")
        s.step("all", x, "+", y, "In all it is {} cups.", "That is {} cups in all.")
    elif kind < 0.7:
        s.tell("How many more cups of flour than of sugar are used?",
               "By how many cups is there more flour than sugar?")
        s.step("more", x, "-", y, "There are {} more cups of flour.",
               "The flour is {} cups more.")
    else:
        s.tell(f"There are {have} cups in the kitchen already; how many must be bought?",
               f"How many cups must be bought if {have} are there already?")
        cups = s.step("all", x, "+", y, "In all it is {} cups.", "That is {} cups in all.")
        s.step("bought", cups, "-", have, "What must be bought is {} cups.",
               "So {} cups are bought.")


def parking(s):
    r = s.rng
    cars, bikes, vans = r.randint(3, 30), r.randint(2, 30), r.randint(2, 9)
    s.tell(f"In a yard stand {cars} cars and {bikes} bikes.",
           f"{bikes} bikes are parked beside {cars} cars in a yard.")
    if r.random() < 0.4:
        s.tell(f"{vans} cars drive off.", f"Then {vans} of the cars leave.")
        cars = s.step("stay", cars, "-", vans, "Of the cars {} stay.", "{} cars stay.")
    s.tell("How many wheels are in the yard?", "What number of wheels can be counted there?")
    x, y = s.either(("cars", cars, "*", 4, "The cars have {} wheels.", "{} wheels are on the cars."),
                    ("bikes", bikes, "*", 2, "The bikes have {} wheels.", "{} wheels are on the bikes."))
    s.step("yard", x, "+", y, "The yard has {} wheels.", "{} wheels stand in the yard.")


def change(s):
    r = s.rng
    who = r.choice(PEOPLE)
    p, q, m, n = r.randint(2, 9), r.randint(2, 12), r.randint(2, 7), r.randint(2, 7)
    paid = r.choice([50, 60, 80, 100, 150, 200])
    s.tell(f"{who} buys {m} pears at ${p} each and {n} melons at ${q} each.",
           f"At the market a pear is ${p} and a melon ${q}; {who} takes {m} pears and {n} melons.")
    s.tell(f"{who} gives the seller ${paid}.", f"The seller gets a note over ${paid}.")
    s.tell("How many dollars come back?", "What is the change in dollars?")
    x, y = s.either(("pears", p, "*", m, "The pears cost {} dollars.", "For pears it is {} dollars."),
                    ("melons", q, "*", n, "The melons cost {} dollars.", "For melons it is {} dollars."))
    total = s.step("market", x, "+", y, "The market costs {} dollars.",
                   "At the market {} dollars are spent.")
    s.step("change", paid, "-", total, "The change is {} dollars.", "As change {} dollars come.")


def garden(s):
    r = s.rng
    rows, each = r.randint(3, 12), r.randint(3, 14)
    dry, share = r.randint(2, 20), r.choice([2, 3, 4, 5])
    a = r.choice(PEOPLE)
    s.tell(f"{a} plants {rows} rows of {each} tulips.",
           f"In the garden of {a} there are {rows} rows with {each} tulips per row.")
    s.tell(f"{dry} of the tulips dry up.", f"The heat kills {dry} tulips.")
    s.tell(f"The others are tied into {share} equal bunches. How many are in a bunch?",
           f"From the others {share} equal bunches are made; what is in each?")
    total = s.step("planted", rows, "*", each, "{} tulips are planted.",
                   "The tulips planted are {}.")
    live = s.step("live", total, "-", dry, "{} tulips live.", "Those that live are {} tulips.")
    s.step("bunch", live, "/", share, "Each bunch has {} tulips.", "A bunch gets {} tulips.")


def candles(s):
    """What burns down: a start, a rate, a time."""
    r = s.rng
    tall, rate, hours = r.randint(20, 200), r.randint(2, 15), r.randint(2, 9)
    s.tell(f"A rope of {tall} inches burns {rate} inches every hour.",
           f"Each hour {rate} inches burn off a rope that is {tall} inches long.")
    burnt = s.step("burnt", rate, "*", hours, "Burnt are {} inches.",
                   "The burnt part is {} inches.")
    rest = s.step("left", tall, "-", burnt, "{} inches are left.", "What is left is {} inches.")
    s.tell(f"It burns for {hours} hours.", f"The fire is put out after {hours} hours.")
    if r.random() < 0.5:
        part = r.choice([2, 3, 4])
        s.tell(f"What is left is cut into {part} equal parts; how long is a part?",
               f"How many inches has each of {part} equal parts of the rest?")
        s.step("part", rest, "/", part, "Every part has {} inches.", "A part measures {} inches.")
    else:
        s.tell("How many inches are left?", "What length does not burn, in inches?")


KINDS = (bakery, hens, laps, fence, savings, ages, recipe, parking, change, garden, candles)


def draw(rng):
    """A problem: question, solution, answer, gold steps, kind."""
    story, kind, _ = stories.told(rng, Story, KINDS)
    return stories.problem(story, "\n\n".join, [kind.__name__])


if __name__ == "__main__":
    stories.main(draw)

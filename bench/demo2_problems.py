"""Word problems of the second demo model: rates, averages, prices, journeys, two-step comparisons.

    python3 bench/demo2_problems.py OUT COUNT SEED PREFIX [OTHER.jsonl ...]

writes COUNT problems as JSON Lines (docs/data.md), none of which stands in the other files, with
the gold program: per step its quantity, its calculation and its value. Nothing is shared with
pipeline/demo: other stories, names and units; paraphrases in the question and in the solution;
steps are sentences, and what the question names last is worked out first. Own work.
"""
import stories

PEOPLE = ("Amir Bruna Chidi Dora Elif Farid Greta Henrik Ines Jonas Kavya Lars Mina Nadia "
          "Otto Petra").split()
GOODS = "posters candles baskets scarves tiles labels".split()
COUNTS = ["two", "three", "four", "five"]
SIGNS = {"+": "+", "-": "-", "*": "\u00d7", "/": "\u00f7"}


class Story(stories.Story):
    value_max = 250

    def __init__(self, rng):
        super().__init__(rng)
        self.style = rng.randrange(2)

    def step(self, label, a, op, b, *ways):
        """A step, in the wording that belongs to the style of the solution; {} is the equation."""
        value = self.calculated(label, a, op, b)
        self.lines.append(ways[self.style].format(f"{a}{SIGNS[op]}{b}={value}"))
        return value


def outputs(s):
    """Two people at their rates: the gap, the sum, or the share of each hour."""
    r = s.rng
    a, b = r.sample(PEOPLE, 2)
    goods, unit = r.choice(GOODS), r.choice(["hour", "day"])
    made = []
    for who in (a, b):
        rate, time = r.randint(2, 12), r.randint(2, 9)
        s.tell(f"{who} makes {rate} {goods} per {unit} and works for {time} {unit}s.",
               f"Working at {rate} {goods} per {unit}, {who} keeps going for {time} {unit}s.",
               f"For {time} {unit}s {who} turns out {rate} {goods} every {unit}.")
        made.append((rate, time))
    y = s.step(b, made[1][0], "*", made[1][1], f"{b} finishes {{}} {goods}.",
               f"That is {{}} {goods} from {b}.")
    x = s.step(a, made[0][0], "*", made[0][1], f"{a} finishes {{}} {goods}.",
               f"That is {{}} {goods} from {a}.")
    if r.random() < 0.55:
        s.tell(f"By how many {goods} do the two outputs differ?",
               f"How far apart are they in the end, counted in {goods}?")
        s.step("gap", max(x, y), "-", min(x, y), f"The gap is {{}} {goods}.",
               f"So {{}} {goods} is the gap.")
    else:
        s.tell(f"What is their joint output of {goods}?",
               f"Put together, how many {goods} come out?")
        s.step("joint", y, "+", x, f"The joint output is {{}} {goods}.",
               f"So {{}} {goods} is the joint output.")
    return "output"


def average(s):
    r = s.rng
    count = r.choice([2, 3, 3, 4])
    mean = r.randint(5, 40)
    values = [mean + r.randint(-4, 9) for _ in range(count - 1)]
    values.append(mean * count - sum(values))
    if min(values) < 1:
        raise stories.Refused
    listed = ", ".join(map(str, values[:-1])) + f" and {values[-1]}"
    what = r.choice(["loaves", "parcels", "visitors"])
    word = COUNTS[count - 2]
    s.tell(f"Over {word} days a shop counted {listed} {what}.",
           f"The counts of {word} days were {listed} {what}.")
    s.tell("What was the daily average?", "How many is that per day on average?")
    total = values[-1]
    for value in reversed(values[:-1]):
        total = s.step("days", total, "+", value, f"Adding days gives {{}} {what}.",
                       f"{{}} {what} when days are added.")
    s.step("average", total, "/", count, f"The average is {{}} {what}.",
           f"{{}} {what} is the average.")
    return "average"


def aim(s):
    """The value that an average still needs."""
    r = s.rng
    who = r.choice(PEOPLE)
    mean, count = r.randint(6, 30), 3
    first, second = mean + r.randint(-5, 5), mean + r.randint(-5, 5)
    s.tell(f"{who} wants an average of {mean} points over three rounds.",
           f"Over three rounds {who} aims at {mean} points on average.")
    s.tell(f"The first two rounds brought {first} and {second} points.",
           f"So far the rounds ended with {first} and {second} points.")
    s.tell("What must the last round bring?", "How many points are needed in the last one?")
    y = s.step("far", first, "+", second, "So far there are {} points.",
               "{} points are there so far.")
    x = s.step("target", mean, "*", count, "The target is {} points.",
               "{} points is the target.")
    s.step("last", x, "-", y, "The last round needs {} points.",
           "{} points are for the last round.")
    return "average"


def tank(s):
    r = s.rng
    start, time = r.randint(10, 90), r.randint(2, 9)
    gain = r.randint(5, 14)
    loss = r.randint(1, gain - 2)
    s.tell(f"A tank holds {start} liters.", f"There are {start} liters in a tank.")
    s.tell(f"A pipe adds {gain} liters per minute while a crack loses {loss} liters per minute.",
           f"Each minute a crack lets {loss} liters out and a pipe lets {gain} liters in.")
    s.tell(f"How many liters are there after {time} minutes?",
           f"What does it hold {time} minutes later?")
    net = s.step("minute", gain, "-", loss, "Each minute brings {} liters.",
                 "{} liters is the gain of each minute.")
    more = s.step("gain", net, "*", time, "The whole gain is {} liters.",
                  "{} liters is the whole gain.")
    s.step("tank", start, "+", more, "The tank then holds {} liters.",
           "{} liters are then in the tank.")
    return "rate"


def coach(s):
    r = s.rng
    riders = r.randint(15, 80)
    s.tell(f"A coach leaves the station with {riders} riders.",
           f"With {riders} riders a coach sets off.")
    places = r.sample(["mill", "harbor", "museum", "bridge"], r.choice([1, 2]))
    for place in places:
        off, on = r.randint(2, 14), r.randint(2, 30)
        s.tell(f"At the {place} {off} step off and {on} climb aboard.",
               f"{on} climb aboard at the {place}, where {off} step off.")
        rest = s.step(place, riders, "-", off, f"Leaving at the {place} gives {{}} riders.",
                      f"{{}} riders stay at the {place}.")
        riders = s.step("aboard", rest, "+", on, f"With those aboard it is {{}} riders.",
                        f"{{}} riders are then aboard.")
    s.tell("How many riders does it carry now?", "How full is the coach after that?")
    return "journey"


def tickets(s):
    r = s.rng
    adult, child = r.randint(4, 15), r.randint(2, 9)
    adults, children = r.randint(2, 6), r.randint(2, 9)
    s.tell(f"Entry to the zoo is ${adult} for an adult and ${child} for a child.",
           f"The zoo asks ${child} of every child and ${adult} of every adult.")
    s.tell(f"A group has {adults} adults and {children} children.",
           f"In a group there are {children} children besides {adults} adults.")
    y = s.step("children", child, "*", children, "The children cost {}.",
               "{} dollars is for the children.")
    x = s.step("adults", adult, "*", adults, "The adults cost {}.",
               "{} dollars is for the adults.")
    total = s.step("group", y, "+", x, "The group costs {}.", "{} dollars is for the group.")
    if r.random() < 0.5:
        off = r.randint(3, 15)
        s.tell(f"A voucher takes ${off} off the bill.", f"They hold a voucher over ${off}.")
        s.step("voucher", total, "-", off, "The voucher leaves {}.",
               "{} dollars is left by the voucher.")
    s.tell("What do they pay, in dollars?", "How many dollars is the entry?")
    return "price"


def book(s):
    r = s.rng
    who = r.choice(PEOPLE)
    rate, nights = r.randint(4, 12), r.randint(2, 9)
    later, more = r.randint(3, 12), r.randint(2, 9)
    pages = rate * nights + later * more
    s.tell(f"{who} has a book of {pages} pages.", f"A book that {who} borrowed has {pages} pages.")
    s.tell(f"For {nights} evenings the pace is {rate} pages per evening.",
           f"{rate} pages are read on each of the first {nights} evenings.")
    read = s.step("read", rate, "*", nights, "Pages read so far are {}.",
                  "{} pages are read so far.")
    rest = s.step("remain", pages, "-", read, "Pages that remain are {}.",
                  "{} pages remain.")
    if r.random() < 0.6:
        s.tell(f"After that it is {later} pages per evening; how many evenings are still needed?",
               f"How many more evenings does it take at {later} pages per evening?")
        s.step("evenings", rest, "/", later, "The evenings needed are {}.",
               "{} evenings are needed.")
    else:
        s.tell("How many pages are unread?", "How much of it is still to be read?")
    return "rate"


def split_bill(s):
    r = s.rng
    count, each = r.randint(2, 9), r.randint(5, 24)
    total = count * each
    rent = r.randint(2, total - 2)
    fuel = total - rent
    s.tell(f"A boat costs ${rent} to rent and its fuel ${fuel}.",
           f"Renting a boat takes ${rent}, with ${fuel} of fuel on top.")
    s.tell(f"{count} friends split this equally. What does everyone pay, in dollars?",
           f"How many dollars does each of {count} friends owe for an equal part?")
    x = s.step("trip", fuel, "+", rent, "The trip costs {}.", "{} dollars is for the trip.")
    s.step("friend", x, "/", count, "Each friend owes {}.", "{} dollars is owed by each friend.")
    return "price"


def ladder(s):
    """Lengths that are given by comparison only."""
    r = s.rng
    a, b, c = r.sample(PEOPLE, 3)
    first = r.randint(20, 99)
    s.tell(f"The kite string of {a} measures {first} meters.",
           f"{a} flies a kite on {first} meters of string.")
    value, before = first, a
    for who in (b, c)[:r.choice([1, 2, 2])]:
        kind = r.random()
        if kind < 0.4:
            d = r.randint(3, 40)
            s.tell(f"That of {who} is {d} meters longer than that of {before}.",
                   f"Compared with {before}, {who} has {d} meters extra.")
            value = s.step(who, value, "+", d, f"{who} has {{}} meters.",
                           f"{{}} meters is what {who} has.")
        elif kind < 0.8:
            d = r.randint(3, 19)
            s.tell(f"That of {who} is {d} meters shorter than that of {before}.",
                   f"{who} lacks {d} meters to reach {before}.")
            value = s.step(who, value, "-", d, f"{who} has {{}} meters.",
                           f"{{}} meters is what {who} has.")
        else:
            s.tell(f"That of {who} is twice as long as that of {before}.",
                   f"{who} has double the length of {before}.")
            value = s.step(who, value, "*", 2, f"{who} has {{}} meters.",
                           f"{{}} meters is what {who} has.")
        before = who
    if r.random() < 0.5:
        s.tell(f"How many meters has {before}?", f"What length does {before} have?")
    else:
        s.tell(f"What is the difference between {before} and {a} in meters?",
               f"By how many meters do {a} and {before} differ?")
        s.step("difference", max(value, first), "-", min(value, first),
               "The difference is {} meters.", "{} meters is the difference.")
    return "comparison"


def ride(s):
    r = s.rng
    who = r.choice(PEOPLE)
    v, t, w, u = r.randint(5, 12), r.randint(2, 6), r.randint(3, 12), r.randint(2, 6)
    s.tell(f"{who} cycles {t} hours at {v} km per hour and then {u} hours at {w} km per hour.",
           f"First {who} rides at {v} km per hour for {t} hours, after that at {w} km per hour "
           f"for {u} hours.")
    y = s.step("later", w, "*", u, "The later part is {} km.", "{} km is the later part.")
    x = s.step("first", v, "*", t, "The first part is {} km.", "{} km is the first part.")
    total = s.step("route", y, "+", x, "The route is {} km.", "{} km is the route.")
    if total % (t + u) == 0:
        s.tell("What is the average speed in km per hour?",
               "How many km per hour is that on average?")
        hours = s.step("hours", u, "+", t, "The time is {} hours.", "{} hours is the time.")
        s.step("speed", total, "/", hours, "The speed is {} km per hour.",
               "{} km per hour is the speed.")
    else:
        s.tell("How long is the route in km?", "How many km is that altogether?")
    return "rate"


def shops(s):
    """Which unit price is lower, and by how much."""
    r = s.rng
    north, south = r.sample(range(2, 13), 2)
    m, n = r.randint(2, 9), r.randint(2, 9)
    what = r.choice(["lamps", "mugs", "ropes"])
    s.tell(f"The north shop sells {m} {what} for ${north * m}.",
           f"${north * m} buys {m} {what} in the north shop.")
    s.tell(f"The south shop sells {n} {what} for ${south * n}.",
           f"In the south shop {n} {what} go for ${south * n}.")
    s.tell("How many dollars lie between the prices of one?",
           "By how many dollars per piece do the shops differ?")
    y = s.step("south", south * n, "/", n, "One from the south is {}.",
               "{} dollars is one from the south.")
    x = s.step("north", north * m, "/", m, "One from the north is {}.",
               "{} dollars is one from the north.")
    s.step("between", max(x, y), "-", min(x, y), "Between them lie {}.",
           "{} dollars lie between them.")
    return "comparison"


KINDS = (outputs, average, aim, tank, coach, tickets, book, split_bill, ladder, ride, shops)


def draw(rng):
    """A problem: question, solution, answer, gold steps, kind."""
    story, kind, skill = stories.told(rng, Story, KINDS)
    return stories.problem(
        story, lambda lines: "\n".join(f"Step {i}: {line}" for i, line in enumerate(lines, 1)),
        [skill, kind.__name__])


if __name__ == "__main__":
    stories.main(draw)

"""Draws what run.py measured: plot.py scaling.csv FOLDER writes a file QUANTITY.svg each, time beside memory, both axes logarithmic."""
import csv, math, os, sys

WIDTH, HEIGHT = 380, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 44
COLOURS = ["#1f6f8b", "#c2571a", "#5b7f2b"]
NAMES = {"tokens": "tokens a text", "batch": "texts a batch", "layers": "layers", "width": "width (hidden size)", "classes": "classes",
         "threads": "threads"}


def ticks(low, high):
    """1, 2, 5, 10, ... of which the first is at most `low` and the last at least `high`; decades alone when there are many."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    every = [m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2) for m in steps]
    first = max(t for t in every if t <= low * 1.0001)
    last = min(t for t in every if t >= high * 0.9999)
    return [t for t in every if first <= t <= last]


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'


def line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def panel(offset, title, x_name, series):
    """One diagram; series: name -> [(x, y)]."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    y_ticks = ticks(min(*ys, max(ys) / 4), max(ys))  # what hardly grows looks so
    low_x, high_x = math.log(xs[0]), math.log(max(xs[-1], xs[0] * 1.01))
    low_y, high_y = math.log(y_ticks[0]), math.log(max(y_ticks[-1], y_ticks[0] * 1.01))
    px = lambda x: offset + LEFT + (WIDTH - LEFT - RIGHT) * (math.log(x) - low_x) / (high_x - low_x)
    py = lambda y: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log(y) - low_y) / (high_y - low_y)
    out = [text(offset + LEFT, 20, title, "start", ' font-weight="bold"'), text(offset + (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_name)]
    for y in y_ticks:
        out += [line(offset + LEFT, py(y), offset + WIDTH - RIGHT, py(y)), text(offset + LEFT - 6, py(y) + 4, f"{y:g}", "end")]
    for x in xs:
        out += [line(px(x), TOP, px(x), HEIGHT - BOTTOM), text(px(x), HEIGHT - BOTTOM + 16, f"{x:g}")]
    for (name, points), colour in zip(series.items(), COLOURS):
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        if len(series) > 1:
            place = TOP + 14 + 15 * list(series).index(name)
            out.append(text(offset + LEFT + 8, place, name, "start", f' fill="{colour}"'))
    return "".join(out)


def draw(quantity, rows):
    series = lambda value: {
        f"{n} thread{'s' if n > 1 else ''}": [(float(row[quantity]), value(row)) for row in rows if int(row["threads"]) == n]
        for n in sorted({int(row["threads"]) for row in rows})}
    if quantity == "threads":
        series = lambda value: {"": [(float(row[quantity]), value(row)) for row in rows]}
    time = panel(0, "Time of a step, ms", NAMES[quantity], series(lambda row: 1e3 * float(row["step_seconds"])))
    memory = panel(WIDTH, "Peak memory, MiB", NAMES[quantity], series(lambda row: float(row["peak_bytes"]) / 2**20))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">'
            f'<rect width="100%" height="100%" fill="#fff"/>{time}{memory}</svg>\n')


def draw_all(path, folder):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for quantity in NAMES:
        of_it = [row for row in rows if row["quantity"] == quantity]
        if len({row[quantity] for row in of_it}) < 2:
            continue
        name = os.path.join(folder, quantity + ".svg")
        with open(name, "w") as file:
            file.write(draw(quantity, of_it))
        yield name


if __name__ == "__main__":
    for name in draw_all(sys.argv[1], sys.argv[2]):
        print(name)

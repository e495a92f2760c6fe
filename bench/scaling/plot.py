"""Draws what run.py measured: a file QUANTITY.svg each, time beside memory, all axes logarithmic, for light and dark pages."""
import csv, math, os

WIDTH, HEIGHT = 380, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 34, 52
NAMES = {"tokens": "tokens a text", "batch": "texts a batch", "layers": "layers", "width": "width (hidden size)", "classes": "classes",
         "threads": "threads"}
GROWTH = {"tokens": 1, "batch": 1, "layers": 1, "width": 2, "threads": -1}  # of time, were it arithmetic alone: the dashed line
STYLE = """<style>
text{font:12px sans-serif;fill:#24292f}.paper{fill:#fff}.grid{stroke:#d8dee4}.guide{stroke:#6e7781;stroke-dasharray:5 4;fill:none}
.line{fill:none;stroke-width:2}.a{stroke:#0969da}.b{stroke:#bc4c00}.c{stroke:#8250df}
.dot.a,text.a{fill:#0969da}.dot.b,text.b{fill:#bc4c00}.dot.c,text.c{fill:#8250df}text.a,text.b,text.c{stroke:none}.title{font-weight:bold}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}.guide{stroke:#8b949e}
.a{stroke:#58a6ff}.b{stroke:#f0883e}.c{stroke:#bc8cff}.dot.a,text.a{fill:#58a6ff}.dot.b,text.b{fill:#f0883e}.dot.c,text.c{fill:#bc8cff}}
</style>"""


def ticks(low, high):
    """1, 2, 5, 10, ... of which the first is at most `low` and the last at least `high`; decades alone when there are many."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    every = [m * 10.0**e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2) for m in steps]
    first = max(t for t in every if t <= low * 1.0001)
    last = min(t for t in every if t >= high * 0.9999)
    return [t for t in every if first <= t <= last]


def text(x, y, words, anchor="middle", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{words}</text>'


def line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def logarithmic(low, high, first, last):
    """From [low, high] to places between first and last."""
    span = math.log(max(high, low * 1.01)) - math.log(low)
    return lambda x: first + (last - first) * (math.log(x) - math.log(low)) / span


def panel(offset, title, x_name, series, guide):
    """One diagram; series: name -> [(x, y)]; guide: [(x, y)] of a dashed line, cut where the diagram ends."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    y_ticks = ticks(min(*ys, max(ys) / 4), max(ys))  # what hardly grows looks so
    px = logarithmic(xs[0], xs[-1], offset + LEFT, offset + WIDTH - RIGHT)
    py = logarithmic(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    out = [text(offset + LEFT, 20, title, "start", "title"), text(offset + (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name)]
    for y in y_ticks:
        out += [line(offset + LEFT, py(y), offset + WIDTH - RIGHT, py(y)), text(offset + LEFT - 6, py(y) + 4, f"{y:g}", "end")]
    for x in xs:
        out += [line(px(x), TOP, px(x), HEIGHT - BOTTOM), text(px(x), HEIGHT - BOTTOM + 16, f"{x:g}")]
    if guide:
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in guide)
        out.append(f'<svg x="{offset + LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" '
                   f'viewBox="{offset + LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}"><polyline points="{path}" class="guide"/></svg>')
    for place, ((name, points), kind) in enumerate(zip(series.items(), "abc")):
        path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" class="line {kind}"/>')
        out += [f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="3" class="dot {kind}"/>' for x, y in points]
        if len(series) > 1:
            out.append(text(offset + LEFT + 8, TOP + 14 + 15 * place, name, "start", kind))
    return "".join(out)


def series_of(quantity, rows, value):
    """For each number of threads; all in one when that is the quantity."""
    if quantity == "threads":
        return {"": [(float(row[quantity]), value(row)) for row in rows]}
    return {f"{n} thread{'s' if n > 1 else ''}": [(float(row[quantity]), value(row)) for row in rows if int(row["threads"]) == n]
            for n in sorted({int(row["threads"]) for row in rows})}


def guide_of(quantity, base, points):
    """From the point that all drawings share."""
    if quantity not in GROWTH:
        return []
    x0, y0 = next((x, y) for x, y in points if x == base[quantity])
    return [(x, y0 * (x / x0) ** GROWTH[quantity]) for x, _ in points]


def draw(quantity, base, rows):
    seconds = series_of(quantity, rows, lambda row: 1e3 * float(row["step_seconds"]))
    bytes_ = series_of(quantity, rows, lambda row: float(row["peak_bytes"]) / 2**20)
    time = panel(0, "Time of a step, ms", NAMES[quantity], seconds, guide_of(quantity, base, next(iter(seconds.values()))))
    memory = panel(WIDTH, "Peak memory, MiB", NAMES[quantity], bytes_, [])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" role="img" aria-label="Time and memory of a step '
            f'against {NAMES[quantity]}">{STYLE}<rect width="100%" height="100%" class="paper"/>{time}{memory}</svg>\n')


def draw_all(path, folder, base):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for quantity in NAMES:
        of_it = [row for row in rows if row["quantity"] == quantity]
        if len({row[quantity] for row in of_it}) < 2:
            continue
        name = os.path.join(folder, quantity + ".svg")
        with open(name, "w") as file:
            file.write(draw(quantity, base, of_it))
        yield name

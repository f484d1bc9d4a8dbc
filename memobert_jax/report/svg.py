"""Inline SVG that takes its colours and its font from the page.

Matplotlib draws with stand-in colours; afterwards each becomes a variable of the style sheet, so
that one drawing serves the light and the dark page. Text stays text. Every plot is drawn for a
width of about 340 px, what a phone shows, and the page sets several beside each other.
"""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.etree import ElementTree

VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--rule)",
    "#040404": "var(--accent)",
    "#050505": "var(--paper)",
}
INK, MUTED, RULE, ACCENT, PAPER = VARIABLES
WIDTH = 340
"""Of a plot, in px of the page."""

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"


class Style(NamedTuple):
    """How a series is drawn: told apart by dash and mark, not by colour alone."""

    colour: str
    dash: str
    mark: str
    filled: bool = True


STYLES = (
    Style(ACCENT, "-", "o"),
    Style(INK, "-", "s"),
    Style(INK, "--", "^", False),
    Style(MUTED, ":", "D"),
    Style(ACCENT, "--", "v", False),
    Style(MUTED, "-.", "P"),
)


_SHAPES = {
    "o": "M11 5a3 3 0 1 0 6 0a3 3 0 1 0-6 0Z",
    "s": "M11 2h6v6h-6Z",
    "^": "M14 1.5l3.5 6h-7Z",
    "v": "M14 8.5l3.5-6h-7Z",
    "D": "M14 1.5l3.5 3.5l-3.5 3.5l-3.5-3.5Z",
    "P": "M12.5 1.5h3v2h2v3h-2v2h-3v-2h-2v-3h2Z",
}
_DASHES = {"-": "none", "--": "5 3", ":": "1.5 2.5", "-.": "6 2 1.5 2"}


def key(style: Style) -> str:
    """The line and the mark of a style, for a legend beside its name."""
    colour = VARIABLES[style.colour]
    fill = colour if style.filled else VARIABLES[PAPER]
    return (
        '<svg class="key" viewBox="0 0 28 10" aria-hidden="true">'
        f'<path d="M0 5H28" style="stroke: {colour}; stroke-dasharray: {_DASHES[style.dash]}"/>'
        f'<path d="{_SHAPES[style.mark]}" style="stroke: {colour}; fill: {fill}"/></svg>'
    )


def draw(name: str, label: str, height: int, paint: Callable[[Any], None]) -> str:
    """An `<svg>` element.

    Args:
      name: unique on the page; the ids inside begin with it.
      label: what a screen reader says.
      height: px of the page.
      paint: draws on the axes that it is given.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 8.5,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": RULE,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.color": RULE,
        "ytick.color": RULE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH / 96, height / 96), dpi=96, layout="constrained")
        paint(figure.add_subplot())
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _themed(out.getvalue(), name, label)


def _themed(svg: str, name: str, label: str) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK[1:].split("}")[0])
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.get('id')}")
        if _LINK in element.attrib:
            element.set(_LINK, f"#{name}-{element.get(_LINK)[1:]}")
        for key in ("style", "clip-path"):
            if key in element.attrib:
                element.set(key, _style(element.get(key), name))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _style(text: str, name: str) -> str:
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"font: (?:[a-z]+ )?(?:(bold|\d00) )?([\d.]+)px [^;]+", _font, text)
    text = re.sub(r"font-family: [^;]+;?\s*", "", text)
    return re.sub("|".join(VARIABLES), lambda found: VARIABLES[found[0]], text)


def _font(found: re.Match) -> str:
    weight = f"font-weight: {found[1]}; " if found[1] else ""
    return f"{weight}font-size: {found[2]}px"

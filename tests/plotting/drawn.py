"""What is on a panel, by the labels the plot modules give their artists."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def lines(panel: Axes, label: str) -> list[np.ndarray]:
    """Points `[point, (x, y)]` of each line of this label, in drawing order."""
    return [np.asarray(line.get_xydata(), float) for line in panel.get_lines() if line.get_label() == label]


def labels(panel: Axes) -> set[str]:
    """Labels of all lines of data."""
    return {line.get_label() for line in panel.get_lines() if not line.get_label().startswith("_")}


def band(panel: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge of a band at its distinct x."""
    (found,) = (c for c in panel.collections if isinstance(c, PolyCollection) and c.get_label() == label)
    points = np.concatenate([path.vertices for path in found.get_paths()])
    xs = np.unique(points[:, 0])
    ys = [points[points[:, 0] == x, 1] for x in xs]
    return np.array([y.min() for y in ys]), np.array([y.max() for y in ys])


def texts(figure: Figure) -> str:
    """All words on a figure, one text a line."""
    figure.draw_without_rendering()
    found = figure.findobj(Text)
    return "\n".join(text.get_text() for text in found if text.get_visible())


def small_texts(figure: Figure, least: float = 6) -> list[str]:
    """Words in smaller type than may be printed [point]."""
    figure.draw_without_rendering()
    return [
        text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_fontsize() < least
    ]


def row_name(panel: Axes) -> str:
    """The name of the panel's row, which reads downwards beside it."""
    (name,) = (text.get_text() for text in panel.texts if text.get_rotation() == 270)
    return name


def _within(inner: Bbox, outer: Bbox) -> bool:
    """Whether a box lies within another, to a pixel."""
    return (
        inner.x0 >= outer.x0 - 1 and inner.x1 <= outer.x1 + 1
        and inner.y0 >= outer.y0 - 1 and inner.y1 <= outer.y1 + 1
    )  # fmt: skip


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of legends, titles, axis labels and panels that cover each other, and what sticks out of the figure."""
    figure.draw_without_rendering()
    boxes = {f"legend {k}": legend.get_window_extent() for k, legend in enumerate(figure.legends)}
    words = [figure._supxlabel] if figure._supxlabel else []
    for k, panel in enumerate(figure.axes):
        box = panel.get_window_extent()
        boxes[f"panel {k}"] = box
        words += [panel.title, panel.xaxis.label, panel.yaxis.label]
        words += [text for text in panel.texts if not _within(text.get_window_extent(), box)]
    for k, text in enumerate(words):
        if text.get_text():
            boxes[f"{text.get_text()} {k}"] = text.get_window_extent()
    names = list(boxes)
    found = [
        (one, other)
        for place, one in enumerate(names)
        for other in names[place + 1 :]
        if boxes[one].shrunk(0.99, 0.99).overlaps(boxes[other])
    ]
    width, height = figure.bbox.width, figure.bbox.height
    found += [
        (name, "edge of the figure")
        for name, box in boxes.items()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    return found

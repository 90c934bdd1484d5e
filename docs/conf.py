"""Configuration of Sphinx. `make docs` builds the site from these pages and the docstrings, without the net."""

import posixpath
import re
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "pgprim"
html_title = "pgprim"
html_theme = "furo"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
exclude_patterns = ["performance/*.json"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "code"  # docstrings write `name`
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_attr_annotations = False

LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")
KEPT = r"^\s*\* |`[^`]*`|(?<!\w)\*\*[^*]+\*\*(?!\w)|(?<!\w)\*[^*\s][^*]*\*(?!\w)"
"""Markup of docstrings: bullets, code and emphasis."""
MARKUP = re.compile(rf"({KEPT})|([|*\\])")


def link_within(app: Sphinx, name: str, source: list[str]) -> None:
    """Make a link that leaves docs/ lead to the page that the site has for it, or show the path where it has none."""
    folder = posixpath.dirname(f"docs/{name}")

    def rewrite(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link["path"]))
        if target.startswith(("docs/", "..")) or not (ROOT / target).exists():
            return link[0]
        page = target.removesuffix(".md")
        if page in app.env.found_docs:
            near = posixpath.relpath(page, posixpath.dirname(name) or ".")
            return f"[{link['text']}]({near}.md{link['anchor'] or ''})"
        return f"`{target}`" if link["text"].strip("`") == target else f"{link['text']} (`{target}`)"

    source[0] = LINK.sub(rewrite, source[0])


def escape_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Let |x| and b* in a docstring be what they are in mathematics, not markup."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith(">>>"):
            lines[index] = MARKUP.sub(lambda match: match[1] or f"\\{match[2]}", line)


def skip_field(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, which the class's docstring describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def visit_math(translator, node: nodes.math | nodes.math_block) -> None:
    """Write an equation as MathML, which browsers draw by themselves."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    translator.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions above; docstrings are escaped before Napoleon sees them."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", link_within)
    app.connect("autodoc-skip-member", skip_field)
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)
    return {"parallel_read_safe": True}

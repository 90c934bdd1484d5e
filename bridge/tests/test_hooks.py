"""How a project names its hooks, and one sentence where it does so wrongly; versions that will not do."""

import pytest
from dvcsnake import versions
from dvcsnake.errors import UserError
from dvcsnake.hooks import Hooks, load_hooks
from dvcsnake.versions import require


def test_plain_values_are_hooks(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dvcsnake]\npackage = "mine"\ntargets = ["a/*", "b.csv"]\n'
    )
    hooks = load_hooks(tmp_path)
    assert hooks == Hooks(package="mine", targets=["a/*", "b.csv"])
    assert hooks.default_targets(["b.csv", "a/c/d.pdf", "c/a.pdf"]) == ["a/c/d.pdf", "b.csv"]


def test_hooks_are_the_object_that_is_named(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.dvcsnake]\nhooks = "some_hooks:MINE"\n')
    (tmp_path / "some_hooks.py").write_text(
        'from dvcsnake.hooks import Hooks\nMINE = Hooks(package="p")\nOTHER = 1\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_hooks(tmp_path).package == "p"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"must have a table \[tool\.dvcsnake\]"),
        ("[tool.other]\n", r"must have a table \[tool\.dvcsnake\]"),
        ("[tool.dvcsnake\n", "not valid TOML"),
        (
            '[tool.dvcsnake]\npackages = "p"\n',
            "has the key packages, but its keys are hooks, package, code, targets",
        ),
        ('[tool.dvcsnake]\nhooks = "a:b"\npackage = "p"\n', "has `hooks` and package"),
        ('[tool.dvcsnake]\nhooks = "json"\n', "must be MODULE:NAME"),
        ('[tool.dvcsnake]\nhooks = "no_such_module:HOOKS"\n', "there is no module no_such_module"),
        ('[tool.dvcsnake]\nhooks = "json:dumps"\n', r"that is no dvcsnake\.hooks\.Hooks\(package, code"),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path, monkeypatch, text, told):
    monkeypatch.syspath_prepend(tmp_path)
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UserError, match=told):
        load_hooks(tmp_path)


@pytest.mark.parametrize(
    ("installed", "fits"),
    [("3.66.9", False), ("3.67.0", True), ("3.99", True), ("4.0.0", False), ("2.100.1", False)],
)
def test_other_versions_are_refused(monkeypatch, installed, fits):
    monkeypatch.setattr(versions, "version", lambda name: installed)
    if fits:
        require("dvc")
    else:
        with pytest.raises(UserError, match=f"dvc {installed} is installed, but dvcsnake needs dvc>=3.67,<4"):
            require("dvc")


def test_the_versions_that_are_refused_are_those_that_pip_does_not_install():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for name, bounds in versions.NEEDED.items():
        low, high = map(versions._text, bounds)
        assert f"{name}>={low},<{high}" in project["dependencies"]


def test_what_is_not_installed_is_named():
    versions.NEEDED["no-such-distribution"] = ((1,), (2,))
    try:
        with pytest.raises(UserError, match="no-such-distribution is not installed"):
            require("no-such-distribution")
    finally:
        del versions.NEEDED["no-such-distribution"]

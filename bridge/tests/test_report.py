"""`snakemake --report` makes one page that needs nothing else."""

import base64
import re


def test_the_report_holds_every_figure_with_caption_and_parameters(clone):
    clone.run("dvc pull")
    text = clone.run("snakemake -j1 --report report.html").text
    assert clone.log.exists() is False, "a report runs no stage"
    page = (clone.path / "report.html").read_text()
    assert "Missing metadata" not in text and text.count("no run times of outputs") == 1
    for figure in ("fig1", "fig2", "fig8"):
        assert f"Adding {figure}.pdf" in text
        picture = (clone.path / f"figures/{figure}.png").read_bytes()
        assert base64.b64encode(picture).decode() in page
    words = re.sub(r"(\\n|\s)+", " ", page)
    assert "<strong>figures/fig1.pdf</strong>" in words and "4 draws, sizes 100, 1000" in words
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', page), "the page loads nothing"

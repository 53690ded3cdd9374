"""The page of step03 as text: what it says, and that names from files stay text."""

import json
from base64 import b64decode
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from tests.util.report_content import ACTIONS, EVIL, make_report
from util.bootstrap import mean_intervals
from util.gallery import PICTURE_SIDE
from util.html_report import write_report


class Page(HTMLParser):
    """The elements of a page with their attributes, the rows of its tables, and the text of its scripts and of all."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.tables, self.scripts, self.text = [], [], [], []
        self.inside, self.in_cell = None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None if tag in ("script", "style") else self.inside
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, text):
        if self.inside == "script":
            self.scripts[-1] += text
        elif self.inside != "style":
            self.text.append(text)
            if self.in_cell:
                self.tables[-1][-1][-1] = " ".join((self.tables[-1][-1][-1] + " " + text).split())

    @property
    def data(self):
        return json.loads(self.scripts[1])

    def row(self, table: int, title: str) -> list[str]:
        return next(row for row in self.tables[table] if row[0] == title)


@pytest.fixture(scope="module")
def report():
    return make_report()


@pytest.fixture(scope="module")
def page(report, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("page") / "index.html"
    size = write_report(path, report)
    assert size == path.stat().st_size
    return Page(path.read_text())


def test_names_from_files_stay_text(page):
    assert len(page.scripts) == 3  # plotly, data, ours
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert all(a["src"].startswith("data:image/jpeg;base64,") for tag, a in page.elements if tag == "img")
    assert "<" not in page.scripts[1]
    assert page.text.count(EVIL) >= 3  # title, heading, options
    assert ACTIONS[1] in [a.get("value") for tag, a in page.elements if tag == "option"]
    assert {EVIL} < {a["data-subject"] for tag, a in page.elements if tag == "article"}


def test_the_page_refers_to_nothing_outside(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)


def test_the_table_says_what_was_measured(page, report):
    low, high = mean_intervals(report.models[0].metrics, [s[0] for s in report.samples])["score"]
    # scores 20, 21, ..., 43
    wanted = ["Score", "mm", "31.50", f"{low:.2f} to {high:.2f}", "31.50", "40.70", "43.00"]
    assert page.row(0, "Score") == wanted
    assert page.row(0, "Within 5 degrees and 5 cm")[1:3] == ["%", "75.00"]
    assert page.row(0, "Within 5 degrees and 5 cm")[4:] == ["–"] * 3
    assert page.row(0, "<b>unknown</b>")[1] == ""
    assert page.row(0, "broken")[2:] == ["–"] * 5


def test_the_comparison_marks_the_best(page):
    assert page.tables[1][0] == ["Figure", "Unit", "run01 (best)", "run02 (best)", "mean face"]
    cells = page.row(1, "Score")[2:]
    assert [cell.startswith("best ") for cell in cells] == [True, False, False]
    assert [cell.split()[-4] for cell in cells] == ["31.50", "34.50", "63.00"]
    # higher is better there, and the mean face has twice as much of it
    cells = page.row(1, "Within 5 degrees and 5 cm")[2:]
    assert [cell.startswith("best ") for cell in cells] == [False, False, True]


def test_paired_differences(page):
    assert page.row(2, "Score") == ["Score", "mm", "3.00", "3.00 to 3.00", "0 %", "run01 (best)"]
    assert page.row(2, "Vertex error")[-1] == "not clear"
    assert page.row(2, "Within 5 degrees and 5 cm")[2:] == ["0.000", "0.000 to 0.000", "0 %", "not clear"]


def test_nme_by_yaw_counts_images(page, report):
    cells = page.row(3, "run01 (best)")
    low = np.abs(report.conditions["yaw_deg"]) <= 30
    assert cells[1] == f"{report.models[0].metrics['nme68_percent'][low].mean():.2f} {low.sum()} images"


def test_data_for_the_charts(page, report):
    data = page.data
    # neither yes and no nor what is not finite everywhere
    assert list(data["metrics"]) == ["score", "vertex_error_mm", "nme68_percent", "<b>unknown</b>"]
    score = data["metrics"]["score"]
    assert [sum(counts) for counts in score["counts"]] == [24, 24]
    assert score["points"][1] == (23.0 + np.arange(24)).tolist()
    assert data["samples"][0] == " / ".join(report.samples[0])
    assert set(score["boxes"][0]) == set(ACTIONS)
    assert data["history"][0] == {"step": [0, 1, 2], "epoch": [0, 1, 2], "val/score": [100, 99, 98]} | {
        "train/loss_total": [None] * 3
    }
    assert data["colors"][0][0] == 0
    assert data["colors"][-1][0] == 1


def test_meshes_come_back_to_ten_micrometres(page, report):
    packed = page.data["cases"][1]["predictions"][1]["mesh"]
    verts = np.frombuffer(b64decode(packed["numbers"]), "<i2").reshape(-1, 3) * packed["scale"]
    np.testing.assert_allclose(verts, report.cases[1].predictions[1].verts, atol=5e-6)  # half a step of 10 micrometres
    triangles = np.frombuffer(b64decode(page.data["triangles"]), "<i4").reshape(-1, 3)
    np.testing.assert_array_equal(triangles, report.topology.triangles)


def test_gallery_pictures_are_jpegs_of_the_case(page, report):
    first = next(a["src"] for tag, a in page.elements if tag == "img")
    data = np.frombuffer(b64decode(first.split(",")[1]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)
    assert max(picture.shape) <= PICTURE_SIDE
    # noise is the worst that a JPEG can be given, and colours are halved; the mean colour stays
    assert np.abs(picture.mean(axis=(0, 1)) - report.cases[0].photo.mean(axis=(0, 1))).max() < 3


def test_a_single_run_of_one_subject_has_neither_comparison_nor_intervals(tmp_path):
    report = make_report(images=4, models=1)
    samples = [("000101", *sample[1:]) for sample in report.samples]
    bare = {"references": [], "samples": samples, "cases": []}
    write_report(tmp_path / "index.html", type(report)(**vars(report) | bare))
    page = Page((tmp_path / "index.html").read_text())
    assert "comparison" not in [a.get("id") for _, a in page.elements]
    assert page.row(0, "Score")[3] == "–"
    assert "One subject allows no interval." in " ".join(" ".join(page.text).split())


def test_the_page_does_not_grow_with_the_images(tmp_path):
    sizes = []
    for images in (1000, 3000):
        report = make_report(images=images, models=1)
        write_report(tmp_path / "index.html", type(report)(**vars(report) | {"cases": []}))
        sizes.append((tmp_path / "index.html").stat().st_size)
    # the same number of numbers, of which some are a digit or two longer
    assert sizes[1] - sizes[0] < 0.01 * sizes[0]

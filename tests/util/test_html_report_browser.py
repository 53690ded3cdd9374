"""The page of step03 in a browser, from its file: what it draws, and what its buttons do."""

import json
import shutil
import time

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.util.report_content import ACTIONS, EVIL, make_report
from util.html_report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium or no chromedriver is installed")

# Without a display and a graphics card, and without anything that chromium does of its own accord.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
PATIENCE = 30.0  # seconds, of which a quiet machine needs some three


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that shows the page at 1280 x 900."""
    folder = tmp_path_factory.mktemp("browser")
    write_report(folder / "index.html", make_report())
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        set_width(driver, 1280)
        driver.get((folder / "index.html").as_uri())
        wait_for(lambda: driver.execute_script("return document.documentElement.dataset.drawn === 'true'"))
        wait_for(lambda: shown_case(driver) == "0")
        yield driver
    finally:
        driver.quit()


def set_width(driver, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the page did not get there"
        time.sleep(0.05)


def shown_case(driver) -> str:
    return driver.find_element(By.ID, "viewer").get_attribute("data-shown")


def picture(driver, name: str) -> np.ndarray:
    """What is to be seen of an element, (h, w, 3)."""
    element = driver.find_element(By.ID, name)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    return cv2.imdecode(np.frombuffer(element.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR)


def drawn_picture(driver, name: str) -> np.ndarray:
    """The same, once a colourful mesh is there: WebGL draws when it finds the time."""
    seen = []

    def colourful() -> bool:
        seen.append(picture(driver, name))
        # turbo's colours are vivid, the page's are not
        return (np.ptp(seen[-1].astype(int), axis=2) > 100).mean() > 0.05

    wait_for(colourful)
    return seen[-1]


def cards(driver) -> list:
    return [card for card in driver.find_elements(By.CLASS_NAME, "case") if card.is_displayed()]


def click(element) -> None:
    element.parent.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def test_it_loads_without_errors_and_without_the_network(browser):
    assert browser.execute_script("return window.evil") is None
    assert EVIL in browser.find_element(By.TAG_NAME, "h1").text
    errors = [entry for entry in browser.get_log("browser") if entry["level"] not in ("INFO", "DEBUG", "WARNING")]
    assert errors == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    # and not by the empty page that the browser begins with
    asked = [request["request"]["url"] for request in sent if request["documentURL"] == browser.current_url]
    assert browser.current_url in asked
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


def test_every_chart_is_drawn(browser):
    charts = browser.find_elements(By.CLASS_NAME, "chart")
    assert len(charts) == 13  # a pair, two of errors, four conditions, actions, two solid ones, three of training
    assert all(chart.find_elements(By.CLASS_NAME, "main-svg") for chart in charts)
    names = browser.execute_script("return [...document.querySelectorAll('#actions .ytick')].map(t => t.textContent)")
    assert sorted(names) == sorted(ACTIONS)


def test_meshes_are_drawn_in_3d_and_turn(browser):
    front = drawn_picture(browser, "mean-mesh")
    left = browser.find_element(By.CSS_SELECTOR, "[data-turns=mean-mesh] button:nth-child(2)")
    assert left.text == "left"
    click(left)
    wait_for(lambda: (picture(browser, "mean-mesh") != front).mean() > 0.02)


def test_a_click_on_a_case_shows_it(browser):
    before = drawn_picture(browser, "viewer")
    text = browser.find_element(By.ID, "viewer-text").text
    # its face is the largest and its errors are, so that its colours differ
    click(cards(browser)[-1].find_element(By.CLASS_NAME, "open"))
    wait_for(lambda: shown_case(browser) == str(len(cards(browser)) - 1))
    wait_for(lambda: (picture(browser, "viewer") != before).mean() > 0.02)
    assert browser.find_element(By.ID, "viewer-text").text != text
    pressed = browser.find_elements(By.CSS_SELECTOR, ".open[aria-pressed=true]")
    assert pressed == [cards(browser)[-1].find_element(By.CLASS_NAME, "open")]
    # another model makes the faces higher, and the gallery shows its pictures
    before = picture(browser, "viewer")
    Select(browser.find_element(By.ID, "case-model")).select_by_index(1)
    wait_for(lambda: (picture(browser, "viewer") != before).mean() > 0.02)
    assert cards(browser)[0].find_element(By.CSS_SELECTOR, "img[data-model='1']").is_displayed()
    assert not cards(browser)[0].find_element(By.CSS_SELECTOR, "img[data-model='0']").is_displayed()


def test_the_gallery_filters(browser):
    whole = len(cards(browser))
    count = browser.find_element(By.ID, "case-count")

    def kinds(kind: str) -> None:
        click(browser.find_element(By.CSS_SELECTOR, f"[data-kind='{kind}']"))

    kinds("best")
    assert len(cards(browser)) == 2
    assert count.text == f"2 of {whole} cases"
    kinds("worst of its action")
    assert len(cards(browser)) == 3
    Select(browser.find_element(By.ID, "case-action")).select_by_value(ACTIONS[1])
    assert [card.get_attribute("data-action") for card in cards(browser)] == [ACTIONS[1]]
    Select(browser.find_element(By.ID, "case-action")).select_by_index(0)
    kinds("")
    search = browser.find_element(By.ID, "case-subject")
    search.send_keys("SCRIPT")
    assert {card.get_attribute("data-subject") for card in cards(browser)} == {EVIL}
    search.clear()
    search.send_keys("nobody")
    assert count.text == f"0 of {whole} cases"
    search.clear()
    search.send_keys(" ")
    assert len(cards(browser)) == whole


def test_charts_show_the_metric_that_is_chosen(browser):
    def title() -> str:
        return browser.find_element(By.CSS_SELECTOR, "#condition-yaw_deg .ytitle").text

    assert title() == "Score, mm"
    choice = Select(browser.find_element(By.ID, "metric"))
    choice.select_by_visible_text("68-point NME")
    wait_for(lambda: title() == "68-point NME, %")
    choice.select_by_visible_text("<b>unknown</b>")
    wait_for(lambda: title() == "<b>unknown</b>")
    choice.select_by_index(0)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(browser, width):
    set_width(browser, width)
    chart = browser.find_element(By.ID, "histogram")
    wait_for(lambda: chart.find_element(By.CLASS_NAME, "main-svg").size["width"] <= chart.size["width"] <= width)
    assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]


def test_buttons_can_be_reached_by_keys(browser):
    browser.execute_script("document.querySelector('[data-kind=\"median\"]').focus()")
    browser.switch_to.active_element.send_keys(" ")
    assert len(cards(browser)) == 2
    browser.execute_script("document.querySelector('[data-kind=\"\"]').focus()")
    browser.switch_to.active_element.send_keys("\n")
    assert len(cards(browser)) > 2

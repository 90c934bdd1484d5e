"""The page in a real browser: it draws, turns, prints and answers the keyboard, and asks nobody for anything."""

import base64
import io
import json
import shutil
from contextlib import contextmanager
from urllib.parse import urlparse

import pytest
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="there is no Chromium with ChromeDriver here (Debian: apt-get install chromium chromium-driver)",
    ),
]
webdriver = pytest.importorskip("selenium.webdriver")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

QUIET = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
)
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")
VIEWS = ("front", "claims", "gradients", "values", "landscapes", "trust", "reliability", "agents", "gallery")
INTERACTIVE = ("gradients", "values", "landscapes", "trust", "reliability")

# Plotly says so once its canvas is read for a picture of a heat map; nothing is wrong with it.
HARMLESS = ("willReadFrequently", "GPU stall due to ReadPixels", "Automatic fallback to software WebGL")


@contextmanager
def browser(page, *arguments, size=(1000, 900)):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, *arguments, f"--window-size={size[0]},{size[1]}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(180)
    try:
        driver.get(page.as_uri())
        wait(driver, "return document.body.dataset.ready === 'true'")
        yield driver
    finally:
        driver.quit()


def wait(driver, script, seconds=180):
    WebDriverWait(driver, seconds).until(lambda one: one.execute_script(script), script)


def go(driver, address):
    """Follow an address of the page, and wait until all its charts are drawn."""
    driver.execute_script("location.hash = arguments[0]", f"#/{address}")
    view = address.split("/")[0].split("?")[0]
    wait(driver, f"return document.getElementById('{view}').classList.contains('here')")
    drawn(driver)


def drawn(driver):
    wait(
        driver,
        "return [...document.querySelectorAll('.view.here .plotly-box')].every((box) => box.querySelector('.main-svg'))",
    )
    driver.execute_async_script("setTimeout(arguments[0], 300)")


def boxes(driver):
    return driver.find_elements(By.CSS_SELECTOR, ".view.here .plotly-box")


def shots(driver):
    """The pixels of each chart, cut from a picture of the whole window: all of them must be in sight."""
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    places = [box.rect for box in boxes(driver)]
    return [
        picture.crop((at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"])).tobytes()
        for at in places
        if at["y"] + at["height"] <= picture.height
    ]


def press(driver, control, *keys):
    """Use a control by the keyboard alone."""
    driver.execute_script("document.getElementById(arguments[0]).focus()", control)
    driver.switch_to.active_element.send_keys(*keys)
    drawn(driver)


def complaints(driver):
    return [
        entry for entry in driver.get_log("browser") if not any(word in entry["message"] for word in HARMLESS)
    ]


def requests(driver):
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def driver(study):
    with browser(study / "site/index.html", *WEBGL) as one:
        yield one


def test_no_view_complains_or_asks_for_anything(study, driver):
    for view in (*VIEWS, "agents/hopper/ppo/0", "agents/audit/mine", "claims/mixed", "gallery/fig8"):
        go(driver, view)
        shown = driver.find_element(By.CSS_SELECTOR, ".view.here")
        assert shown.is_displayed() and len(shown.text) > 100
        assert bool(boxes(driver)) == (view in INTERACTIVE or view.startswith("agents/hopper"))
    assert complaints(driver) == []
    asked = [url for url in requests(driver) if urlparse(url).scheme not in ("data", "blob")]
    assert asked == [(study / "site/index.html").as_uri()]


def test_every_link_resolves(study, driver):
    pages = [
        *VIEWS,
        *(f"agents/{task}/{algo}/{seed}" for task in ("hopper",) for algo in ("ppo",) for seed in (0,)),
    ]
    links = set()
    for page in pages:
        go(driver, page)
        links |= set(
            driver.execute_script(
                "return [...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))"
            )
        )
    assert {"../figures/fig1.pdf", "../data/figures/fig1.nc", "../pgprim/probes/gradient/plot.py"} <= links
    for link in links:
        if link.startswith("#/"):
            driver.execute_script("location.hash = arguments[0]", link)
            wanted, *rest = link[2:].split("?")[0].split("/")
            assert driver.find_element(By.CSS_SELECTOR, ".view.here").get_attribute("id") == wanted
            if wanted == "claims" and rest:
                opened = driver.find_element(By.CSS_SELECTOR, f'.claim[data-name="{"/".join(rest)}"]')
                assert opened.get_attribute("open")
            if wanted == "gallery" and rest:
                assert driver.find_elements(By.ID, f"figure-{rest[0]}")
        elif link.startswith("#"):
            assert driver.find_elements(By.ID, link[1:])
        else:
            assert (study / "site" / link).resolve().is_file(), link


def test_surfaces_turn_together_by_slider_and_by_hand(driver):
    go(driver, "landscapes?task=hopper&algo=ppo&iteration=150&seed=0&look=3-D")
    surfaces = 4
    driver.set_window_size(1000, 1600)
    drawn(driver)
    before = shots(driver)[:surfaces]
    assert len(before) == surfaces and len(set(before)) == surfaces
    press(driver, "landscapes-turn", *[Keys.ARROW_RIGHT] * 5)
    turned = shots(driver)[:surfaces]
    assert all(one != other for one, other in zip(before, turned, strict=True))
    box = boxes(driver)[0]
    actions = webdriver.ActionChains(driver)
    actions.move_to_element(box).click_and_hold().move_by_offset(60, 10).move_by_offset(
        60, 10
    ).release().perform()
    drawn(driver)
    dragged = shots(driver)[:surfaces]
    assert all(one != other for one, other in zip(turned, dragged, strict=True))
    # Where the cameras stand that draw, not what the layouts say of them.
    wait(
        driver,
        "const eyes = [...document.querySelectorAll('.view.here .plotly-box')].filter((box) => box._fullLayout.scene)"
        ".map((box) => Object.values(box._fullLayout.scene._scene.getCamera().eye).map((x) => x.toFixed(2)).join());"
        f"return eyes.length === {surfaces} && new Set(eyes).size === 1",
        seconds=20,
    )


def test_pairs_per_point_smoothing_and_scale_change_the_surfaces(driver):
    go(driver, "landscapes?task=hopper&algo=ppo&iteration=150&seed=0&look=3-D&budget=12000")
    reward = "return JSON.stringify(document.querySelectorAll('.view.here .plotly-box')[1].data[0].z)"
    many = driver.execute_script(reward)
    press(driver, "landscapes-budget", Keys.ARROW_LEFT)
    few = driver.execute_script(reward)
    press(driver, "landscapes-surface-raw", Keys.ARROW_RIGHT)
    smoothed = driver.execute_script(reward)
    assert len({many, few, smoothed}) == 3
    ends = "return [1, 3].map((i) => document.querySelectorAll('.view.here .plotly-box')[i].data[0].cmin)"
    own = driver.execute_script(ends)
    press(driver, "landscapes-scale-own", Keys.ARROW_RIGHT)
    shared = driver.execute_script(ends)
    assert own[0] != own[1] and shared == [min(own)] * 2
    text = driver.execute_script(
        "return document.querySelectorAll('.view.here .plotly-box')[1].data[0].text[0][0]"
    )
    assert "±" in text and "episodes" in text


def test_the_budget_brush_limits_both_charts_and_the_choice_is_in_the_address(driver):
    go(driver, "gradients?task=hopper&iteration=150&budgetFrom=100&budgetTo=12500")
    budgets = (
        "return [0, 1].map((i) => document.querySelectorAll('.view.here .plotly-box')[i].data[0].x.length)"
    )
    assert driver.execute_script(budgets) == [7, 7]
    press(driver, "gradients-budgetFrom", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert driver.execute_script(budgets) == [5, 5]
    assert "budgetFrom=500" in driver.current_url
    words = driver.find_element(By.CSS_SELECTOR, "#gradients .readout").text
    press(driver, "gradients-readAt", Keys.HOME)
    assert driver.find_element(By.CSS_SELECTOR, "#gradients .readout").text != words


def test_an_infinite_noise_scale_is_said_in_words_and_no_smaller_budget_s_is_drawn_instead(driver):
    go(driver, "gradients?task=hopper&iteration=300&algos=ppo&seedOrAll=0")
    text = driver.find_element(By.CSS_SELECTOR, "#gradients .charts").text
    assert "no common signal at the largest budget: PPO, seed 0 at checkpoint 300." in text
    drawn_scales = driver.execute_script(
        "return [...document.querySelectorAll('.view.here .plotly-box')].find((box) => box.ariaLabel.includes('noise scale')).data"
    )
    assert [line["y"][-1] for line in drawn_scales] == [None] and None not in drawn_scales[0]["y"][:-1]
    go(driver, "gradients?task=hopper&iteration=300&algos=trpo&seedOrAll=all")
    assert "no common signal" not in driver.find_element(By.CSS_SELECTOR, "#gradients .charts").text


def test_the_reliability_view_ends_with_the_figure_of_that_study(driver):
    go(driver, "reliability")
    shown = "const image = document.querySelector('#reliability .shown img'); return image && image.naturalWidth > 100"
    wait(driver, shown, seconds=20)


def test_an_audited_agent_has_a_page_with_its_findings(driver):
    go(driver, "agents")
    driver.find_element(By.CSS_SELECTOR, '#agents a[href="#/agents/audit/mine"]').click()
    drawn(driver)
    page = driver.find_element(By.CSS_SELECTOR, "#agents").text
    assert "Audit of mine, Hopper-v5, iteration 3" in page and "mine.zip" in page
    assert "Are its gradients signal?" in page and "[0.1, 0.3] over streams of this agent" in page
    assert "Over training" in page and "0.4 [0.35, 0.45]" in page and "Updates between checkpoints" in page
    assert "undefined" not in page and "{" not in page and "[object" not in page


def test_task_and_checkpoint_are_kept_from_view_to_view(driver):
    go(driver, "gradients?task=hopper&iteration=300")
    go(driver, "landscapes")
    chosen = driver.execute_script(
        "return [...document.querySelectorAll('#landscapes input:checked')].map((input) => input.value)"
    )
    assert {"hopper", "300"} <= set(chosen)


def test_definitions_of_value_errors_are_switched(driver):
    go(driver, "values?task=hopper&definition=as_text")
    line = "return JSON.stringify(document.querySelectorAll('.view.here .plotly-box')[1].data[0].y)"
    before = driver.execute_script(line)
    press(driver, "values-definition-as_text", Keys.ARROW_RIGHT)
    assert driver.execute_script(line) != before


def test_a_claim_opens_by_the_keyboard_with_its_rows_and_the_picture_of_its_figure(driver):
    go(driver, "front")
    claim = driver.find_element(By.CSS_SELECTOR, '.strip a[href="#/claims/mixed"]')
    claim.send_keys(Keys.ENTER)
    wait(driver, "return document.querySelector('.claim[data-name=mixed]').open")
    evidence = driver.find_element(By.CSS_SELECTOR, ".claim[data-name=mixed] .evidence")
    WebDriverWait(driver, 180).until(lambda _: evidence.text, "the evidence is not to be seen")
    assert (
        "Humanoid" in evidence.text
        and "0.65 [0.6, 0.7]" in evidence.text
        and "threshold 0.5" in evidence.text
    )
    wait(driver, "return document.querySelector('.claim[data-name=mixed] .shown img')?.naturalWidth > 100")


def test_on_a_phone_no_view_is_wider_than_the_screen(study):
    with browser(study / "site/index.html", *WEBGL) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
        )
        for view in (*VIEWS, "agents/hopper/ppo/0"):
            go(driver, view)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= 390, view
        assert complaints(driver) == []


def test_without_webgl_surfaces_are_heat_maps(study):
    with browser(study / "site/index.html", *NO_WEBGL) as driver:
        go(driver, "landscapes?task=hopper&algo=ppo&iteration=150")
        types = driver.execute_script(
            "return [...document.querySelectorAll('.view.here .plotly-box')].map((box) => box.data[0].type)"
        )
        assert types[:4] == ["heatmap"] * 4
        assert "no WebGL" in driver.find_element(By.CSS_SELECTOR, ".view.here").text
        assert complaints(driver) == []


def test_printed_it_shows_findings_evidence_and_figures_instead_of_controls(driver):
    go(driver, "landscapes")
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        seen = "return [...document.querySelectorAll(arguments[0])].map((one) => one.checkVisibility())"
        for selector in (".finding", ".claim .evidence", "#gallery img"):
            shown = driver.execute_script(seen, selector)
            assert shown and all(shown), selector
        for selector in ("nav", ".controls", ".plotly-box"):
            assert not any(driver.execute_script(seen, selector)), selector
        pdf = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert pdf.startswith(b"%PDF") and pdf.count(b"/Subtype /Image") >= 3
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

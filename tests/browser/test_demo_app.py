"""The example app, as somebody sees it who tries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PHONE = {"viewport": {"width": 360, "height": 740}}
DARK = {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"}
LONG_NAME = "Ada " + "x" * 70


def sign_up(page: Page, address: str, name: str = "Ada Lovelace") -> str:
    """Sign up with a new address, and return it."""
    email = f"{uuid4().hex}@example.org"
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}")
    return email


def job(page: Page, name: str) -> Locator:
    return page.locator(f"[data-job={name}]")


def state(page: Page, name: str) -> Locator:
    return job(page, name).locator(".state")


def test_the_page_follows_the_jobs_without_being_loaded_again(
    page: Page, demo_address: str
) -> None:
    sign_up(page, demo_address)
    page.evaluate("window.isTheSame = true")
    expect(state(page, "send_tips")).to_have_text("scheduled")
    for name in ("send_welcome_email", "make_avatar", "sync_to_crm", "send_tips"):
        expect(state(page, name)).to_have_text("succeeded")
    expect(job(page, "sync_to_crm").locator(".error")).to_have_count(2)
    expect(page.locator("[data-unfinished]")).to_have_count(0)
    picture = job(page, "make_avatar").get_by_role("img", name="Your avatar")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert page.evaluate("window.isTheSame")


def test_a_mail_appears_in_an_open_inbox_and_can_be_read(
    page: Page, pages: Any, demo_address: str
) -> None:
    inbox = pages.open()
    inbox.goto(f"{demo_address}/inbox")
    email = sign_up(page, demo_address, "Grace Hopper")
    mail = inbox.locator(".mail", has_text=email).filter(has_text="Welcome")
    expect(mail).to_have_count(1)
    mail.click()
    expect(inbox.get_by_role("heading", level=1)).to_have_text("Welcome, Grace Hopper")
    expect(inbox.get_by_role("row", name="To")).to_contain_text(f"Grace Hopper <{email}>")
    expect(inbox.locator("pre").first).to_contain_text("Hello Grace Hopper,")
    inbox.get_by_text("As received").click()
    expect(inbox.locator("pre.source")).to_contain_text("Message-ID: <welcome.")


def test_a_scheduled_job_can_be_cancelled_by_the_keyboard(page: Page, demo_address: str) -> None:
    sign_up(page, demo_address)
    button = job(page, "send_tips").get_by_role("button", name="Cancel this job")
    button.focus()
    expect(state(page, "sync_to_crm")).to_have_text("succeeded")  # the page has changed meanwhile
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(state(page, "send_tips")).to_have_text("cancelled")


def test_what_is_wrong_with_the_form_stands_at_its_fields(page: Page, demo_address: str) -> None:
    page.goto(demo_address)
    page.get_by_label("E-mail").fill("nobody")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("E-mail")).to_have_value("nobody")
    expect(page.locator(".problem")).to_have_count(2)


@pytest.mark.parametrize("path", ["/users/99999999", "/inbox/7", "/nothing"])
def test_a_wrong_link_leads_to_a_page(page: Page, demo_address: str, path: str) -> None:
    answer = page.goto(demo_address + path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("link", name="sign-up")).to_be_visible()


@pytest.mark.parametrize("window", [PHONE, DARK], ids=["phone", "dark"])
def test_every_page_fits_its_window_and_can_be_read(
    pages: Any, demo_address: str, window: dict[str, Any]
) -> None:
    page = pages.open(**window)
    page.goto(f"{demo_address}/")
    check_looks(page)
    email = sign_up(page, demo_address, LONG_NAME)
    expect(state(page, "sync_to_crm")).to_have_text("succeeded")
    check_looks(page)
    page.goto(f"{demo_address}/inbox")
    check_looks(page)
    page.locator(".mail", has_text=email).first.click()
    page.get_by_text("As received").click()
    check_looks(page)


def check_looks(page: Page) -> None:
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window, f"{page.url} is wider than its window"
    narrow = page.evaluate(NARROW)
    assert not narrow, f"{page.url} squeezes {narrow}"
    faint = page.evaluate(FAINT)
    assert not faint, f"{page.url} is hard to read: {faint}"


# Texts of some length in a column of a few letters.
NARROW = """
() => [...document.querySelectorAll("h1, h2, p, td, th, label, strong, span, pre")]
  .filter((item) => item.textContent.trim().length > 20 && item.clientWidth
    && item.getBoundingClientRect().width < 100)
  .map((item) => item.textContent.trim())
"""

# Texts with a contrast below 4.5, as WCAG asks for.
FAINT = """
() => {
  const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (item) => {
    const color = getComputedStyle(item).backgroundColor;
    return /, 0\\)$/.test(color) && item.parentElement ? ground(item.parentElement) : color;
  };
  return [...document.querySelectorAll("h1, h2, p, td, th, label, a, button, span, pre, footer")]
    .filter((item) => item.textContent.trim())
    .filter((item) => {
      const pair = [light(getComputedStyle(item).color), light(ground(item))].sort();
      return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
    })
    .map((item) => `${item.tagName} ${item.textContent.trim().slice(0, 40)}`);
}
"""

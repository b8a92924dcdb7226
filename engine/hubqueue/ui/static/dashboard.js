// What every page does beside htmx: keeps live parts up to date, shows messages and dialogs, sends the CSRF token.
// Loaded deferred, after htmx and idiomorph. No page has a script of its own but for charts.
"use strict";

(() => {
  const LIVE_MS = 2000;
  const MOST_MESSAGES = 4; // older ones go; a broken connection must not fill the screen
  const body = document.body;
  const messages = document.getElementById("messages");
  const dialog = document.getElementById("dialog");
  const csrf = document.querySelector('meta[name="csrf-token"]').content;
  const language = document.documentElement.lang;

  // Messages

  function tell(text, kind = "ok") {
    const shown = [...messages.children].find((one) => one.firstChild?.textContent === text);
    if (shown) return shown;
    const message = document.createElement("p");
    message.className = `message ${kind}`;
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "icon";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", body.dataset.dismiss);
    close.textContent = "✕";
    message.append(words, close);
    messages.append(message);
    while (messages.children.length > MOST_MESSAGES) messages.firstElementChild.remove();
    return message;
  }

  body.addEventListener("hubqueue:message", (event) => {
    if (dialog.open) dialog.close();
    tell(event.detail.text, event.detail.kind);
  });

  // Requests: the token, and what went wrong

  body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf;
  });

  let lost = null;
  const isLive = ({ elt }) => elt.hasAttribute?.("data-live");

  let asked = 0; // requests under way but those of live parts
  body.addEventListener("htmx:beforeSend", (event) => {
    if (isLive(event.detail)) return;
    asked += 1;
    event.detail.xhr.addEventListener("loadend", () => void (asked -= 1));
  });

  function failed(event) {
    if (isLive(event.detail)) {
      lost ??= tell(body.dataset.lost, "bad");
      return;
    }
    const text = event.detail.xhr?.responseText?.trim();
    const plain = event.detail.xhr?.getResponseHeader("Content-Type")?.startsWith("text/plain");
    const where = dialog.open ? dialog.querySelector("[data-problem]") : null;
    if (where) where.textContent = (plain && text) || body.dataset.failed;
    else tell((plain && text) || body.dataset.failed, "bad");
  }

  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout", "htmx:swapError"]) {
    body.addEventListener(name, failed);
  }

  body.addEventListener("htmx:afterOnLoad", (event) => {
    if (lost && isLive(event.detail) && event.detail.successful !== false) {
      lost.remove();
      lost = null;
      tell(body.dataset.back, "ok");
    }
  });

  // Live parts: every two seconds, while somebody can see them and does not select text in them. A hub that takes longer
  // to answer is not asked again before: it would never be shown, nor would anybody be told of one that hangs.

  let paused = sessionStorage.getItem("hubqueue-paused") === "yes";
  const liveSwitch = document.querySelector("[data-live-switch]");

  function showPaused() {
    liveSwitch?.setAttribute("aria-pressed", String(paused));
  }

  function selects(part) {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  }

  setInterval(() => {
    if (paused || document.hidden || dialog.open) return;
    for (const part of document.querySelectorAll("[data-live]")) {
      if (!selects(part) && !part.classList.contains("htmx-request")) htmx.trigger(part, "live");
    }
  }, LIVE_MS);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || paused) return;
    for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "live");
  });

  // What a visitor has opened, checked or typed stays as it is when its part is brought up to date.
  // Only what one types into: Idiomorph leaves out all that stands in such an element, and a button would keep its word.
  // Nor does it change while an answer is awaited: where the button that asked is gone, nobody would be told.
  body.addEventListener("htmx:beforeSwap", (event) => {
    if (asked && isLive(event.detail.requestConfig)) event.detail.shouldSwap = false;
    Idiomorph.defaults.ignoreActiveValue = document.activeElement.matches("input, textarea, select");
  });
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => {
    if (name === "open" && (node.matches("details") || node.matches("dialog"))) return false;
    if (name === "checked" && node.matches("input[data-keep]")) return false;
    return true;
  };
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (_, fresh) => void (fresh.matches?.("time") && localTime(fresh));
  Idiomorph.defaults.callbacks.beforeNodeAdded = (fresh) => void localTimes(fresh);

  // Dialogs: whatever htmx puts into the dialog opens it

  body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && !dialog.open) {
      dialog.showModal();
      dialog.querySelector("[autofocus], input:not([type=hidden]), textarea, select, button")?.focus();
    }
  });

  body.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (close?.closest("dialog")) {
      event.preventDefault();
      dialog.close();
    }
    if (event.target === dialog) dialog.close(); // beside it
    event.target.closest("[data-dismiss]")?.closest(".message")?.remove();
    const copy = event.target.closest("[data-copy]");
    if (copy) copyFrom(document.getElementById(copy.dataset.copy));
    if (event.target.closest("[data-live-switch]")) {
      paused = !paused;
      sessionStorage.setItem("hubqueue-paused", paused ? "yes" : "no");
      showPaused();
    }
  });

  // A link that acts as a button is pressed with the space bar too.
  body.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches('a[role="button"]')) {
      event.preventDefault();
      event.target.click();
    }
  });

  dialog.addEventListener("close", () => dialog.replaceChildren());

  async function copyFrom(element) {
    try {
      await navigator.clipboard.writeText(element.value ?? element.textContent);
      tell(body.dataset.copied);
    } catch {
      getSelection().selectAllChildren(element); // no clipboard without TLS: the visitor copies what is selected
    }
  }

  // Times in the visitor's own time zone; done to what comes in before it is shown, so that nothing flickers

  const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

  function localTime(time) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return;
    if ("exact" in time.dataset) time.textContent = exact.format(at);
    else if ("clock" in time.dataset) time.textContent = (isToday(at) ? clock : day).format(at);
    time.title = exact.format(at);
  }

  function isToday(at) {
    return at.toDateString() === new Date().toDateString();
  }

  function localTimes(part) {
    if (part.nodeType !== Node.ELEMENT_NODE) return;
    if (part.matches("time[datetime]")) localTime(part);
    for (const time of part.querySelectorAll("time[datetime]")) localTime(time);
  }

  body.addEventListener("htmx:load", (event) => localTimes(event.detail.elt));
  showPaused();
  localTimes(body);
})();

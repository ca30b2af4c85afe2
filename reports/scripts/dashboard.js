// Live figures: what the server says of now goes into the elements that follow it (data-live); a new night
// brings a new <main>. Without this script the page is the same, as of the moment when it was made.
(() => {
  "use strict";
  const FEED = "/api/live";
  const FIRST_DELAY = 1000; // milliseconds; doubled with each failure
  const LONGEST_DELAY = 60000;
  const LOST = "Connection lost: the figures below are no longer live.";

  let feed = null;
  let timer = null;
  let failures = 0;
  let latest = null; // what the feed said last
  let isRenewing = false;
  let isOver = false; // the session: nothing comes any more
  let askedFor = ""; // the set of components for which the page was fetched

  const duration = (ms) =>
    ms < 999.5 ? `${Math.round(ms)}\u2009ms` : `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)}\u2009s`;

  const texts = (now) => {
    const found = new Map([["freshness", now.freshness]]);
    if (now.health) {
      found.set("health.overall", now.health.overall);
      for (const one of now.health.components) {
        const name = `health.${one.name}`;
        found.set(`${name}.status`, one.status);
        found.set(`${name}.latency`, one.latency_ms === null ? "no answer measured" : duration(one.latency_ms));
        if (one.checked_at) found.set(`${name}.checked`, one.checked_at.slice(0, 16).replace("T", " "));
      }
    }
    for (const one of now.headlines ?? []) found.set(`headline.${one.key}`, one.text);
    for (const [severity, count] of Object.entries(now.open_alerts ?? {})) {
      found.set(`alerts.${severity}`, String(count));
    }
    return found;
  };

  // What an element says when the server does not know it now; undefined: what it said stays.
  const unknown = (name, now) => {
    if (name.startsWith("alerts.") && !now.open_alerts) return "not known";
    if (!name.startsWith("health.")) return undefined;
    if (name.endsWith(".status")) return "unknown";
    return name.endsWith(".latency") ? "no answer measured" : undefined;
  };

  const show = (now) => {
    const found = texts(now);
    for (const element of document.querySelectorAll("[data-live]")) {
      if (element.dataset.live === "stale") {
        element.hidden = !now.is_stale;
        continue;
      }
      const name = element.dataset.live;
      const text = name === "today" && now.is_stale ? element.dataset.stale : (found.get(name) ?? unknown(name, now));
      if (typeof text !== "string" || element.textContent === text) continue;
      element.textContent = text;
      if ("word" in element.dataset) element.dataset.word = text;
    }
  };

  const say = (text) => {
    const place = document.getElementById("connection");
    if (place && place.textContent !== text) place.textContent = text;
  };

  // The components that the server knows of; nothing known of any is no such set.
  const toldComponents = (now) => JSON.stringify((now.health?.components ?? []).map((one) => one.name).sort());

  // Whether they are others than those on the page. Asked for once: a page that shows others all the same is left.
  const hasOthers = (now) => {
    const told = toldComponents(now);
    const shown = [...document.querySelectorAll("[data-live^='health.'][data-live$='.status']")];
    const names = JSON.stringify(shown.map((one) => one.dataset.live.slice("health.".length, -".status".length)).sort());
    return told !== "[]" && told !== names && told !== askedFor;
  };

  // The page's own address again, for its <main>; what the reader has opened, typed and reached stays.
  const renew = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-cache" });
    if (answer.redirected || !answer.ok) throw new Error(`the page answered ${answer.status}`);
    // without the style and the script, whose nonce this page does not know
    const text = (await answer.text()).replace(/<(style|script)\b[\s\S]*?<\/\1>/g, "");
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("main[data-live-page]");
    const old = document.querySelector("main");
    if (!fresh) throw new Error("the page has no figures");
    const details = old.querySelectorAll("details");
    fresh.querySelectorAll("details").forEach((one, index) => {
      one.open = Boolean(details[index]?.open);
    });
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const [typed, field] = [old.querySelector("#search"), fresh.querySelector("#search")];
    if (typed && field) field.value = typed.value;
    old.replaceWith(document.adoptNode(fresh));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.title = page.title;
  };

  const follow = async (now) => {
    latest = now;
    show(now);
    if (isRenewing) return; // the renewal below follows what came meanwhile
    isRenewing = true;
    try {
      let followed;
      do {
        followed = latest;
        const main = document.querySelector("main[data-night]");
        if (main && (main.dataset.night !== followed.night || hasOthers(followed))) {
          await renew();
          askedFor = toldComponents(followed);
          show(latest);
        }
      } while (latest !== followed);
      if (feed.readyState === EventSource.CLOSED) return; // lost meanwhile: that stays said
      failures = 0;
      say("");
    } catch {
      again(); // the feed tells of the new night once more
    } finally {
      isRenewing = false;
    }
  };

  const again = () => {
    if (isOver) return;
    feed?.close();
    clearTimeout(timer);
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures);
    failures += 1;
    say(LOST);
    // up to half of it by chance, so that many readers do not come back in one moment
    timer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
    if (failures > 1) stopWhenSignedOut();
  };

  // A feed that is refused does not say why; a page that leads to the form does.
  const stopWhenSignedOut = async () => {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store", redirect: "follow" });
      if (!answer.redirected || new URL(answer.url).pathname !== "/sign-in") return;
    } catch {
      return;
    }
    isOver = true;
    feed?.close();
    clearTimeout(timer);
    say("Your session has ended. ");
    const link = document.createElement("a");
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in again";
    document.getElementById("connection")?.append(link);
  };

  const connect = () => {
    clearTimeout(timer);
    feed?.close();
    if (isOver) return;
    feed = new EventSource(FEED);
    feed.addEventListener("update", (event) => follow(JSON.parse(event.data)));
    feed.addEventListener("error", again);
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector("main[data-live-page]")) return;
    connect();
    addEventListener("online", connect);
    addEventListener("pagehide", () => feed?.close());
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      isOver = false;
      connect();
    });
  });
})();

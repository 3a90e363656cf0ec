"use strict";
(() => {
  const data = JSON.parse(document.getElementById("facts").textContent);
  const text = (number) => data.strings[number];
  const texts = (numbers) => (numbers || []).map(text);
  const $ = (id) => document.getElementById(id);

  // Colour, letter and order of each result, verdict and status: never the colour alone.
  const WORDS = {
    "failed": ["bad", "F"], "interrupted": ["bad", "I"], "unreadable": ["bad", "R"], "blocked": ["block", "B"],
    "visit": ["plan", "V"], "maybe": ["warn", "?"], "due": ["warn", "D"],
    "visited": ["ok", "V"], "audited": ["ok", "✓"], "cleaned": ["ok", "C"], "complete": ["ok", "C"],
    "adopted": ["adopt", "A"], "visiting": ["plan", "▸"], "unchanged": ["calm", "U"],
    "verified": ["adopt", "✓"],
    "skipped": ["warn", "S"], "not reached": ["warn", "N"], "left in place": ["warn", "L"],
    "forgotten": ["warn", "O"], "never visited": ["none", "N"], "gone": ["none", "G"],
  };
  const ORDER = Object.keys(WORDS);
  const look = (word) => WORDS[word] || ["none", (word[0] || "·").toUpperCase()];

  const stations = data.stations.map((each, index) => {
    const word = text(each.w), [tone, letter] = look(word);
    return { ...each, index, word, tone, letter, name: text(each.n), key: text(each.id),
      title: each.t === undefined ? "" : text(each.t), above: each.u, below: [] };
  });
  for (const each of stations) for (const up of each.above) stations[up].below.push(each.index);
  const names = new Map();
  for (const each of stations) names.set(each.name, names.has(each.name) ? null : each.index);
  const keys = new Map(stations.map((each) => [each.key, each.index]));
  const anchor = (each) => "#" + encodeURIComponent(names.get(each.name) === each.index ? each.name : each.key);

  // Everything that is shown goes through here, as text and never as markup.
  function h(tag, facts, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(facts || {})) {
      if (name === "class") made.className = value;
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat(9).filter((child) => child !== null && child !== undefined));
    return made;
  }
  const fill = (place, children) => place.replaceChildren(...children.flat(9).filter((child) => child !== null && child !== undefined));
  function g(tag, facts, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in facts) made.setAttribute(name, facts[name]);
    made.append(...children);
    return made;
  }
  function elapsed(seconds) {
    if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  }
  const took = (seconds) => seconds < 0.05 ? "less than 0.1 s" : elapsed(seconds);
  const local = (date) => new Date(date).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  const shorter = (name, length) => { const all = [...name]; return all.length > length ? all.slice(0, length - 1).join("") + "…" : name; };
  // The text for a place in a drawing, cut where it would be wider than that.
  const pen = document.createElement("canvas").getContext("2d"), FAMILY = getComputedStyle(document.body).fontFamily;
  function fitting(name, room, font) {
    pen.font = `${font} ${FAMILY}`;
    const fits = (length) => pen.measureText(shorter(name, length)).width <= room;
    let [least, most] = [1, Math.min([...name].length, 80)];
    while (least < most) { const length = Math.ceil((least + most) / 2); if (fits(length)) least = length; else most = length - 1; }
    return shorter(name, least);
  }
  const badge = (each) => h("span", { class: `badge tone-${each.tone}`, "aria-hidden": "true" }, each.letter);

  // --- what is shown of all, and which station is selected
  const wanted = new Set();
  let shown = stations, isIn = null, selected = null, places = new Map();
  const isOut = (index) => isIn !== null && !isIn.has(index), hay = [];
  function haystack(each) {
    return hay[each.index] ??= [each.name, each.title, each.key, each.word, ...texts(each.r), ...(each.c === undefined ? [] : [text(each.c)])].join("\n").toLowerCase();
  }
  function filter() {
    const parts = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = stations.filter((each) => (!wanted.size || wanted.has(each.word)) && parts.every((part) => haystack(each).includes(part)));
    isIn = shown.length === stations.length ? null : new Set(shown.map((each) => each.index));
    places = new Map(shown.map((each, place) => [each.index, place]));
    $("found").textContent = isIn ? `${shown.length} of ${stations.length}` : `${stations.length}`;
    $("counts").classList.toggle("some", wanted.size > 0);
    list.scrollTop = 0;
    drawRows();
    drawFar();
    drawNear(true);
    drawTime();
  }

  // --- header
  function header() {
    const entries = [["command", `pytest --cc-${data.command}`], ["profile", data.profile], ["started", local(data.started)], ["took", elapsed(data.seconds)]];
    $("meta").append(...entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      h("div", {}, h("dt", {}, "exit code"), h("dd", { class: data.exit ? "poor" : "good" }, `${data.exit}`)));
    const rank = (word) => (ORDER.indexOf(word) + 100) % 100;
    for (const word of Object.keys(data.counts).sort((one, other) => rank(one) - rank(other))) {
      const [tone, letter] = look(word);
      const chip = h("button", { type: "button", class: `chip tone-${tone}`, "aria-pressed": "false", "data-word": word },
        badge({ tone, letter }), h("b", {}, `${data.counts[word]}`), word);
      chip.addEventListener("click", () => {
        if (!wanted.delete(word)) wanted.add(word);
        chip.setAttribute("aria-pressed", wanted.has(word));
        filter();
      });
      $("counts").append(chip);
    }
  }

  // --- the list: only the rows in view exist
  const ROW = 46, list = $("stations-list"), rows = $("rows");
  function under(each) {
    if (each.title) return each.title;
    if (each.c !== undefined) return text(each.c);
    return each.r ? text(each.r[0]) : "";
  }
  function row(each, place) {
    const made = h("div", { class: `row tone-${each.tone}`, role: "option", id: `row-${each.index}`, "data-index": each.index,
      "aria-selected": each.index === selected, "aria-posinset": place + 1, "aria-setsize": shown.length,
      "aria-label": `${each.name}, ${each.word}`, title: each.key },
      badge(each), h("div", { class: "names" }, h("div", { class: "name" }, each.name), under(each) ? h("div", { class: "under" }, under(each)) : null),
      h("span", { class: "when" }, each.s >= 0.05 ? elapsed(each.s) : ""));
    made.style.top = `${place * ROW}px`;
    return made;
  }
  function drawRows() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 8), last = Math.min(shown.length, first + Math.ceil((list.clientHeight || 800) / ROW) + 16);
    const made = [];
    for (let place = first; place < last; place++) made.push(row(shown[place], place));
    rows.style.height = `${shown.length * ROW}px`;
    rows.replaceChildren(...(shown.length ? made : [h("p", { class: "empty" }, stations.length ? "No station fits." : "No station took part.")]));
    if (selected !== null && $(`row-${selected}`)) list.setAttribute("aria-activedescendant", `row-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  }
  list.addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
  list.addEventListener("click", (event) => { const found = event.target.closest(".row"); if (found) select(+found.dataset.index); });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1), at = places.get(selected) ?? -1;
    const steps = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1 };
    if (event.key in steps && shown.length) { event.preventDefault(); select(shown[Math.min(shown.length - 1, Math.max(0, steps[event.key]))].index, { quiet: true }); }
    else if (event.key === "Enter" && selected !== null) { document.body.classList.add("open"); $("details").focus(); }
  });
  function intoView(index) {
    const top = (places.get(index) ?? 0) * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  }

  // --- the graph: from afar a path for each colour, close by only the stations in view
  const WIDE = 184, HIGH = 46, ACROSS = 210, FAR = 0.42, BUTTONS = 58, svg = $("route"), view = $("view"), nodes = new Map();
  let DOWN = 92;
  const TONES = ["none", "calm", "ok", "adopt", "plan", "warn", "block", "bad"];
  const at = (each) => [each.x * ACROSS, each.y * DOWN];
  function extent() {
    let wide = WIDE, high = HIGH;
    for (const each of stations) { const [x, y] = at(each); wide = Math.max(wide, x + WIDE); high = Math.max(high, y + HIGH); }
    return [wide, high];
  }
  function curve(from, to) {
    const [x1, y1] = at(stations[from]), [x2, y2] = at(stations[to]);
    const a = Math.round(x1 + WIDE / 2), b = Math.round(y1 + HIGH), c = Math.round(x2 + WIDE / 2), d = Math.round(y2), half = Math.max(14, Math.round((d - b) / 2));
    return `M${a} ${b}C${a} ${b + half} ${c} ${d - half} ${c} ${d}`;
  }
  const boxes = (some, grow) => some.map((each) => { const [x, y] = at(each).map(Math.round); return `M${x - grow} ${y - grow}h${WIDE + 2 * grow}v${HIGH + 2 * grow}h${-WIDE - 2 * grow}z`; }).join("");
  function drawEdges() {
    const lines = stations.flatMap((each) => each.above.map((up) => curve(up, each.index)));
    // A tip stands at the end of a path only, so that few edges are a path each.
    fill($("edges"), lines.length <= 600 ? lines.map((line) => g("path", { d: line, "marker-end": "url(#tip)" })) : [g("path", { d: lines.join("") })]);
  }
  function drawFar() {
    const made = [];
    for (const out of [true, false]) for (const tone of TONES) {
      const some = stations.filter((each) => each.tone === tone && isOut(each.index) === out);
      if (some.length) made.push(g("path", { class: `far-${tone === "bad" ? "bad " : ""}box tone-${tone}${out ? " out" : ""}`, d: boxes(some, 0) }));
    }
    fill($("far"), made);
  }
  function node(each) {
    const [x, y] = at(each), letter = g("text", { class: "letter", x: 19, y: 27.5 }), name = g("text", { x: 38, y: 20 }), small = g("text", { class: "small", x: 38, y: 36 }), hint = g("title", {});
    letter.textContent = each.letter;
    name.textContent = fitting(each.name, WIDE - 46, "550 13px");
    small.textContent = fitting(each.s >= 0.05 ? `${each.word} · ${elapsed(each.s)}` : each.word, WIDE - 46, "11px");
    hint.textContent = `${each.name}: ${each.word}`;
    return g("g", { class: `node tone-${each.tone}${isOut(each.index) ? " out" : ""}${each.index === selected ? " sel" : ""}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-index": each.index },
      hint, g("rect", { class: "box", width: WIDE, height: HIGH, rx: 7 }), g("rect", { class: "flag", x: 8, y: 12, width: 22, height: 22, rx: each.tone === "bad" ? 3 : 11 }), letter, name, small);
  }
  function drawNear(anyway = false, all = false) {
    if (anyway) { nodes.clear(); $("nodes").replaceChildren(); }
    if (scale < FAR && !all) { if (nodes.size) { nodes.clear(); $("nodes").replaceChildren(); } return; }
    const [x1, y1, x2, y2] = [-left / scale - WIDE, -top / scale - HIGH, (svg.clientWidth - left) / scale, (svg.clientHeight - top) / scale];
    for (const each of stations) {
      const [x, y] = at(each), isInView = all || (x > x1 && x < x2 && y > y1 && y < y2), made = nodes.get(each.index);
      if (isInView && !made) { const drawn = node(each); nodes.set(each.index, drawn); $("nodes").append(drawn); }
      else if (made && !isInView) { made.remove(); nodes.delete(each.index); }
    }
  }
  function stationAt(event) {
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left - left) / scale, y = (event.clientY - box.top - top) / scale, room = scale < FAR ? 4 / scale : 0;
    return stations.find((each) => { const [a, b] = at(each); return x > a - room && x < a + WIDE + room && y > b - room && y < b + HIGH + room; });
  }
  let [left, top, scale] = [0, 0, 1];
  function place() {
    view.setAttribute("transform", `translate(${left.toFixed(2)} ${top.toFixed(2)}) scale(${scale.toFixed(4)})`);
    svg.classList.toggle("from-far", scale < FAR);
    drawNear();
  }
  function fit() {
    const { clientWidth: width, clientHeight: height } = svg;
    if (!stations.length || !width) return;
    const [wide, high] = extent();
    // Nothing is below the buttons.
    scale = Math.min(1.15, (width - 40) / wide, (height - BUTTONS - 20) / high);
    left = (width - wide * scale) / 2;
    top = Math.max(BUTTONS, (height - high * scale) / 2);
    place();
  }
  function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
    const next = Math.min(3, Math.max(0.02, scale * factor));
    left = x - (x - left) * next / scale;
    top = y - (y - top) * next / scale;
    scale = next;
    place();
  }
  function centre(index) {
    const [x, y] = at(stations[index]), { clientWidth: width, clientHeight: height } = svg;
    const isFar = scale < FAR;
    if (isFar) scale = 0.85;
    const sx = x * scale + left, sy = y * scale + top;
    if (sx < 10 || sy < BUTTONS || sx + WIDE * scale > width - 10 || sy + HIGH * scale > height - 10 || isFar) {
      left = width / 2 - (x + WIDE / 2) * scale;
      top = height / 2 - (y + HIGH / 2) * scale;
    }
    place();
  }
  function reach(index, side) {
    const seen = new Set([index]), pairs = [], todo = [index];
    while (todo.length) {
      const here = todo.pop();
      for (const next of stations[here][side]) {
        pairs.push(side === "above" ? [next, here] : [here, next]);
        if (!seen.has(next)) { seen.add(next); todo.push(next); }
      }
    }
    return pairs;
  }
  function near(index) {
    const path = (pairs) => pairs.map(([from, to]) => curve(from, to)).join("");
    const here = index === null ? "" : boxes([stations[index]], 5);
    $("chosen").setAttribute("d", here);
    $("up-edges").setAttribute("d", index === null ? "" : path(reach(index, "above")));
    $("down-edges").setAttribute("d", index === null ? "" : path(reach(index, "below")));
    svg.classList.toggle("chosen", index !== null);
  }
  const pointers = new Map();
  let moved = false;
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = svg.getBoundingClientRect(), step = event.deltaMode ? event.deltaY * 20 : event.deltaY;
    zoom(Math.exp(-Math.max(-120, Math.min(120, step)) / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, [event.clientX, event.clientY]); moved = false; });
  addEventListener("pointermove", (event) => {
    const old = pointers.get(event.pointerId);
    if (!old) return;
    const now = [event.clientX, event.clientY];
    if (pointers.size === 1) {
      if (!moved && Math.hypot(now[0] - old[0], now[1] - old[1]) < 4) return;
      left += now[0] - old[0]; top += now[1] - old[1];
      svg.classList.add("dragged");
      place();
    } else {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at), box = svg.getBoundingClientRect();
      const before = Math.hypot(old[0] - other[0], old[1] - other[1]), after = Math.hypot(now[0] - other[0], now[1] - other[1]);
      if (before > 0) zoom(after / before, (now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top);
    }
    moved = true;
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => { pointers.delete(event.pointerId); svg.classList.remove("dragged"); });
  svg.addEventListener("click", (event) => { const found = moved ? undefined : stationAt(event); if (found) select(found.index); });
  svg.addEventListener("keydown", (event) => {
    const here = selected === null ? null : stations[selected];
    const beside = (step) => stations.filter((each) => each.y === here.y && (each.x - here.x) * step > 0).sort((a, b) => (a.x - b.x) * step)[0]?.index;
    const go = { ArrowUp: () => here.above[0], ArrowDown: () => here.below[0], ArrowLeft: () => beside(-1), ArrowRight: () => beside(1) }[event.key];
    if (go && stations.length) {
      event.preventDefault();
      const next = here ? go() : (shown[0] || stations[0]).index;
      if (next !== undefined) select(next, { quiet: true });
    }
    else if (event.key === "Enter" && here) { document.body.classList.add("open"); $("details").focus(); }
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") fit();
  });
  $("zoom-in").addEventListener("click", () => zoom(1.3));
  $("zoom-out").addEventListener("click", () => zoom(1 / 1.3));
  $("fit").addEventListener("click", fit);

  // --- the timeline
  const marks = { time: () => {} }, timed = stations.filter((each) => each.from !== undefined);
  function drawTime() {
    document.body.classList.toggle("no-time", !timed.length);
    if (!timed.length) return;
    const lanes = [...new Set(timed.map((each) => text(each.k)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const width = $("lanes").clientWidth || 600, GUTTER = 48, LANE = 24, AXIS = 18, right = width - 8;
    let first = Infinity, last = 0;
    for (const each of timed) { first = Math.min(first, each.from); last = Math.max(last, each.to); }
    const span = Math.max(last - first, 0.05), x = (time) => GUTTER + (time - first) / span * (right - GUTTER);
    const drawn = g("svg", { height: AXIS + lanes.length * LANE, role: "group", "aria-label": `Timeline of ${lanes.length} workers` });
    const raw = span / Math.max(2, Math.floor(width / 110)), power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
    for (let tick = 0; tick <= span + step / 1e6; tick += step) {
      const label = g("text", { x: x(first + tick) + 3, y: 11 });
      label.textContent = step < 1 ? `${tick.toFixed(Math.min(3, Math.ceil(-Math.log10(step))))} s` : tick < 120 ? `${Math.round(tick)} s` : elapsed(tick);
      if (x(first + tick) < right - 30) drawn.append(label);
      drawn.append(g("line", { class: "tick", x1: x(first + tick), x2: x(first + tick), y1: 0, y2: AXIS + lanes.length * LANE }));
    }
    lanes.forEach((lane, number) => { const label = g("text", { x: 0, y: AXIS + number * LANE + 15 }); label.textContent = shorter(lane, 7); drawn.append(label); });
    // A path for each colour: a bar for each of thousands would take long to draw.
    const row = (each) => AXIS + lanes.indexOf(text(each.k)) * LANE, long = (each) => Math.max(1.5, x(each.to) - x(each.from));
    const bar = (each) => `M${x(each.from).toFixed(1)} ${row(each) + 2}h${long(each).toFixed(1)}v${LANE - 5}h${(-long(each)).toFixed(1)}z`;
    for (const out of [true, false]) for (const tone of TONES) {
      const some = timed.filter((each) => each.tone === tone && isOut(each.index) === out);
      if (some.length) drawn.append(g("path", { class: `bar tone-${tone}${out ? " out" : ""}`, d: some.map(bar).join("") }));
    }
    for (const each of timed) {
      const room = long(each) - 8;
      if (room < 24) continue;
      const label = g("text", { class: "on-bar", x: x(each.from) + 5, y: row(each) + 15 });
      label.textContent = fitting(each.name, room, "11px");
      drawn.append(label);
    }
    const mark = g("path", { class: "mark" }), hint = g("title", {});
    drawn.append(mark, hint);
    marks.time = () => mark.setAttribute("d", selected !== null && stations[selected].from !== undefined ? bar(stations[selected]) : "");
    marks.time();
    const found = (event) => {
      const box = drawn.getBoundingClientRect(), px = event.clientX - box.left, lane = Math.floor((event.clientY - box.top - AXIS) / LANE);
      return timed.filter((each) => text(each.k) === lanes[lane] && px >= x(each.from) - 2 && px <= x(each.from) + long(each) + 2)
        .sort((one, other) => Math.abs(x(one.from) + long(one) / 2 - px) - Math.abs(x(other.from) + long(other) / 2 - px))[0];
    };
    drawn.addEventListener("click", (event) => { const each = found(event); if (each) select(each.index); });
    drawn.addEventListener("pointermove", (event) => { const each = found(event); hint.textContent = each ? `${each.name}: ${each.word}, ${elapsed(each.to - each.from)}` : ""; });
    $("lanes").replaceChildren(drawn);
  }

  // --- details
  const part = (title, ...children) => children.flat(9).filter(Boolean).length ? [h("h3", {}, title), ...children] : [];
  const items = (lines) => lines.length ? h("ul", {}, lines.map((each) => h("li", {}, each))) : null;
  const block = (content) => h("pre", { tabindex: "0" }, content);
  const link = (each) => h("a", { href: anchor(each) }, badge(each), each.name);
  const table = (heads, lines) => h("table", {}, h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)))), h("tbody", {}, lines));
  function links(numbers) {
    if (!numbers.length) return null;
    const first = h("div", { class: "links" }, numbers.slice(0, 40).map((each) => link(stations[each])));
    if (numbers.length > 40) first.append(h("span", { class: "muted" }, `and ${numbers.length - 40} more`));
    return first;
  }
  function inputs(each) {
    const known = (each.i || []).map(([kind, name, state, old, now]) => ({ kind: text(kind), name: text(name),
      state: state == null ? "" : text(state), old: old == null ? null : text(old), now: now == null ? null : text(now) }));
    const line = (input) => h("tr", {}, h("td", { class: "nowrap muted" }, input.kind),
      h("td", {}, h("div", {}, input.name), input.old !== null ? h("div", {}, h("code", {}, h("del", {}, input.old))) : null,
        input.now !== null ? h("div", {}, h("code", {}, input.state === "same" || !input.state ? input.now : h("ins", {}, input.now))) : null),
      h("td", { class: "nowrap" }, input.state));
    const heads = ["kind", "name and value", ""], changed = known.filter((input) => input.state && input.state !== "same"), rest = known.filter((input) => !changed.includes(input));
    if (!known.length) return [];
    if (!changed.length && rest.length <= 8) return [table(heads, rest.map(line))];
    const more = rest.length ? h("details", {}, h("summary", {}, `${rest.length} ${changed.length ? "unchanged" : "inputs"}`), table(heads, rest.map(line))) : null;
    return [changed.length ? table(heads, changed.map(line)) : null, more].filter(Boolean);
  }
  function attempts(each) {
    if (!each.a) return null;
    return table(["when", "took", "how it ended"], each.a.map(([began, status, seconds, reasons, error]) => h("tr", {},
      h("td", { class: "nowrap" }, local(text(began))), h("td", { class: "nowrap" }, seconds === null ? "" : elapsed(seconds)),
      h("td", {}, h("div", {}, text(status)), texts(reasons).length ? h("div", { class: "muted" }, texts(reasons).join("; ")) : null,
        text(error) ? h("div", {}, text(error)) : null))));
  }
  const pairs = (found, heads = ["name", "value"]) => found ? table(heads, found.map(([name, value]) => h("tr", {}, h("td", {}, text(name)), h("td", {}, h("code", {}, text(value)))))) : null;
  const findings = (each) => (each.f || []).map(texts).map(([kind, done, expected, seen]) => h("div", { class: "finding" }, h("strong", {}, kind),
    h("dl", {}, Object.entries({ done, expected, seen }).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))));
  const closer = () => h("button", { type: "button", class: "quiet close", onclick: shut }, "Close");
  function facts(each) {
    const found = [];
    if (each.from !== undefined) found.push(`began ${elapsed(each.from)} into the session and took ${took(each.to - each.from)}, in ${text(each.k)}`.replace(/, in main$/, ""));
    if (each.s >= 0.05) found.push(`its ${each.from === undefined ? "last " : ""}visit took ${elapsed(each.s)}`);
    if (each.sp) found.push(`${elapsed(each.sp)} spared`);
    if (each.v) found.push(`visited ${local(each.v)}`);
    return found;
  }
  function details(each) {
    const cause = each.c === undefined ? null : h("p", { class: `cause${each.tone === "bad" ? "" : " mild"}` }, text(each.c));
    const by = each.b ? h("p", { class: "cause by" }, `by ${texts(each.b).join(", ")}`) : null;
    return [
      h("div", { class: "headline" }, h("h2", {}, each.title || each.name), h("a", { class: "permalink", href: anchor(each), title: "A link to this station" }, "link"), closer()),
      h("p", { class: "id" }, each.key),
      h("span", { class: `result tone-${each.tone}` }, badge(each), each.word), cause, by,
      ...part("Findings", findings(each)),
      ...part("Why", items(texts(each.r))),
      ...(each.tb === undefined ? [] : part("Traceback", block(text(each.tb)))),
      ...part("Time", items(facts(each))),
      ...part("Checks", pairs(each.ch, ["check", "answer"])),
      ...part("Inputs", ...inputs(each)),
      ...part("Upstream", links(each.above)), ...part("Downstream", links(each.below)),
      ...(each.o === undefined ? [] : part("Outcome", block(text(each.o)))),
      ...part("Resources", pairs(each.re)),
      ...part("Last attempts", attempts(each)),
      ...(each.out === undefined ? [] : part("Output", block(text(each.out)))),
    ];
  }
  function overview() {
    const failed = stations.filter((each) => each.tone === "bad");
    const blocks = (each) => new Set(reach(each.index, "below").map(([, index]) => index).filter((index) => stations[index].word === "blocked")).size;
    const slow = stations.filter((each) => each.s >= 0.05).sort((one, other) => other.s - one.s).slice(0, 8);
    const stop = (each, count = blocks(each)) => h("div", { class: "stop" }, h("div", { class: "links" }, link(each)), h("p", {}, each.c === undefined ? texts(each.r)[0] || "" : text(each.c)),
      count ? h("p", {}, `blocks ${count}`) : null);
    const past = data.history.map(([started, command, counts, seconds, exit]) => h("tr", {}, h("td", { class: "nowrap" }, local(started)),
      h("td", {}, h("div", {}, `${command} in ${elapsed(seconds)}${exit ? `, exit code ${exit}` : ""}`),
        h("div", { class: "muted" }, Object.entries(counts).map(([word, count]) => `${count} ${word}`).join(", ")))));
    return [h("div", { class: "headline" }, h("h2", {}, "Overview"), closer()),
      ...part("Failed", failed.slice(0, 30).map((each) => stop(each)), failed.length > 30 ? h("p", { class: "muted" }, `and ${failed.length - 30} more`) : null),
      ...part("Longest visits", slow.length ? table(["station", "took"], slow.map((each) => h("tr", {}, h("td", {}, h("a", { href: anchor(each) }, each.name)), h("td", { class: "nowrap" }, elapsed(each.s))))) : null),
      ...part("Earlier runs", past.length ? table(["when", "what came of it"], past) : null),
      ...part("Keys", table(["key", "does"], [["/", "search"], ["↑ ↓", "previous, next station; in the route: upstream, downstream"], ["Enter", "read the details"], ["+ − 0", "zoom, show all, in the route"], ["Esc", "back to the overview"]]
        .map(([key, does]) => h("tr", {}, h("td", { class: "nowrap" }, key), h("td", {}, does)))))];
  }

  // --- selecting, and links
  function show(index, quiet) {
    nodes.get(selected)?.classList.remove("sel");
    selected = index;
    near(index);
    marks.time();
    if (index === null) { fill($("details"), overview()); document.body.classList.remove("open"); drawRows(); return; }
    const each = stations[index];
    nodes.get(index)?.classList.add("sel");
    fill($("details"), details(each));
    $("details").scrollTop = 0;
    if (!quiet) document.body.classList.add("open");
    intoView(index);
    drawRows();
    centre(index);
    $("told").textContent = `${each.name}: ${each.word}`;
  }
  function select(index, { quiet = false } = {}) {
    const to = index === null ? "#" : anchor(stations[index]);
    // A step of the keyboard is no step to come back to.
    if (quiet) history.replaceState(null, "", to); else if (location.hash !== to) history.pushState(null, "", to);
    show(index, quiet);
  }
  $("overview").addEventListener("click", () => { select(null); document.body.classList.add("open"); $("details").focus(); });
  function shut() { select(null); list.focus(); }
  function follow() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* a % of its own */ }
    const index = keys.get(name) ?? names.get(name) ?? null;
    if (index !== null && isIn && !isIn.has(index)) { // a link leads there whatever is filtered
      wanted.clear();
      $("search").value = "";
      for (const chip of $("counts").children) chip.setAttribute("aria-pressed", "false");
      filter();
    }
    show(index, false);
  }
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  addEventListener("keydown", (event) => {
    const isTyping = event.target === $("search");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) { event.preventDefault(); $("search").focus(); $("search").select(); }
    else if (event.key === "Escape") {
      if (isTyping && $("search").value) { $("search").value = ""; filter(); event.preventDefault(); }
      else if (selected !== null || document.body.classList.contains("open")) shut();
    } else if (isTyping && (event.key === "ArrowDown" || event.key === "Enter") && shown.length) { event.preventDefault(); list.focus(); select(shown[0].index, { quiet: true }); }
  });
  let later = 0;
  $("search").addEventListener("input", () => { clearTimeout(later); later = setTimeout(filter, stations.length > 500 ? 80 : 0); });

  // --- colours
  const system = matchMedia("(prefers-color-scheme: dark)"), CHOICES = { auto: "as the system has them", light: "light", dark: "dark" };
  let choice = "auto";
  try { choice = localStorage.getItem("choochoo-colours") || "auto"; } catch { /* no storage for this page */ }
  if (!(choice in CHOICES)) choice = "auto";
  function colours() {
    document.documentElement.dataset.theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    $("theme").textContent = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" }[choice];
    $("theme").setAttribute("aria-label", `Colours: ${CHOICES[choice]}`);
  }
  $("theme").addEventListener("click", () => {
    const all = Object.keys(CHOICES);
    choice = all[(all.indexOf(choice) + 1) % all.length];
    try { localStorage.setItem("choochoo-colours", choice); } catch { /* it is forgotten with the page */ }
    colours();
  });
  system.addEventListener("change", colours);

  // --- paper
  addEventListener("beforeprint", () => {
    document.body.classList.toggle("many", stations.length > 250);
    const line = (each) => h("tr", {}, h("td", {}, badge(each)), h("td", {}, each.name), h("td", {}, each.word), h("td", {}, each.s >= 0.05 ? elapsed(each.s) : ""),
      h("td", {}, [each.title, ...texts(each.r), each.c === undefined ? "" : text(each.c), ...(each.b ? [`blocked by ${texts(each.b).join(", ")}`] : [])].filter(Boolean).join(" · ")));
    $("print").replaceChildren(table(["", "station", "result", "took", "title, reasons, error"], shown.map(line)));
    const [wide, high] = extent();
    svg.setAttribute("viewBox", `-10 -10 ${wide + 20} ${high + 20}`);
    view.removeAttribute("transform");
    svg.classList.remove("from-far");
    if (stations.length <= 250) drawNear(true, true);
  });
  addEventListener("afterprint", () => { svg.removeAttribute("viewBox"); $("print").replaceChildren(); drawNear(true); place(); });

  colours();
  header();
  // A wide route is stretched to the shape of its room: its edges have more of it.
  const [WIDTH, HEIGHT] = extent();
  if (svg.clientWidth && HEIGHT > HIGH) DOWN = Math.min(280, Math.max(92, DOWN * (WIDTH * svg.clientHeight / svg.clientWidth) / HEIGHT));
  drawEdges();
  fit();
  filter();
  follow();
  let size = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(size);
    size = requestAnimationFrame(() => { drawTime(); drawRows(); if (selected === null) fit(); else centre(selected); });
  }).observe(svg);
  document.documentElement.dataset.ready = "yes";
})();

// Small lies about the page, each aimed at what a locator matches now, each with its way back.

const ways = [];

const undo = () => {
  const back = ways.pop();
  if (back) back();
  return Boolean(back);
};

const keepAttribute = (el, name) => {
  const old = el.getAttribute(name);
  return () => (old === null ? el.removeAttribute(name) : el.setAttribute(name, old));
};

const each = (els, change) => {
  const backs = els.map(change).filter(Boolean);
  return backs.length ? () => backs.reverse().forEach((back) => back()) : null;
};

const styled = (el, properties) => {
  const back = keepAttribute(el, "style");
  for (const [name, value] of Object.entries(properties)) el.style.setProperty(name, value, "important");
  return back;
};

const matched = (loc) => (loc ? makeSearch().find(loc) : []);
const seenOf = (els) => withEverythingHittable(() => els.filter((el) => !whyNot(el)));

const shownParts = (el) => (whyNotOwn(el) ? [el, ...labelsOf(el)] : [el]);

const reveal = (el) => {
  const backs = [];
  for (let up = el; up && up !== document.documentElement; up = parentOf(up)) {
    if (["dialog", "details"].includes(up.localName) && !up.open) {
      up.open = true;
      backs.push(() => (up.open = false));
    }
    const style = getComputedStyle(up);
    const wrong = {};
    if (style.display === "none") wrong.display = "block";
    if (style.visibility !== "visible") wrong.visibility = "visible";
    if (Number(style.opacity) < 0.9) wrong.opacity = "1";
    if (up.getBoundingClientRect().height < 2 || /inset|circle/.test(style.clipPath) || style.clip !== "auto") {
      Object.assign(wrong, { "clip-path": "none", clip: "auto", "max-height": "none", overflow: "visible",
        "min-height": "1em", "min-width": "1em" });
    }
    if (Object.keys(wrong).length) backs.push(styled(up, wrong));
  }
  if (/^(covered|outside|clipped)/.test(whyNot(el))) {
    backs.push(styled(el, { position: "fixed", top: "40px", left: "40px", "z-index": "2147483647", transform: "none" }));
  }
  const back = () => backs.reverse().forEach((each) => each());
  if (withEverythingHittable(() => whyNot(el)) === "") return back;
  back();
  return null;
};

const swapText = (el, text) => {
  if (el.localName === "input" && ["submit", "button", "reset"].includes(el.type)) return setValue(el, text);
  const walker = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
  const nodes = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) if (node.data.trim()) nodes.push(node);
  if (!nodes.length) return null;
  const old = nodes.map((node) => node.data);
  nodes.forEach((node, i) => (node.data = i ? "" : text));
  return () => nodes.forEach((node, i) => (node.data = old[i]));
};

const setValue = (el, text) => {
  const field = controlOf(el, `${EDITABLE}, select, input`);
  if (!field) return null;
  if (field.localName === "select") {
    const old = field.selectedIndex;
    if (field.options.length < 2) return null;
    field.selectedIndex = old === 0 ? 1 : 0;
    return () => (field.selectedIndex = old);
  }
  if (!("value" in field)) return swapText(field, text);
  const old = field.value;
  setNative(field, text);
  if (field.value === old) setNative(field, field.type === "number" || field.type === "range" ? String(Number(old) + 1) : "");
  return field.value === old ? null : () => setNative(field, old);
};

const toggleChecked = (el) => {
  const control = controlOf(el, CHECKABLE);
  if (!control) return null;
  if (control.localName === "input") {
    const old = control.checked;
    control.checked = !old;
    return () => (control.checked = old);
  }
  const name = control.hasAttribute("aria-checked") ? "aria-checked" : "aria-pressed";
  const back = keepAttribute(control, name);
  control.setAttribute(name, control.getAttribute(name) === "true" ? "false" : "true");
  return back;
};

const toggleEnabled = (el) => {
  const owner = "disabled" in el ? el : el.closest("button, input, select, textarea") || el;
  if (!("disabled" in owner)) {
    const back = keepAttribute(owner, "aria-disabled");
    owner.setAttribute("aria-disabled", isEnabled(owner) ? "true" : "false");
    return back;
  }
  const backs = isEnabled(owner) ? [] : [keepAttribute(owner, "aria-disabled")];
  if (!isEnabled(owner)) owner.removeAttribute("aria-disabled");
  const old = owner.disabled;
  owner.disabled = isEnabled(owner);
  return () => {
    owner.disabled = old;
    backs.forEach((back) => back());
  };
};

const placed = (el) => {
  const parent = el.parentNode, next = el.nextSibling;
  return () => parent.insertBefore(el, next?.parentNode === parent ? next : null);
};

const removeOne = (els) => {
  const el = els.at(-1);
  if (!el?.parentNode) return null;
  const back = placed(el);
  el.remove();
  return back;
};

const addOne = (els) => {
  const el = els.at(-1);
  if (!el) return null;
  const copy = el.cloneNode(true);
  el.after(copy);
  return () => copy.remove();
};

const reverseOrder = (els) => {
  if (els.length < 2) return null;
  const meet = els.reduce((a, b) => commonAncestor(a, b));
  const items = els.map((el) => {
    let item = el;
    while (item && parentOf(item) !== meet) item = parentOf(item);
    return item;
  });
  if (items.includes(null) || new Set(items).size < items.length) return null;
  const marks = items.map((item) => {
    const mark = document.createComment("");
    item.before(mark);
    return mark;
  });
  const arrange = (list) => marks.forEach((mark, i) => mark.after(list[i]));
  arrange([...items].reverse());
  return () => {
    arrange(items);
    marks.forEach((mark) => mark.remove());
  };
};

const setAttribute = (el, text) => {
  const [name, ...value] = text.split("=");
  const back = keepAttribute(el, name.trim());
  el.setAttribute(name.trim(), value.join("="));
  return back;
};

const setStyle = (el, text) => {
  const [name, value] = text.split(/[:=](.*)/s);
  return styled(el, { [name.trim()]: (value || "").trim() });
};

const makeWide = () => {
  const bar = document.createElement("div");
  bar.style.cssText = "width: 6000px !important; min-width: 6000px !important; height: 1px; flex: none";
  document.body.append(bar);
  const backs = [document.documentElement, document.body].map((el) => styled(el, { overflow: "visible" }));
  return () => {
    bar.remove();
    backs.reverse().forEach((back) => back());
  };
};

const setUrl = (url) => {
  const old = location.href, state = history.state;
  history.replaceState(state, "", url);
  return () => history.replaceState(state, "", old);
};

// A visible copy of an element and enough about its place to put it back later, in another document too.
const keepGhost = (loc) => {
  const el = seenOf(matched(loc))[0];
  if (!el) return null;
  const copy = el.cloneNode(true);
  const box = boxOf(el);
  const fields = (root) => [root, ...root.querySelectorAll("input, textarea")].filter((each) => "value" in each);
  fields(el).forEach((field, i) => fields(copy)[i]?.setAttribute("value", field.value));
  const line = [];
  for (let up = parentOf(el); up && up !== document.body && up !== document.documentElement; up = parentOf(up)) {
    line.push({ html: up.cloneNode(false).outerHTML, index: [...(up.parentNode?.children || [])].indexOf(up) });
  }
  return { html: copy.outerHTML, line, index: [...(el.parentNode?.children || [])].indexOf(el),
    box: [box.x, box.y, box.width, box.height] };
};

const fromHtml = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
};

const samePlace = (ghost) => {
  let place = document.body;
  for (const step of [...ghost.line].reverse()) {
    const child = place?.children[step.index];
    const kept = fromHtml(step.html);
    if (!child || !kept || child.localName !== kept.localName || child.id !== kept.id) return null;
    place = child;
  }
  return place;
};

const asGhost = (el, ghost) => {
  const [left, top] = ghost.box;
  return styled(el, { position: "fixed", left: `${Math.max(0, left)}px`, top: `${Math.min(Math.max(0, top), innerHeight - 40)}px`,
    "z-index": "2147483647", display: "block", opacity: "1", visibility: "visible" });
};

const putBack = (ghost) => {
  const el = fromHtml(ghost.html);
  if (!el) return null;
  const place = samePlace(ghost);
  if (place) {
    place.insertBefore(el, place.children[ghost.index] || null);
    if (withEverythingHittable(() => whyNot(el)) === "") return () => el.remove();
    el.remove();
  }
  let outer = el;
  for (const step of ghost.line) {
    const up = fromHtml(step.html);
    if (!up) continue;
    up.append(outer);
    outer = up;
  }
  document.body.append(outer);
  asGhost(outer, ghost);
  return () => outer.remove();
};

const title = (text) => {
  const old = document.title;
  document.title = text;
  return () => (document.title = old);
};

const blur = () => {
  const el = document.activeElement;
  if (!el || el === document.body) return null;
  el.blur();
  return () => el.focus();
};

// Laid over its middle, so that some of it is still to be seen.
const coverPart = (el) => {
  const box = boxOf(el);
  const veil = document.createElement("div");
  veil.style.cssText = `position: fixed !important; left: ${box.left + box.width * 0.4}px; top: ${box.top - 1}px; ` +
    `width: ${Math.max(4, box.width * 0.2)}px; height: ${box.height + 2}px; background: #777 !important; z-index: 2147483647`;
  document.body.append(veil);
  return () => veil.remove();
};

// Words nearly of the colour behind them: to be seen, hardly to be read.
const fade = (el) => each([...textHolders(el), ...(el.matches(FIELDS) ? [el] : [])], (holder) => {
  const behind = coloursBehind(holder)?.[0] || [160, 160, 160];
  const ink = parseColour(getComputedStyle(holder).color).rgb;
  const colour = `rgb(${behind.map((v, i) => Math.round(v * 0.85 + ink[i] * 0.15)).join(", ")})`;
  return styled(holder, { color: colour, "-webkit-text-fill-color": colour, "text-shadow": "none" });
});

// To the other side of another thing; without one, away from where it is.
const moveAcross = (el, other) => {
  const here = boxOf(el);
  let x = here.width + 40, y = here.height * 3 + 40;
  if (other) {
    const there = boxOf(other);
    x = here.left >= there.right - 1 ? there.left - here.right - 4 : there.right - here.left + 4;
    y = here.top >= there.bottom - 1 ? there.top - here.bottom - 4 : there.bottom - here.top + 4;
  }
  if (getComputedStyle(el).display !== "inline") return styled(el, { translate: `${x}px ${y}px`, "z-index": "2147483647" });
  return styled(el, { position: "relative", left: `${x}px`, top: `${y}px` });
};

// The looks of a sibling in the place of its own.
const calm = (el) => {
  const among = itemOf(el);
  if (!among) return null;
  const { item, like } = among;
  const marks = facesOf(el, item).map((face) => {
    const twin = face === item ? like[0] : counterpart(face, item, like[0]);
    if (!twin) return null;
    const style = getComputedStyle(twin);
    return [face, Object.fromEntries(LOUD.map((name) => [name, style.getPropertyValue(name)]))];
  }).filter(Boolean);
  const backs = marks.map(([face, looks]) => styled(face, looks));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(marks.map(([face]) => `${placeOf(face)}::before, ${placeOf(face)}::after { content: none !important }`)
    .join("\n"));
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return () => {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets].filter((each) => each !== sheet);
    backs.reverse().forEach((back) => back());
  };
};

const toggleSelected = (el) => {
  const inner = el.querySelectorAll(tellsChoice);
  const holder = el.closest(tellsChoice) || (inner.length === 1 ? inner[0] : el);
  const old = selectedOf(el);
  if (holder.localName === "option" || holder.localName === "input") {
    const key = holder.localName === "option" ? "selected" : "checked";
    const select = holder.closest("select"), index = select?.selectedIndex;
    if (select && old && !select.multiple) select.selectedIndex = [...select.options].findIndex((each) => each !== holder);
    else holder[key] = !old;
    return () => (select && !select.multiple ? (select.selectedIndex = index) : (holder[key] = old));
  }
  const backs = (old ? CHOSEN.filter((name) => holder.hasAttribute(name)) : ["aria-selected"])
    .map((name) => [name, keepAttribute(holder, name)]);
  backs.forEach(([name]) => holder.setAttribute(name, old ? "false" : "true"));
  return () => backs.forEach(([, back]) => back());
};

const addUnnamed = () => {
  const button = document.createElement("button");
  button.style.cssText = "position: fixed !important; left: 8px; top: 8px; width: 24px; height: 24px; z-index: 2147483647";
  document.body.append(button);
  return () => button.remove();
};

const DISTURBANCES = {
  cover: (els) => each(seenOf(els).slice(0, 1), coverPart),
  fade: (els) => each(seenOf(els), fade),
  move_across: (els, text, other) => each(seenOf(els).slice(0, 1), (el) => moveAcross(el, seenOf(other)[0])),
  calm: (els) => each(seenOf(els), calm),
  toggle_selected: (els) => each(els, toggleSelected),
  add_unnamed: addUnnamed,
  hide: (els) => each(seenOf(els).flatMap(shownParts), (el) => styled(el, { display: "none" })),
  reveal: (els) => {
    const hidden = els.find((el) => withEverythingHittable(() => whyNot(el)));
    return hidden ? reveal(hidden) : null;
  },
  swap_text: (els, text) => each(els, (el) => swapText(el, text || "swapped")),
  set_value: (els, text) => each(els, (el) => setValue(el, text)),
  toggle_checked: (els) => each(els, toggleChecked),
  toggle_enabled: (els) => each(els, toggleEnabled),
  remove_one: (els) => removeOne(seenOf(els)),
  add_one: (els) => addOne(seenOf(els)),
  reverse_order: (els) => reverseOrder(seenOf(els)),
  set_attribute: (els, text) => each(els, (el) => setAttribute(el, text)),
  set_style: (els, text) => each(els, (el) => setStyle(el, text)),
  scroll_away: (els) => each(els.slice(0, 1), (el) => styled(el, { transform: "translateY(400vh)" })),
  set_title: (els, text) => title(text),
  set_url: (els, text) => setUrl(text),
  make_wide: makeWide,
  blur,
};

const disturb = (kind, loc, text, ghost, other) => {
  const back = kind === "ghost" ? putBack(ghost) : DISTURBANCES[kind](matched(loc), text, matched(other));
  if (back) ways.push(back);
  return Boolean(back);
};

// What is looked at only when an expectation asks: contrast, what covers, what stands out among siblings, what is chosen.

const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=color]), textarea";

// The least contrast of the words in an element, and where only pixels tell more.
const contrastIn = (el) => {
  const holders = textHolders(el).filter((holder) => !textLook(holder).cut);
  const fields = [el, ...el.querySelectorAll("*")].filter((each) => each.matches(FIELDS) && each.value && !whyNot(each));
  const found = { least: null, unsure: [] };
  for (const holder of [...holders, ...fields]) {
    const rect = textRects(holder)[0] || boxOf(holder);
    const style = getComputedStyle(holder);
    const colour = parseColour(style.webkitTextFillColor || style.color);
    const alpha = colour.alpha * opacityOf(holder);
    const point = inWindow(holder, rect) ? [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2] : null;
    const behind = coloursBehind(holder, point);
    if (!behind || (isClippedToText(style) && colour.alpha < 0.99)) {
      const region = regionOf(holder);
      if (region) found.unsure.push(ask(holder, region, "contrast", alpha >= 0.99 ? colour.rgb : null));
      continue;
    }
    const ratio = Math.min(...behind.map((rgb) => contrastOf(over({ rgb: colour.rgb, alpha }, rgb), rgb)));
    found.least = Math.min(found.least ?? ratio, ratio);
  }
  return found;
};

// What lies over some part of it when it is scrolled to; "" when all of it is free.
const coverOf = (el) => {
  const kept = [];
  for (let up = parentOf(el); up; up = parentOf(up)) kept.push([up, up.scrollLeft, up.scrollTop]);
  if (!isInViewport(el)) el.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  try {
    const part = inWindow(el, boxOf(el));
    if (!part) return "the edge of the window";
    const xs = [0.04, 0.27, 0.5, 0.73, 0.96], ys = [0.1, 0.5, 0.9];
    const points = xs.flatMap((x) => ys.map((y) => [part.left + (part.right - part.left) * x,
      part.top + (part.bottom - part.top) * y]));
    const cover = points.map((point) => coverAt(el, point, false).cover).find(Boolean);
    return cover ? describe(cover) : "";
  } finally {
    for (const [up, left, top] of kept) if (up.scrollLeft !== left || up.scrollTop !== top) up.scrollTo({ left, top, behavior: "instant" });
  }
};

// --- what stands out among its like ---

const LOUD = ["color", "background-color", "background-image", "font-weight", "font-style", "text-decoration-line",
  "border-top-color", "border-right-color", "border-bottom-color", "border-left-color", "border-top-width",
  "border-right-width", "border-bottom-width", "border-left-width", "outline-style", "outline-color", "box-shadow", "opacity"];

const PSEUDO = ["background-color", "width", "height", "content", "border-bottom-width", "border-left-width"];

const looksOf = (el) => {
  const style = getComputedStyle(el);
  const own = LOUD.filter((name) => !isIdle(name, style)).map((name) => [name, style.getPropertyValue(name)]);
  const added = ["::before", "::after"].filter((which) => !["none", "normal"].includes(getComputedStyle(el, which).content))
    .flatMap((which) => PSEUDO.map((name) => [`${which} ${name}`, getComputedStyle(el, which).getPropertyValue(name)]));
  return Object.fromEntries([...own, ...added]);
};

// The colour of a border or outline that is not drawn tells nothing.
const isIdle = (name, style) => {
  const side = /^border-(\w+)-color$/.exec(name);
  if (side) return parseFloat(style.getPropertyValue(`border-${side[1]}-width`)) === 0;
  return name === "outline-color" && style.outlineStyle === "none";
};

const isSeen = (el) => !whyNot(el);

// The item of a list that an element is or lies in: the smallest around it that has visible siblings of its kind.
const itemOf = (el) => {
  for (let up = el; up && up !== document.body; up = parentOf(up)) {
    const like = [...(up.parentNode?.children || [])].filter((each) => each !== up && each.localName === up.localName &&
      roleOf(each) === roleOf(up) && isSeen(each));
    if (like.length) return { item: up, like };
  }
  return null;
};

// The same place in another item: by the way down, then by kind.
const counterpart = (el, item, other) => {
  const way = [];
  for (let up = el; up !== item; up = parentOf(up)) way.unshift([...parentOf(up).children].indexOf(up));
  const same = way.reduce((at, index) => at?.children[index], other);
  return same?.localName === el.localName ? same : other.querySelector(el.localName);
};

const firstWords = (el) => textHolders(el)[0] || el;

// Each element of an item whose looks count: itself, what is looked for, and what holds its words.
const facesOf = (el, item) => [...new Set([item, el, firstWords(el)])];

const differences = (el, item, other) => {
  const found = new Set();
  for (const face of facesOf(el, item)) {
    const twin = face === item ? other : counterpart(face, item, other);
    if (!twin) continue;
    const here = looksOf(face), there = looksOf(twin);
    for (const name of new Set([...Object.keys(here), ...Object.keys(there)])) {
      if (here[name] !== there[name]) found.add(`${name} ${here[name] ?? "none"} instead of ${there[name] ?? "none"}`);
    }
  }
  return [...found];
};

// How much it draws the eye, to tell which of two that differ is the one that stands out.
const loudness = (el, item) => Math.max(...facesOf(el, item).map((face) => {
  const style = getComputedStyle(face);
  const behind = coloursBehind(face)?.[0] || [255, 255, 255];
  const border = ["Top", "Right", "Bottom", "Left"].some((side) => parseFloat(style[`border${side}Width`]) > 0 &&
    parseColour(style[`border${side}Color`]).alpha > 0.1);
  return Number(style.fontWeight) / 100 + (parseColour(style.backgroundColor).alpha > 0.1 ? 4 : 0) + (border ? 2 : 0) +
    (style.outlineStyle === "none" ? 0 : 2) + (style.boxShadow === "none" ? 0 : 1) +
    contrastOf(parseColour(style.color).rgb, behind) / 21 + (style.textDecorationLine.includes("underline") ? 2 : 0);
}));

// Null where it has no siblings; else how it differs from most of them: [] when it does not stand out.
const standing = (el) => {
  const among = itemOf(el);
  if (!among) return null;
  const { item, like } = among;
  const apart = like.map((other) => differences(el, item, other));
  const differing = apart.filter((found) => found.length);
  if (differing.length <= like.length / 2) return [];
  if (like.length === 1) {
    const twin = counterpart(el, item, like[0]) || like[0];
    if (loudness(el, item) <= loudness(twin, like[0])) return [];
  }
  return differing[0].slice(0, 4);
};

// --- what is chosen ---

const CHOSEN = ["aria-selected", "aria-current", "aria-checked", "aria-pressed"];
const tellsChoice = `option, input[type=radio], input[type=checkbox], ${CHOSEN.map((name) => `[${name}]`).join(", ")}`;

const selectedOf = (el) => {
  const inner = el.querySelectorAll(tellsChoice);
  const holder = el.closest(tellsChoice) || (inner.length === 1 ? inner[0] : el.closest("label")?.control);
  if (!holder?.matches(tellsChoice)) return null;
  if (holder.localName === "option") return holder.selected;
  if (holder.localName === "input") return holder.checked;
  return CHOSEN.some((name) => !["false", "mixed", null].includes(holder.getAttribute(name)));
};

// --- names of controls ---

const NAMED = "button, a[href], input:not([type=hidden]), select, textarea, summary, [role=button], [role=link], [role=tab], " +
  "[role=menuitem], [role=checkbox], [role=radio], [role=switch], [role=textbox], [role=searchbox], [role=combobox], " +
  "[role=slider], [role=spinbutton], [role=option]";

const unnamedControls = () => withEverythingHittable(() => everything()
  .filter((el) => el.matches(NAMED) && !nameOf(el) && !el.closest("[aria-hidden=true]") && isSeen(el)).slice(0, 20).map(outerTag));

// What one expectation asks beyond what is always told.
const facetsOf = (el, asked, search) => {
  const told = {};
  if (asked.raw) told.raw = el.innerText ?? el.textContent;
  if (asked.contrast) told.contrast = contrastIn(el);
  if (asked.covered) told.covered_by = coverOf(el);
  if (asked.standing) told.standing = standing(el);
  if (asked.part) told.parts = search.find(asked.part).filter((each) => contains(el, each) && isSeen(each)).length;
  return told;
};

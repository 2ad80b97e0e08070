// What a person sees: visible or why not, visible text, colours, where to point.

const describe = (el) => {
  const name = el.id ? `#${el.id}` : el.classList.length ? `.${[...el.classList].slice(0, 2).join(".")}` : "";
  return `<${el.localName}${name}>`;
};

const outerTag = (el) => el.cloneNode(false).outerHTML.replace(/<\/[^>]*>$/, "").slice(0, 200);

const boxOf = (el) => {
  if (getComputedStyle(el).display !== "contents") return el.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(el);
  return range.getBoundingClientRect();
};

const overlap = (a, b) => {
  const left = Math.max(a.left, b.left), top = Math.max(a.top, b.top);
  const right = Math.min(a.right, b.right), bottom = Math.min(a.bottom, b.bottom);
  return right > left && bottom > top ? { left, top, right, bottom } : null;
};

const viewport = () => ({ left: 0, top: 0, right: innerWidth, bottom: innerHeight });

// The part of the box that its ancestors' overflow leaves. `scrollable` true keeps what scrolling would bring back.
const unclipped = (el, box, scrollable) => {
  let part = { left: box.left, top: box.top, right: box.right, bottom: box.bottom };
  let position = getComputedStyle(el).position;
  for (let up = parentOf(el); part && up && up !== document.documentElement; up = parentOf(up)) {
    if (position === "fixed") break;
    const style = getComputedStyle(up);
    if (position === "absolute" && style.position === "static") continue;
    position = style.position;
    if (up === document.body && getComputedStyle(document.documentElement).overflow === "visible") continue;
    const rect = up.getBoundingClientRect();
    const clips = (overflow) => overflow === "hidden" || overflow === "clip" ||
      (!scrollable && (overflow === "auto" || overflow === "scroll"));
    const edge = { ...part };
    if (clips(style.overflowX)) Object.assign(edge, { left: rect.left, right: rect.right });
    if (clips(style.overflowY)) Object.assign(edge, { top: rect.top, bottom: rect.bottom });
    part = overlap(part, edge);
  }
  return part;
};

const parseColour = (text) => {
  const numbers = (/^rgba?\((.*)\)$/.exec(text) || ["", ""])[1].split(/[,\s/]+/).filter(Boolean).map(Number);
  return numbers.length < 3 ? null : { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
};

const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

// The plain colour behind an element; null when an image or a half transparent layer makes it unknown.
const colourBehind = (el) => {
  for (let up = el; up; up = parentOf(up)) {
    const style = getComputedStyle(up);
    if (style.backgroundImage !== "none") return null;
    const colour = parseColour(style.backgroundColor);
    if (!colour) return null;
    if (colour.alpha >= 0.99) return colour.rgb;
    if (colour.alpha > 0.01) return null;
  }
  return [255, 255, 255];
};

const isSameAsBehind = (el) => {
  const style = getComputedStyle(el);
  if (style.textShadow !== "none") return false;
  const colour = parseColour(style.webkitTextFillColor || style.color);
  if (!colour) return false;
  if (colour.alpha < 0.05) return true;
  const behind = colourBehind(el);
  if (!behind || colour.alpha < 0.99) return false;
  const [light, dark] = [luminance(colour.rgb), luminance(behind)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05) < 1.08;
};

const paints = (el) => {
  if (["img", "video", "canvas", "iframe", "input", "textarea", "select", "svg"].includes(el.localName)) return true;
  const style = getComputedStyle(el);
  const colour = parseColour(style.backgroundColor);
  return style.backgroundImage !== "none" || Boolean(colour && colour.alpha >= 0.9);
};

const opacityOf = (el) => {
  let opacity = 1;
  for (let up = el; up; up = parentOf(up)) opacity *= Number(getComputedStyle(up).opacity);
  return opacity;
};

const commonAncestor = (a, b) => {
  const line = new Set();
  for (let up = a; up; up = parentOf(up)) line.add(up);
  for (let up = b; up; up = parentOf(up)) if (line.has(up)) return up;
  return null;
};

// The opaque element painted over the hit element at its side of the tree, if any.
const opaqueOver = (hit, el) => {
  const meet = commonAncestor(hit, el);
  if (opacityOf(hit) < 0.9) return null;
  for (let up = hit; up && up !== meet; up = parentOf(up)) if (paints(up)) return up;
  return null;
};

const stackAt = (x, y) => {
  let stack = document.elementsFromPoint(x, y);
  while (stack[0] && stack[0].shadowRoot) {
    const inner = stack[0].shadowRoot.elementsFromPoint(x, y).filter((el) => !stack.includes(el));
    if (!inner.length) break;
    stack = [...inner, ...stack];
  }
  return stack;
};

const coverAt = (el, x, y) => {
  for (const hit of stackAt(x, y)) {
    if (contains(el, hit) || contains(hit, el)) return null;
    const cover = opaqueOver(hit, el);
    if (cover) return cover;
  }
  return null;
};

const pointsOf = (part) => [[0.5, 0.5], [0.2, 0.3], [0.8, 0.3], [0.2, 0.7], [0.8, 0.7]].map(([x, y]) =>
  [part.left + (part.right - part.left) * x, part.top + (part.bottom - part.top) * y]);

// Hit tests do not see what lets pointers through, a person does: make everything hittable for the time of one call.
const withEverythingHittable = (work) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, *::before, *::after { pointer-events: auto !important }");
  const before = [...document.adoptedStyleSheets];
  document.adoptedStyleSheets = [...before, sheet];
  try {
    return work();
  } finally {
    document.adoptedStyleSheets = before;
  }
};

const ownText = (el) => [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

const CONTROLS = "input:not([type=hidden]), textarea, select, button, img, svg, canvas, video, iframe, progress, meter";

const isPainted = (el) => el.matches(CONTROLS) || Boolean(el.querySelector(CONTROLS));

const textWhyNot = (el) => {
  const texts = [el, ...el.querySelectorAll("*")].filter((each) => ownText(each) && each.checkVisibility({
    visibilityProperty: true, opacityProperty: true }));
  if (!texts.length || isPainted(el)) return "";
  if (texts.every(isSameAsBehind)) return "same colour as its background";
  const range = document.createRange();
  range.selectNodeContents(el);
  const rect = range.getBoundingClientRect();
  if (rect.width && (rect.right + scrollX <= 0 || rect.bottom + scrollY <= 0)) return "clipped";
  return "";
};

const labelShown = (el) => labelsOf(el).find((label) => whyNotOwn(label) === "");

const isCheckable = (el) => el.localName === "input" && ["checkbox", "radio"].includes(el.type);

// Why a person does not see the element itself; "" when they do.
const whyNotOwn = (el) => {
  if (el.localName === "option" && el.closest("select")) {
    const select = el.closest("select");
    return select.size > 1 || select.multiple || el.selected ? whyNotOwn(select) : "in a closed list";
  }
  if (getComputedStyle(el).display === "contents") return contentsWhyNot(el);
  if (!el.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) return "no box";
  const box = boxOf(el);
  if (box.width <= 0 || box.height <= 0) {
    const child = [...el.children].find((each) => whyNotOwn(each) === "");
    return child ? "" : "no box";
  }
  if (opacityOf(el) < 0.05 || /opacity\(0%?\)/.test(getComputedStyle(el).filter)) return "transparent";
  if (box.right + scrollX <= 0 || box.bottom + scrollY <= 0) return "outside the page";
  const part = unclipped(el, box, true);
  if (!part || part.right - part.left < 2 || part.bottom - part.top < 2) return tiny(el, box) ? "" : "clipped";
  if (/inset\((50|100)%/.test(getComputedStyle(el).clipPath)) return "clipped";
  const seen = overlap(unclipped(el, box, false) || part, viewport());
  if (seen) {
    const covers = pointsOf(seen).map(([x, y]) => coverAt(el, x, y));
    if (covers.every(Boolean)) return `covered by ${describe(covers[0])}`;
  }
  return textWhyNot(el);
};

// An element without a box of its own is seen where what it holds is.
const contentsWhyNot = (el) => {
  if ([...el.children].some((child) => whyNotOwn(child) === "")) return "";
  const box = boxOf(el);
  const up = parentOf(el);
  return ownText(el) && box.width > 0 && box.height > 0 && up ? whyNotOwn(up) : "no box";
};

// A line of one pixel (a separator) is small but seen; text cut to one pixel is not.
const tiny = (el, box) => Math.min(box.width, box.height) < 2 && Math.max(box.width, box.height) >= 8 &&
  !fold(el.textContent) && Boolean(unclipped(el, box, true));

const whyNot = (el) => {
  const why = whyNotOwn(el);
  if (!why || !["input", "select"].includes(el.localName)) return why;
  if ((isCheckable(el) || el.type === "file") && labelShown(el)) return "";
  const box = el.getBoundingClientRect();
  const isPaintedByCss = isCheckable(el) && why === "transparent" && box.width > 4 && box.height > 4;
  return isPaintedByCss ? "" : why;
};

const SILENT = new Set(["script", "style", "noscript", "template", "head", "title", "textarea", "option", "datalist"]);

// Visible text of every element, computed once per call. A hidden element answers with the text it would show.
const makeTexts = () => {
  const memo = new Map();
  const isGone = (style) => style.display === "none" || style.visibility !== "visible" || style.opacity === "0";
  const gather = (el) => {
    if (memo.has(el)) return memo.get(el);
    let text = "";
    if (el.localName === "select") text = [...el.selectedOptions].map((option) => option.text).join(" ");
    else if (el.localName === "option") text = el.text;
    else if (el.localName === "input") text = ["submit", "reset", "button"].includes(el.type) ? inputName(el) : "";
    else if (!SILENT.has(el.localName)) {
      for (const node of childNodesOf(el)) {
        if (node.nodeType === Node.TEXT_NODE) text += node.data;
        else if (node.nodeType === Node.ELEMENT_NODE) text += within(node);
      }
    }
    memo.set(el, text);
    return text;
  };
  const within = (el) => {
    if (el.localName === "br") return " ";
    const text = gather(el);
    if (!text) return "";
    const style = getComputedStyle(el);
    if (style.display === "none" || style.opacity === "0") return "";
    if (style.visibility !== "visible") return [...el.children].map(within).join("");
    return style.display === "inline" || style.display === "contents" ? text : ` ${text} `;
  };
  const folded = new Map();
  return (el) => {
    if (!folded.has(el)) {
      const isHidden = !el.checkVisibility({ visibilityProperty: true, opacityProperty: true });
      const shown = fold(gather(el));
      folded.set(el, isHidden && !shown && !SILENT.has(el.localName) ? fold(el.textContent) : shown);
    }
    return folded.get(el);
  };
};

const isStruck = (el) => {
  const walker = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
  let some = false;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || !node.parentElement.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (node.parentElement.closest("button, select, [role=button]") && !el.closest("button, [role=button]")) continue;
    some = true;
    if (!isLineThrough(node.parentElement)) return false;
  }
  return some;
};

// A line drawn by an ancestor crosses its inline text but not boxes of their own (inline-block, absolute, float).
const isLineThrough = (el) => {
  for (let up = el; up; up = parentOf(up)) {
    const style = getComputedStyle(up);
    if (style.textDecorationLine.includes("line-through")) return true;
    const isApart = /^inline-/.test(style.display) || style.float !== "none" || /absolute|fixed/.test(style.position);
    if (isApart) return false;
  }
  return false;
};

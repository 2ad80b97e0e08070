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

// How the document around this one shows it (frames.js); null: it is the tab's own.
let stage = null;

const viewport = () => {
  const own = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  return stage ? overlap(own, stage.shown) || NOTHING : own;
};

// What is left of a part of a frame that cannot be scrolled, where its own box is clipped.
const inRoom = (part) => {
  const root = document.documentElement;
  const scrolls = root.scrollHeight > innerHeight + 1 || root.scrollWidth > innerWidth + 1;
  return part && stage && !scrolls ? overlap(part, stage.room) : part;
};

// Whether a person can scroll the page that way.
const pageScrolls = (axis) => {
  const root = getComputedStyle(document.documentElement)[`overflow${axis}`];
  const body = document.body ? getComputedStyle(document.body)[`overflow${axis}`] : "visible";
  return !["hidden", "clip"].includes(root === "visible" ? body : root);
};

const SIDES = { X: ["left", "right"], Y: ["top", "bottom"] };

// One edge pair of `part` cut by a box that hides what leaves it, or brought into a box that scrolls.
const cutAxis = (part, rect, axis, overflow, scrollable) => {
  const [low, high] = SIDES[axis];
  const scrolls = overflow === "auto" || overflow === "scroll";
  if (overflow === "visible" || (scrolls && scrollable && part[high] > rect[low] && part[low] < rect[high])) return part;
  if (scrolls && scrollable) return { ...part, [low]: rect[low], [high]: rect[high] };
  return { ...part, [low]: Math.max(part[low], rect[low]), [high]: Math.min(part[high], rect[high]) };
};

// The part of a box that overflow around it leaves. `scrollable` true keeps what scrolling would bring back.
// `from` is the first element whose overflow counts.
const unclipped = (el, box, scrollable, from = parentOf(el)) => {
  let part = { left: box.left, top: box.top, right: box.right, bottom: box.bottom };
  let { position } = getComputedStyle(el);
  for (let up = from; part && up && up !== document.documentElement; up = parentOf(up)) {
    if (position === "fixed" && up !== el) return overlap(part, viewport());
    const style = getComputedStyle(up);
    if (up !== el && position === "absolute" && style.position === "static") continue;
    position = style.position;
    if (up === document.body && getComputedStyle(document.documentElement).overflow === "visible") continue;
    if (style.display === "inline" || style.display === "contents") continue;
    const rect = up.getBoundingClientRect();
    part = cutAxis(part, rect, "X", style.overflowX, scrollable);
    part = cutAxis(part, rect, "Y", style.overflowY, scrollable);
    if (part.right <= part.left || part.bottom <= part.top) part = null;
  }
  return part && position === "fixed" ? overlap(part, viewport()) : part;
};

// What scrolling the page can bring into the window.
const onPage = (part) => {
  if (part.right + scrollX <= 0 || part.bottom + scrollY <= 0) return false;
  if (!pageScrolls("X") && (part.left >= innerWidth || part.right <= 0)) return false;
  return pageScrolls("Y") || (part.top < innerHeight && part.bottom > 0);
};

// --- colours ---

let brush = null;
const painted = (text) => { // any colour Chromium knows: oklch(), color(), names
  brush ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = "#00000000";
  brush.fillStyle = text;
  brush.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
  return { rgb: [r, g, b], alpha: a / 255 };
};

const parseColour = (text) => {
  const numbers = (/^rgba?\((.*)\)$/.exec(text) || ["", ""])[1].split(/[,\s/]+/).filter(Boolean).map(Number);
  return numbers.length < 3 ? painted(text) : { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
};

const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

// WCAG 2: 1 (the same) to 21 (black on white).
const contrastOf = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};

const over = (top, rgb) => top.rgb.map((v, i) => v * top.alpha + rgb[i] * (1 - top.alpha));

const isClippedToText = (style) => style.backgroundClip.includes("text");

// The colours of gradients; null when there is a picture among the images.
const gradientColours = (images) => {
  if (/url\(|image-set\(|paint\(|cross-fade\(|element\(/.test(images)) return null;
  const found = images.match(/rgba?\([^)]*\)|(?:oklch|oklab|lab|lch|color|hwb|hsla?)\([^)]*\)/g);
  return found ? found.map(parseColour) : null;
};

// What an element's own background makes of the colours under it; null when style cannot tell.
const backgroundOver = (el, under) => {
  const style = getComputedStyle(el);
  if (isClippedToText(style)) return under;
  const images = style.backgroundImage === "none" ? [] : gradientColours(style.backgroundImage);
  if (!images) return null;
  const colour = parseColour(style.backgroundColor);
  const plain = colour.alpha >= 0.99 ? [colour.rgb] : under?.map((rgb) => over(colour, rgb));
  if (!images.length) return plain ?? null;
  if (images.every((each) => each.alpha >= 0.99)) return images.map((each) => each.rgb);
  return plain?.flatMap((rgb) => images.map((each) => over(each, rgb))) ?? null;
};

const PICTURES = new Set(["img", "canvas", "svg", "video", "iframe", "object", "embed"]);

// The colours that may lie behind the text of an element; null when a picture or a layer makes them unknown.
const coloursBehind = (el, point) => {
  const stack = point ? stackAt(...point) : [];
  const at = stack.indexOf(el);
  const line = at >= 0 ? stack.slice(at) : [];
  if (at < 0) for (let up = el; up; up = parentOf(up)) line.push(up);
  if (line.some((each) => PICTURES.has(each.localName) || (each !== el && hasPaintedPseudo(each)))) return null;
  return line.reduceRight((under, each) => backgroundOver(each, under), [[255, 255, 255]]);
};

const LEAST_CONTRAST = 1.25;

// How the text of an element stands out from what is behind it: "seen", "same", or "unsure" where style cannot tell.
const standsOut = (el, point) => {
  const style = getComputedStyle(el);
  const colour = parseColour(style.webkitTextFillColor || style.color);
  const alpha = colour.alpha * opacityOf(el);
  if (isClippedToText(style) && colour.alpha < 0.99) return "unsure";
  const isDecorated = style.textShadow !== "none" || parseFloat(style.webkitTextStrokeWidth) > 0;
  if (alpha < 0.03) return isDecorated ? "unsure" : "same";
  const behind = coloursBehind(el, point);
  if (!behind) return "unsure";
  const isPlain = behind.map((rgb) => contrastOf(over({ rgb: colour.rgb, alpha }, rgb), rgb) >= LEAST_CONTRAST);
  if (isPlain.every(Boolean)) return "seen";
  return isDecorated || isPlain.some(Boolean) ? "unsure" : "same";
};

const opacityOf = (el) => {
  let opacity = 1;
  for (let up = el; up; up = parentOf(up)) opacity *= Number(getComputedStyle(up).opacity);
  return opacity;
};

// --- what lies over it ---

const commonAncestor = (a, b) => {
  const line = new Set();
  for (let up = a; up; up = parentOf(up)) line.add(up);
  for (let up = b; up; up = parentOf(up)) if (line.has(up)) return up;
  return null;
};

// How much of what is behind an element it hides, from 0 to 1; null when style cannot tell.
const opaqueness = (el) => {
  const style = getComputedStyle(el);
  const { alpha } = parseColour(style.backgroundColor);
  if (alpha >= 0.99) return 1;
  return PICTURES.has(el.localName) || (style.backgroundImage !== "none" && !isClippedToText(style)) ? null : alpha;
};

const hasPaintedPseudo = (el) => ["::before", "::after"].some((which) => {
  const style = getComputedStyle(el, which);
  return style.content !== "none" && style.content !== "normal" && /absolute|fixed/.test(style.position) &&
    (style.backgroundImage !== "none" || parseColour(style.backgroundColor).alpha > 0.1);
});

const stackAt = (x, y) => {
  let stack = document.elementsFromPoint(x, y);
  while (stack[0] && stack[0].shadowRoot) {
    const inner = stack[0].shadowRoot.elementsFromPoint(x, y).filter((el) => !stack.includes(el));
    if (!inner.length) break;
    stack = [...inner, ...stack];
  }
  return stack;
};

// What hides an element at a point, and whether something lies there of which style cannot tell whether it hides.
// `ofText`: at the element's own text, where its own children hide it too.
const coverAt = (el, [x, y], ofText) => {
  const stack = stackAt(x, y);
  const own = ofText ? stack.indexOf(el) : stack.findIndex((hit) => contains(el, hit));
  let through = 1, cover = null, doubt = false;
  for (const hit of own < 0 ? stack : stack.slice(0, own)) {
    if (contains(hit, el)) {
      if (own < 0) break;
      doubt ||= hasPaintedPseudo(hit);
      continue;
    }
    if (own < 0 && contains(el, hit)) break;
    const meet = commonAncestor(hit, el);
    const opacity = opacityOf(hit);
    for (let up = hit; up && up !== meet && up !== el; up = parentOf(up)) {
      const share = opaqueness(up);
      if (share === null) doubt = true;
      else if (share > 0) {
        through *= 1 - share * opacity;
        if (share * opacity > 0.1) cover ??= up;
      }
    }
  }
  return { cover: through < 0.1 ? cover : null, doubt };
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

// --- text ---

const ownText = (el) => [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

const CONTROLS = "input:not([type=hidden]), textarea, select, img, svg, canvas, video, iframe, progress, meter";
const isPainted = (el) => el.matches(`${CONTROLS}, button`) || Boolean(el.querySelector(`${CONTROLS}, button`));

// Where the text of an element's own stands, line by line.
const textRects = (el) => [...el.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
  .flatMap((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()].filter((rect) => rect.width > 0 && rect.height > 0);
  });

const LEAST_TEXT_HEIGHT = 4;

// Why the text of an element's own cannot be read, or whether only its pixels tell.
const textLook = (el) => {
  const rects = textRects(el);
  const { webkitTextSecurity } = getComputedStyle(el);
  if (!rects.some((rect) => rect.height >= LEAST_TEXT_HEIGHT)) return { why: "too small to read", cut: true };
  if (webkitTextSecurity && webkitTextSecurity !== "none") return { why: "hidden behind dots" };
  const parts = rects.map((rect) => unclipped(el, rect, true, el))
    .filter((part) => part && part.right - part.left >= 2 && part.bottom - part.top >= 2 && onPage(part));
  if (!parts.length) return { why: "clipped", cut: true };
  const shown = rects.map((rect) => unclipped(el, rect, false, el)).map((part) => part && overlap(part, viewport()))
    .filter(Boolean).slice(0, 6);
  const points = shown.flatMap((part) => [0.15, 0.5, 0.85].map((x) =>
    [part.left + (part.right - part.left) * x, (part.top + part.bottom) / 2]));
  const covers = points.map((point) => coverAt(el, point, true));
  if (points.length && covers.every(({ cover }) => cover)) return { why: `covered by ${describe(covers[0].cover)}` };
  const out = standsOut(el, points[0]);
  if (out === "same") return { why: "same colour as its background" };
  const isDoubtful = out === "unsure" || hasPaintedPseudo(el) ||
    (covers.length && covers.every(({ cover, doubt }) => cover || doubt));
  return { why: "", doubt: Boolean(isDoubtful) };
};

const textHolders = (el) => [el, ...el.querySelectorAll("*")].filter((each) => ownText(each) &&
  !["option", "script", "style", "textarea"].includes(each.localName) &&
  each.checkVisibility({ visibilityProperty: true, opacityProperty: true }));

// The same of everything an element says; text for screen readers alone is no fault where there is something to look at.
const wordsLook = (el) => {
  const holders = textHolders(el);
  const outer = holders.filter((each) => isOuterText(each, el));
  for (const some of [outer, holders]) {
    const look = bestLook(some, isPainted(el));
    if (look) return look;
  }
  return { why: "" };
};

// The words of an item are its own, not those of the buttons in it.
const isOuterText = (holder, el) => {
  const control = holder.closest("button, select, [role=button]");
  return !control || !contains(el, control) || control === el;
};

const bestLook = (holders, isPainted) => {
  const looks = [];
  for (const holder of holders) {
    const look = textLook(holder);
    if (!look.why && !look.doubt) return look;
    looks.push(look);
  }
  const telling = isPainted ? looks.filter((look) => !look.cut) : looks;
  return telling.find((look) => look.doubt) || telling[0];
};

const labelShown = (el) => labelsOf(el).find((label) => whyNotOwn(label) === "");

const isCheckable = (el) => el.localName === "input" && ["checkbox", "radio"].includes(el.type);

// --- the whole ---

const isCutAway = (style) => {
  if (/inset\((50|100)%/.test(style.clipPath)) return true;
  const edges = /^rect\((.*)\)$/.exec(style.clip)?.[1].split(/[,\s]+/).map(parseFloat);
  return Boolean(edges) && /absolute|fixed/.test(style.position) && (edges[1] - edges[3] <= 1 || edges[2] - edges[0] <= 1);
};

const withAll = (el, test) => {
  for (let up = el; up; up = parentOf(up)) if (test(getComputedStyle(up), up)) return true;
  return false;
};

// Paint of which style cannot tell what it leaves.
const isOdd = (style) => style.clipPath !== "none" || style.mixBlendMode !== "normal" || style.maskImage !== "none" ||
  style.backfaceVisibility === "hidden" || /brightness|contrast|blur|opacity|url/.test(style.filter);

// Why a person does not see the element itself ("" when they do), or that only its pixels tell.
const lookAt = (el) => {
  if (el.localName === "option" && el.closest("select")) {
    const select = el.closest("select");
    return select.size > 1 || select.multiple || el.selected ? lookAt(select) : { why: "in a closed list" };
  }
  if (stage?.why) return { why: `in a frame that is not visible: ${stage.why}` };
  if (getComputedStyle(el).display === "contents") return contentsLook(el);
  if (!el.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) return { why: "no box" };
  const box = boxOf(el);
  if (box.width <= 0 || box.height <= 0) return emptyLook(el);
  if (opacityOf(el) < 0.05 || withAll(el, (style) => /opacity\(0%?\)/.test(style.filter))) return { why: "transparent" };
  const part = inRoom(unclipped(el, box, true));
  if (!part || part.right - part.left < 2 || part.bottom - part.top < 2) {
    if (!tiny(el, box)) return { why: part || getComputedStyle(el).position !== "fixed" ? "clipped" : "outside the page" };
  } else if (!onPage(part)) return { why: "outside the page" };
  if (withAll(el, isCutAway)) return { why: "clipped" };
  const seen = overlap(unclipped(el, box, false) || part, viewport());
  let doubt = withAll(el, isOdd);
  if (seen) {
    const covers = pointsOf(seen).map((point) => coverAt(el, point, false));
    if (covers.every(({ cover }) => cover)) return { why: `covered by ${describe(covers[0].cover)}` };
    doubt ||= covers.every(({ cover, doubt: unsure }) => cover || unsure);
  }
  const words = wordsLook(el);
  return { why: words.why, doubt: !words.why && Boolean(doubt || words.doubt) };
};

// Without a size of its own it is seen where what it holds overflows it.
const emptyLook = (el) => {
  const child = [...el.children].map(lookAt).find((look) => !look.why);
  if (child) return child;
  const words = ownText(el) ? textLook(el) : { why: "no box" };
  return words.why ? { why: "no box" } : words;
};

// An element without a box of its own is seen where what it holds is.
const contentsLook = (el) => {
  const child = [...el.children].map(lookAt).find((look) => !look.why);
  if (child) return child;
  const box = boxOf(el);
  const up = parentOf(el);
  return ownText(el) && box.width > 0 && box.height > 0 && up ? lookAt(up) : { why: "no box" };
};

const whyNotOwn = (el) => lookAt(el).why;

// A line of one pixel (a separator) is small but seen; text cut to one pixel is not.
const tiny = (el, box) => Math.min(box.width, box.height) < 2 && Math.max(box.width, box.height) >= 8 &&
  !fold(el.textContent) && Boolean(unclipped(el, box, true));

const whyNot = (el) => fullLook(el).why;

const fullLook = (el) => {
  const look = lookAt(el);
  if (!look.why || !["input", "select"].includes(el.localName)) return look;
  if ((isCheckable(el) || el.type === "file") && labelShown(el)) return { why: "" };
  const box = el.getBoundingClientRect();
  const isPaintedByCss = isCheckable(el) && look.why === "transparent" && box.width > 4 && box.height > 4;
  return isPaintedByCss ? { why: "" } : look;
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

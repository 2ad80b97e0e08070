// What style cannot tell is asked of the pixels: the worker takes a picture of the page with and one without the text or
// the element in question. The page itself is not changed: a style sheet of ours hides by structural selectors.

const doubts = { list: [], known: new WeakMap(), epoch: 0, sheets: [], isWatching: false };
const KNOWN_MS = 1000;

const watchChanges = () => {
  if (doubts.isWatching) return;
  doubts.isWatching = true;
  new MutationObserver(() => (doubts.epoch += 1))
    .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
};

const inWindow = (el, rect) => {
  const part = unclipped(el, rect, false, el);
  return part && overlap(part, viewport());
};

const asBox = (part) => [part.left, part.top, part.right, part.bottom];

// Text elements are asked about their text, all others about all they paint.
const regionOf = (el) => {
  const holders = textHolders(el).slice(0, 40);
  const words = holders.flatMap((holder) => textRects(holder).map((rect) => inWindow(holder, rect))).filter(Boolean);
  if (words.length) return { holders, boxes: words.slice(0, 40).map(asBox) };
  const part = inWindow(el, boxOf(el));
  return part && !holders.length ? { holders: null, boxes: [asBox(part)] } : null;
};

const stampOf = (boxes) => JSON.stringify([doubts.epoch, scrollX, scrollY, boxes]);

// Null when it is known already or cannot be looked at (outside the window), else its place in the list.
const ask = (el, region, kind, colour = null) => {
  watchChanges();
  return doubts.list.push({ el, ...region, kind, colour, stamp: stampOf(region.boxes) }) - 1;
};

const doubtOf = (el) => {
  const region = regionOf(el);
  if (!region) return null;
  const known = doubts.known.get(el);
  if (known?.stamp === stampOf(region.boxes) && performance.now() - known.at < KNOWN_MS) return { seen: known.seen };
  return { probe: ask(el, region, "seen") };
};

const placeOf = (el) => {
  const steps = [];
  let at = el;
  while (at.parentElement) {
    steps.unshift(`${CSS.escape(at.localName)}:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
    at = at.parentElement;
  }
  steps.unshift(at === document.documentElement ? ":root" : `${CSS.escape(at.localName)}:nth-child(${
    [...at.parentNode.children].indexOf(at) + 1})`);
  return steps.join(" > ");
};

const UNTEXT = "color: transparent !important; -webkit-text-fill-color: transparent !important; text-shadow: none !important; " +
  "-webkit-text-stroke-color: transparent !important; text-decoration-color: transparent !important; " +
  "transition: none !important;";

const rulesFor = ({ el, holders }) => {
  if (!holders) return [[el, "", "visibility: hidden !important; transition: none !important;"],
    [el, " *", "visibility: hidden !important; transition: none !important;"]];
  return holders.map((holder) => {
    const clipped = isClippedToText(getComputedStyle(holder)) ? " background: none !important;" : "";
    return [holder, "", UNTEXT + clipped];
  });
};

const veil = () => {
  const byRoot = new Map();
  for (const [el, inner, style] of doubts.list.flatMap(rulesFor)) {
    if (!el.isConnected) continue;
    const root = el.getRootNode();
    if (!byRoot.has(root)) byRoot.set(root, []);
    byRoot.get(root).push(`${placeOf(el)}${inner} { ${style} }`);
  }
  for (const [root, rules] of byRoot) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(rules.join("\n"));
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    doubts.sheets.push([root, sheet]);
  }
  return true;
};

const unveil = () => {
  for (const [root, sheet] of doubts.sheets.splice(0)) {
    root.adoptedStyleSheets = [...root.adoptedStyleSheets].filter((each) => each !== sheet);
  }
  return true;
};

// What the pixels said, by place in the list.
const keepAnswers = (seen) => {
  doubts.list.forEach(({ el, stamp }, probe) => {
    if (seen[probe] !== null) doubts.known.set(el, { stamp, seen: seen[probe], at: performance.now() });
  });
  return true;
};

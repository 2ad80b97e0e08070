// The page as indented lines: roles, names, values, states, refs. Text stays JSON-escaped, so that it stays data.

const SHOWN_ROLE = { LabelText: "label", Legend: "legend", DisclosureTriangle: "summary", Figcaption: "figcaption",
  DescriptionList: "dl", Iframe: "iframe", Canvas: "canvas", Video: "video", Audio: "audio", ColorWell: "color picker",
  Date: "date picker", InputTime: "time picker", DateTime: "date-time picker", SvgRoot: "generic", Abbr: "generic", "": "generic" };

const isLeaf = (el) => ["select", "textarea", "svg", "iframe", "canvas", "video", "audio"].includes(el.localName);

// Text of the element's own that is struck through: told where it stands, not again by everything around it.
const isStruckHere = (el) =>
  [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()) && isLineThrough(el);

const OPTIONS_SHOWN = 12;

const optionsOf = (el) => {
  const labels = [...el.options].map((option) => quoted(fold(option.label)) + (option.disabled ? " (disabled)" : ""));
  const more = labels.length > OPTIONS_SHOWN ? `, ${labels.length - OPTIONS_SHOWN} more` : "";
  return labels.slice(0, OPTIONS_SHOWN).join(", ") + more;
};

const isCovered = (el) => {
  const part = unclipped(el, boxOf(el), false);
  const seen = part && overlap(part, viewport());
  return Boolean(seen) && pointsOf(seen).every((point) => coverAt(el, point, false).cover);
};

const statesOf = (el, role) => {
  const states = [];
  if (role === "heading") states.push(`level=${el.getAttribute("aria-level") || el.localName.slice(1)}`);
  const checkable = el.matches(CHECKABLE);
  if (el.hasAttribute("aria-pressed")) states.push(checkedOf(el) ? "pressed" : "not pressed");
  else if (checkable) states.push(checkedOf(el) ? "checked" : "unchecked");
  if (el.matches(":disabled") || el.getAttribute("aria-disabled") === "true") states.push("disabled");
  if (isFocused(el)) states.push("focused");
  if (isStruckHere(el)) states.push("struck through");
  for (const state of ["expanded", "selected", "current", "invalid"]) {
    const value = el.getAttribute(`aria-${state}`);
    if (value && value !== "false") states.push(value === "true" ? state : `${state}=${quoted(value)}`);
    if (value === "false" && state === "expanded") states.push("collapsed");
  }
  if (el.localName === "option" && el.selected) states.push("selected");
  const testId = TEST_IDS.map((name) => el.getAttribute(name)).find(Boolean);
  if (testId) states.push(`testid=${quoted(testId)}`);
  if (el.getAttribute("placeholder")) states.push(`placeholder=${quoted(el.getAttribute("placeholder"))}`);
  if (role !== "generic" && !checkable) {
    const value = el.matches(`${EDITABLE}, select, progress, meter, input[type=file]`) ? valueOf(el) : null;
    if (value !== null) states.push(`value=${quoted(value)}`);
    if (el.localName === "select") states.push(`options=${optionsOf(el)}`);
  }
  if (el.matches(INTERACTIVE) && isInViewport(el) && isCovered(el)) states.push("covered");
  return states;
};

const isShown = (el) => {
  if (SILENT.has(el.localName) && el.localName !== "textarea" && el.localName !== "option") return false;
  const style = getComputedStyle(el);
  if (style.display === "contents") return true;
  if (style.display === "none") return false;
  if (isCheckable(el)) return !whyNot(el) || style.visibility === "visible";
  if (style.opacity === "0") return false;
  const box = el.getBoundingClientRect();
  return box.width > 1 && box.height > 1 || [...el.children].some(isShown);
};

const MANY_ALIKE = 200, FIRST_ALIKE = 50;

const shownRole = (role) => SHOWN_ROLE[role] || (role === "none" ? "generic" : role);

const isOnScreen = (el) => Boolean(overlap(boxOf(el), viewport()));

// Of very many siblings of one kind only the first, the last and those on the screen are looked into, the others are
// counted: a table of thousands of rows is told as fast as one of fifty. Element -> whether it is on the screen.
const passedOver = (el) => {
  const far = new Map();
  if (el.childElementCount <= MANY_ALIKE) return far;
  const kinds = Map.groupBy([...el.children].filter((child) => child.checkVisibility()), (child) => child.localName);
  for (const alike of kinds.values()) {
    if (alike.length > MANY_ALIKE) for (const child of alike.slice(FIRST_ALIKE - 1, -1)) far.set(child, isOnScreen(child));
  }
  return far;
};

const nodeOf = (el, texts) => {
  const role = roleOf(el);
  const node = { el, role: shownRole(role), kids: [], name: "" };
  const isText = getComputedStyle(el).visibility === "visible";
  if (role !== "generic" && role !== "none") node.name = nameOf(el);
  if (!isLeaf(el)) {
    const far = passedOver(el);
    for (const child of childNodesOf(el)) {
      if (far.get(child) === false) node.kids.push({ role: shownRole(roleOf(child)), isPassedOver: true });
      else if (child.nodeType === Node.TEXT_NODE && isText && child.data.trim()) addText(node.kids, child.data);
      else if (child.nodeType === Node.ELEMENT_NODE && isShown(child)) {
        addKid(node.kids, Object.assign(nodeOf(child, texts), { isNear: far.get(child) === true }));
      }
    }
  }
  const isOnlyText = node.kids.every((kid) => kid.text !== undefined);
  if (isOnlyText) {
    const text = fold(node.kids.map((kid) => kid.text).join(" "));
    node.kids = [];
    if (text && fold(text.replaceAll(NEXT, " ")) !== node.name) node.own = text;
  }
  return node;
};

// Between the texts of neighbouring elements, as against words set off within a sentence.
const NEXT = "\u0001";

const addText = (kids, text, isElement = false) => {
  const last = kids.at(-1);
  if (last?.text === undefined) kids.push({ text, isElement });
  else Object.assign(last, { text: last.text + (isElement && last.isElement ? NEXT : "") + text, isElement });
};

// Plain containers vanish when they hold one thing; those that group several stay, they carry structure.
const addKid = (kids, node) => {
  const isPlain = node.role === "generic" && !node.name && !TEST_IDS.some((name) => node.el.hasAttribute(name)) &&
    !node.el.matches(`${INTERACTIVE}, [tabindex], [contenteditable], [onclick]`);
  if (!isPlain) kids.push(node);
  else if (node.own !== undefined && getComputedStyle(node.el).display === "inline") addText(kids, ` ${node.own} `, true);
  else if (node.own !== undefined) kids.push(node);
  else if (node.kids.length > 1) kids.push(node);
  else kids.push(...node.kids);
};

const lineOf = (node) => {
  if (node.text !== undefined) return `- text ${quotedTexts(node.text)}`;
  const states = [...statesOf(node.el, node.role), refOf(node.el)];
  const name = node.name ? ` ${quotedLong(node.name)}` : "";
  return `- ${node.role}${name} [${states.join("] [")}]${node.own ? `: ${quotedTexts(node.own)}` : ""}`;
};

const quotedTexts = (text) => text.split(NEXT).map((each) => quotedLong(fold(each))).join(" ");

const quotedLong = (text) => JSON.stringify(text.length > 300 ? `${text.slice(0, 297)}...` : text);

const print = (nodes, depth, limit, lines) => {
  const indent = "  ".repeat(depth);
  const totals = new Map(), seen = new Map(), over = new Map();
  for (const { role } of nodes) totals.set(role, (totals.get(role) || 0) + 1);
  const tellOver = () => {
    for (const [role, count] of over) lines.push(`${indent}- ... ${count} more ${role || "text"}`);
    over.clear();
  };
  for (const node of nodes) {
    const index = (seen.get(node.role) || 0) + 1;
    seen.set(node.role, index);
    const isInside = totals.get(node.role) > limit && index > limit - 1 && index < totals.get(node.role);
    if (node.isPassedOver || (isInside && !node.isNear)) {
      over.set(node.role, (over.get(node.role) || 0) + 1);
      continue;
    }
    tellOver();
    node.line ??= lineOf(node);
    lines.push(indent + node.line);
    print(node.kids || [], depth + 1, limit, lines);
  }
  tellOver();
};

const bytesOf = (text) => new TextEncoder().encode(text).length;

const snapshot = (maxBytes, firstRef) => withEverythingHittable(() => {
  refs.next = Math.max(refs.next, firstRef);
  refs.byRef.clear();
  const root = nodeOf(document.body, makeTexts());
  const top = root.own !== undefined ? [{ text: root.own }] : root.kids;
  let lines = [];
  for (const limit of [100, 40, 20, 10, 5, 3]) {
    lines = [];
    print(top, 0, limit, lines);
    if (bytesOf(lines.join("\n")) <= maxBytes) break;
  }
  return { text: cut(lines, maxBytes), next: refs.next };
});

const cut = (lines, maxBytes) => {
  let size = 0;
  const kept = [];
  for (const line of lines) {
    size += bytesOf(line) + 1;
    if (size > maxBytes - 40) return [...kept, `- ... ${lines.length - kept.length} more lines`].join("\n");
    kept.push(line);
  }
  return kept.join("\n");
};

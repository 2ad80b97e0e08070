// Which elements a locator means. The semantics are those of `Locator` in harness/verify/check.py.

const everything = (root = document, found = []) => {
  for (const el of root.querySelectorAll("*")) {
    found.push(el);
    if (el.shadowRoot) everything(el.shadowRoot, found);
  }
  return found;
};

const cssEverywhere = (css, all) => all.filter((el) => el.matches(css));

const sameText = (have, want, exact) => {
  const wanted = fold(want);
  return exact === false ? have.toLowerCase().includes(wanted.toLowerCase()) : have === wanted;
};

const isNamed = (el, name, exact) => bothWays(() => nameOf(el)).some((each) => sameText(each, name, exact));

const TEST_IDS = ["data-testid", "data-test-id", "data-test"];

const labelNames = (el) => [labelText(el), fold(el.getAttribute("aria-label")),
  fold(byIds(el, "aria-labelledby").map((other) => nameFrom(other, true)).join(" "))].filter(Boolean);

const isLabelable = (el) => /^(input|select|textarea|meter|progress|output|button)$/.test(el.localName) ||
  el.hasAttribute("role") || el.isContentEditable;

const withAncestors = (els) => {
  const line = new Set();
  for (const el of els) for (let up = el; up && !line.has(up); up = parentOf(up)) line.add(up);
  return line;
};

// Those that hold no other of them.
const smallest = (els) => {
  const holders = new Set();
  for (const el of els) for (let up = parentOf(el); up && !holders.has(up); up = parentOf(up)) holders.add(up);
  return els.filter((el) => !holders.has(el));
};

// What a person reads right after an element, seen or not: the next one beside it, or beside what holds nothing else.
// Never the next row, item or term: a value that is missing is not the value of another label.
const ENTRY = "li, tr, dd, [role=listitem], [role=row]";

const isNothing = (node) => node.nodeType === Node.COMMENT_NODE || (node.nodeType === Node.TEXT_NODE && !fold(node.data)) ||
  (node.nodeType === Node.ELEMENT_NODE && SILENT.has(node.localName));

const besides = (el) => {
  for (let at = el; at && !at.matches(ENTRY);) {
    let next = at.nextSibling;
    while (next && isNothing(next)) next = next.nextSibling;
    if (next) {
      const isValue = next.nodeType === Node.ELEMENT_NODE && (at.localName !== "dt" || next.localName === "dd");
      return isValue ? next : null;
    }
    const up = parentOf(at);
    at = up?.childElementCount === 1 && fold(up.textContent) === fold(at.textContent) ? up : null;
  }
  return null;
};

// One search over one state of the page; texts and lists are computed at most once.
const makeSearch = () => {
  const texts = makeTexts();
  let all = null;
  const memo = new Map();
  const everyone = () => (all ??= everything().filter((el) => !SILENT.has(el.localName) ||
    el.localName === "textarea" || el.localName === "option"));

  const filters = (loc) => {
    const tests = [];
    const { exact } = loc;
    if (loc.test_id) tests.push((el) => TEST_IDS.some((name) => el.getAttribute(name) === loc.test_id));
    if (loc.role) tests.push((el) => roleOf(el) === sameRole(loc.role.toLowerCase()));
    if (loc.placeholder) {
      tests.push((el) => el.hasAttribute("placeholder") && sameText(fold(el.getAttribute("placeholder")), loc.placeholder, exact));
    }
    for (const name of ["alt", "title"]) {
      if (loc[name]) tests.push((el) => el.hasAttribute(name) && sameText(fold(el.getAttribute(name)), loc[name], exact));
    }
    if (loc.label) tests.push((el) => isLabelable(el) && bothWays(() => labelNames(el).join("\n"))
      .some((names) => names.split("\n").some((name) => sameText(name, loc.label, exact))));
    if (loc.inside) {
      const outer = new Set(find(loc.inside));
      const isFrameIn = stage?.inside.includes(JSON.stringify(loc.inside));
      tests.push((el) => {
        if (isFrameIn) return true;
        for (let up = parentOf(el); up; up = parentOf(up)) if (outer.has(up)) return true;
        return false;
      });
    }
    if (loc.has) {
      const holders = withAncestors(find(loc.has).map(parentOf).filter(Boolean));
      tests.push((el) => holders.has(el));
    }
    for (const part of loc.around || []) {
      const holders = withAncestors(find(part));
      tests.push((el) => holders.has(el));
    }
    if (loc.beside) {
      const next = new Set(find(loc.beside).map(besides));
      tests.push((el) => next.has(el));
    }
    if (loc.name) tests.push((el) => isNameable(el) && isNamed(el, loc.name, exact));
    if (loc.text) tests.push((el) => sameText(texts(el), loc.text, exact));
    if (loc.pattern) {
      const pattern = new RegExp(loc.pattern);
      tests.push((el) => pattern.test(texts(el)));
    }
    return tests;
  };
  const isNameable = (el) => el.hasAttribute("aria-label") || el.hasAttribute("aria-labelledby") ||
    roleOf(el) !== "generic";

  const find = (loc) => {
    const key = JSON.stringify(loc);
    if (!memo.has(key)) memo.set(key, search(loc));
    return memo.get(key);
  };
  const search = (loc) => {
    let found = loc.css ? cssEverywhere(loc.css, everyone()) : everyone();
    for (const test of filters(loc)) found = found.filter(test);
    const isTyped = loc.role || loc.label || loc.placeholder || loc.alt || loc.title || loc.test_id || loc.css ||
      loc.name;
    if (loc.around?.length || ((loc.text || loc.pattern) && !isTyped)) found = smallest(found);
    if (loc.nth === undefined || loc.nth === null) return found;
    const seen = found.filter((el) => !whyNot(el));
    const one = (seen.length ? seen : found).at(loc.nth);
    return one ? [one] : [];
  };
  return { find, texts, everyone };
};

// What a person would use instead: the control of a label, the one control inside a row.
const EDITABLE = "input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit]):not([type=file]), " +
  "textarea, [contenteditable]:not([contenteditable=false])";
const CHECKABLE = "input[type=checkbox], input[type=radio], [role=checkbox], [role=radio], [role=switch], " +
  "[role=menuitemcheckbox], [role=menuitemradio], [aria-checked], [aria-pressed]";

const controlOf = (el, selector) => {
  if (el.matches(selector)) return el;
  const up = el.closest(selector);
  if (up) return up;
  const label = el.closest("label");
  if (label?.control?.matches(selector)) return label.control;
  const inner = [...el.querySelectorAll(selector)];
  return inner.length === 1 ? inner[0] : null;
};

const checkedOf = (el) => {
  const control = controlOf(el, CHECKABLE);
  if (!control) return null;
  if (control.localName === "input") return control.checked;
  return (control.getAttribute("aria-checked") ?? control.getAttribute("aria-pressed")) === "true";
};

const valueOf = (el) => {
  if (el.localName === "input" && el.type === "file") return [...el.files].map((file) => file.name).join(", ");
  if (el.localName === "select") return [...el.selectedOptions].map((option) => fold(option.text)).join(", ");
  if (el.localName === "progress" || el.localName === "meter") return String(el.value);
  const control = controlOf(el, EDITABLE);
  if (!control || (control !== el && !el.closest("label"))) {
    return el.getAttribute("aria-valuetext") ?? el.getAttribute("aria-valuenow");
  }
  return "value" in control ? control.value : control.innerText.replace(/\n$/, "");
};

const isEnabled = (el) => {
  const owner = el.closest("button, input, select, textarea, option, fieldset, a, [role]") || el;
  if (el.matches(":disabled") || owner.matches(":disabled")) return false;
  for (let up = el; up; up = parentOf(up)) if (up.getAttribute("aria-disabled") === "true") return false;
  return true;
};

const isFocused = (el) => {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active === el && document.hasFocus();
};

const isInViewport = (el) => {
  const box = boxOf(el);
  const part = unclipped(el, box, false);
  const seen = part && overlap(part, viewport());
  if (!seen) return false;
  const area = (r) => (r.right - r.left) * (r.bottom - r.top);
  const most = Math.min(area(box), area(viewport()));
  return area(seen) >= most / 2;
};

const isOverflowing = (el) => el.clientWidth > 0 &&
  (el.scrollWidth > el.clientWidth + 1 || (getComputedStyle(el).overflowY === "hidden" && el.scrollHeight > el.clientHeight + 1));

const picture = (el, search, attributes, styles, asked) => {
  const { why, doubt } = fullLook(el);
  const shown = why === "" && whyNotOwn(el) !== "" ? labelShown(el) || el : el;
  const box = boxOf(shown);
  const computed = getComputedStyle(el);
  const kept = attributes.filter((name) => el.hasAttribute(name)).map((name) => [name, el.getAttribute(name)]);
  return {
    visible: why === "", why_not: why, text: search.texts(el), role: roleOf(el), name: nameOf(el), value: valueOf(el),
    checked: checkedOf(el), selected: selectedOf(el), enabled: isEnabled(el), focused: isFocused(el),
    in_viewport: why === "" && isInViewport(shown), struck_through: isStruck(el), overflow: isOverflowing(el),
    box: [box.x, box.y, box.width, box.height].map((n) => Math.round(n * 10) / 10),
    attributes: Object.fromEntries(kept),
    styles: Object.fromEntries(styles.map((name) => [name, computed.getPropertyValue(name)])), html: outerTag(el),
    ...(asked && why === "" ? facetsOf(el, asked, search) : {}), doubt: doubt ? doubtOf(el) : null,
    points: stage && why === "" ? shownPoints(shown) : [],
  };
};

const observe = (locators, attributes, styles, asked) => withEverythingHittable(() => {
  doubts.list = [];
  const search = makeSearch();
  return locators.map((loc, place) => {
    const found = search.find(loc);
    const elements = found.slice(0, 200).map((el) => picture(el, search, attributes, styles, asked[place]));
    return { elements, total: found.length };
  });
});

// What the pixels are asked after `observe`.
const asked = () => doubts.list.map(({ kind, boxes, colour }) => ({ kind, boxes, colour }));

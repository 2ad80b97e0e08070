// From a target to a point where a real input event would do what a person means, or the reason why not.

const refs = { byRef: new Map(), byElement: new WeakMap(), next: 1 };

const refOf = (el) => {
  let ref = refs.byElement.get(el);
  if (!ref) {
    ref = `e${refs.next++}`;
    refs.byElement.set(el, ref);
  }
  refs.byRef.set(ref, new WeakRef(el));
  return ref;
};

let aimed = null;
let scrolledTo = null;
const frame = () => new Promise((done) => {
  requestAnimationFrame(done);
  setTimeout(done, 100);
});

const quoted = (text) => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);

const inWords = (loc) => Object.entries(loc).filter(([key, value]) => key !== "exact" && value !== null && value.length !== 0)
  .map(([key, value]) => {
    if (Array.isArray(value)) return `${key} (${value.map(inWords).join(" and ")})`;
    return typeof value === "object" ? `${key} (${inWords(value)})` : `${key} ${quoted(String(value))}`;
  }).join(", ");

const alternatives = (loc, search) => {
  if (!loc.role) return "";
  const others = search.everyone().filter((el) => roleOf(el) === sameRole(loc.role) && !whyNot(el)).slice(0, 8);
  const names = [...new Set(others.map((el) => quoted(nameOf(el) || search.texts(el))))];
  return names.length ? `; visible with role ${loc.role}: ${names.join(", ")}` : `; nothing visible has role ${loc.role}`;
};

const byRef = (ref) => {
  const el = refs.byRef.get(ref)?.deref();
  return el?.isConnected ? { el } : { state: "stale", reason: `${ref} is not in the page any more; take a new snapshot` };
};

const listed = (els, search) => els.slice(0, 5).map((el) => `${outerTag(el)}${quoted(search.texts(el))}`).join(" | ");

// The chosen option's words are seen on its list, but nothing can be done to it there.
const isInClosedChoice = (el) => el.localName === "option" && Boolean(el.closest("select:not([multiple], [size])"));

const byLocator = (loc) => withEverythingHittable(() => {
  const search = makeSearch();
  const found = search.find(loc);
  if (!found.length) return { state: "none", reason: `no element matches ${inWords(loc)}${alternatives(loc, search)}` };
  const visible = found.filter((el) => !whyNot(el));
  const usable = visible.filter((el) => !isInClosedChoice(el));
  const seen = usable.length ? usable : visible;
  if (seen.length === 1) return { el: seen[0] };
  if (!seen.length) {
    return found.length === 1 ? { el: found[0] } :
      { state: "hidden", reason: `none of ${found.length} elements that match ${inWords(loc)} is visible: ${whyNot(found[0])}` };
  }
  return { state: "ambiguous", reason: `${seen.length} elements match ${inWords(loc)}: ${listed(seen, search)}` };
});

const RETARGET = { fill: `${EDITABLE}, select`, type: `${EDITABLE}, select`, check: CHECKABLE, select: "select", upload: "input[type=file]" };
const NOUNS = { fill: "a field", type: "a field", check: "a checkbox or radio button", select: "a <select>" };

const retarget = (el, purpose) => {
  const selector = RETARGET[purpose];
  if (!selector) return { el };
  const control = controlOf(el, selector);
  if (control) return { el: control };
  return purpose === "upload" ? { el } : { state: "wrong", reason: `${outerTag(el)} is not ${NOUNS[purpose]}` };
};

const INTERACTIVE = "button, a[href], label, input, select, textarea, summary, option, [role=button], [role=link], " +
  "[role=tab], [role=menuitem], [role=option], [role=checkbox], [role=radio], [role=switch]";

const isHit = (el, hit) => {
  if (contains(el, hit)) return true;
  if (labelsOf(el).some((label) => contains(label, hit))) return true;
  if (el.closest("label")?.control === hit) return true;
  return contains(hit, el) && (hit.matches(INTERACTIVE) || getComputedStyle(el).pointerEvents === "none");
};

const topAt = (x, y) => stackAt(x, y)[0];

const largestRect = (el) => {
  const area = (rect) => rect.width * rect.height;
  const rects = [...el.getClientRects()].sort((a, b) => area(b) - area(a));
  return rects.length && area(rects[0]) ? rects[0] : boxOf(el);
};

const pointAt = (el) => {
  const part = overlap(unclipped(el, largestRect(el), false) || { left: 0, top: 0, right: 0, bottom: 0 }, viewport());
  if (!part) return { state: "hidden", reason: `${outerTag(el)} cannot be scrolled into view` };
  let cover = null;
  const points = [];
  for (const [x, y] of pointsOf(part)) {
    const hit = topAt(x, y);
    if (hit && isHit(el, hit)) points.push([x, y]);
    else cover = cover || hit;
    if (points.length && !stage) break; // in a frame the documents around it have a say
  }
  if (points.length) return { x: points[0][0], y: points[0][1], points, shown: outerTag(el) };
  return { state: "covered", reason: `${outerTag(el)} is covered by ${cover ? describe(cover) : "nothing that can be hit"}` };
};

const isSameBox = (a, b) => ["x", "y", "width", "height"].every((key) => Math.abs(a[key] - b[key]) < 0.5);

const whyNotUsable = (el, purpose) => {
  if (purpose === "upload" && el.matches("input[type=file]")) return isEnabled(el) ? null : "disabled";
  const why = whyNot(el);
  if (why && !why.startsWith("covered")) return `${outerTag(el)} is not visible: ${why}`;
  if (purpose !== "hover" && !isEnabled(el)) return `${outerTag(el)} is disabled`;
  return (purpose === "fill" || purpose === "type") && el.readOnly ? `${outerTag(el)} is read only` : null;
};

// Found, unique, visible, enabled, standing still, not covered: in this order, so that the reason is the first that fails.
const aim = async (target, purpose) => {
  const found = typeof target === "string" ? byRef(target) : byLocator(target);
  if (!found.el) return found;
  const use = retarget(found.el, purpose);
  if (!use.el) return use;
  const el = use.el;
  const unusable = withEverythingHittable(() => whyNotUsable(el, purpose));
  if (unusable) return { state: "unusable", reason: unusable };
  aimed = el;
  const facts = { state: "ready", tag: el.localName, type: el.type || "", checked: checkedOf(el) };
  if (purpose === "upload" && el.matches("input[type=file]")) return facts;
  const point = whyNotOwn(el) && labelShown(el) ? labelShown(el) : el;
  if (!isInViewport(point)) {
    point.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    if (stage && scrolledTo !== point) { // the frame itself may have moved: look at it again
      scrolledTo = point;
      return { state: "moving", reason: `${outerTag(point)} is scrolled into view` };
    }
  }
  const before = boxOf(point);
  await frame();
  if (!point.isConnected) return { state: "moving", reason: `${outerTag(point)} was replaced while it was looked at` };
  if (!isSameBox(before, boxOf(point))) return { state: "moving", reason: `${outerTag(point)} is moving` };
  return { ...facts, ...pointAt(point) };
};

// What is aimed at, made ready for the keyboard where the purpose needs it.
const readied = (purpose, value) => {
  if (purpose === "press" || purpose === "type") focusEnd();
  return purpose === "fill" && aimed.localName !== "select" ? prepareFill(value) : {};
};

const aimReadily = async (target, purpose, value) => {
  const answer = await aim(target, purpose);
  return answer.reason ? answer : { ...answer, ...readied(purpose, value) };
};

const SET_DIRECTLY = ["date", "time", "datetime-local", "month", "week", "color", "range"];

const tell = (el, ...types) => types.forEach((type) => el.dispatchEvent(new Event(type, { bubbles: true, composed: true })));

const setNative = (el, value) => {
  const proto = el.localName === "textarea" ? HTMLTextAreaElement : el.localName === "select" ? HTMLSelectElement : HTMLInputElement;
  Object.getOwnPropertyDescriptor(proto.prototype, "value").set.call(el, value);
};

// Ready a field for typing: focused and all of it selected. Pickers, which nobody types into, are set here.
const prepareFill = (value) => {
  aimed.focus();
  if (SET_DIRECTLY.includes(aimed.type)) {
    setNative(aimed, value);
    tell(aimed, "input", "change");
    return aimed.value === value ? { done: true } :
      { state: "wrong", reason: `${outerTag(aimed)} does not take ${quoted(value)}` };
  }
  if (typeof aimed.select === "function") aimed.select();
  else getSelection().selectAllChildren(aimed);
  return { done: false, empty: !(aimed.value ?? aimed.textContent) };
};

const focusEnd = () => {
  aimed.focus();
  if (typeof aimed.setSelectionRange === "function" && /^(text|search|url|tel|password|textarea)$/.test(aimed.type)) {
    aimed.setSelectionRange(aimed.value.length, aimed.value.length);
  } else if (aimed.isContentEditable) {
    getSelection().selectAllChildren(aimed);
    getSelection().collapseToEnd();
  }
};

const choose = (value) => {
  const options = [...aimed.options];
  const option = options.find((each) => fold(each.label) === fold(value)) || options.find((each) => each.value === value);
  if (!option) return `no option ${quoted(value)}; options: ${options.slice(0, 20).map((each) => quoted(fold(each.label))).join(", ")}`;
  if (option.disabled) return `option ${quoted(value)} is disabled`;
  aimed.focus();
  const changed = !option.selected || aimed.multiple;
  option.selected = true;
  if (changed) tell(aimed, "input", "change");
  return "";
};

const checkedNow = () => checkedOf(aimed);
const isAimedThere = () => aimed.isConnected;
const theAimed = () => aimed;

// When anything in the document last changed.
let stirred = performance.now();
new MutationObserver(() => (stirred = performance.now()))
  .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });

// Resolves when the document is loaded, and neither has anything in it changed for `calm` milliseconds nor was the last
// act nearer, which is `ago` milliseconds past; at the latest after `limit`.
const settle = (calm, ago, limit) => new Promise((done) => {
  const started = performance.now();
  const look = (now = performance.now()) => {
    const left = calm - (now - Math.max(stirred, started - ago));
    const isCalm = document.readyState === "complete" && left <= 0;
    if (!isCalm && now - started < limit) return setTimeout(look, Math.min(Math.max(left, 5), calm / 3));
    return done({ calm: isCalm, at_once: now === started });
  };
  look(started);
});

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const LOOK_MS = 8;
const PARTS = 3;

// What the locators match now and in each other state of the page during the next milliseconds, the last one last: it
// is watched for as long, if it comes within the first time. Looked at after every change of the document, and a few
// times anyway: a value or a style changes without one.
const watch = async (seconds, locators, attributes, styles, asked) => {
  const started = performance.now(), during = seconds * 1000;
  const moments = [];
  let last = "", looked = 0, end = started + during;
  const look = () => {
    const at = performance.now();
    const seen = observe(locators, attributes, styles, asked);
    looked = performance.now();
    const said = JSON.stringify(seen);
    if (said !== last) {
      moments.push({ at_seconds: (at - started) / 1000, observations: seen });
      end = Math.min(at, started + during) + during;
    }
    last = said;
  };
  look();
  for (let now = performance.now(); now < end; now = performance.now()) {
    await pause(Math.min(LOOK_MS, end - now));
    if (stirred > looked || performance.now() - looked > during / PARTS) look();
  }
  if (during) look();
  return { moments, seconds: (performance.now() - started) / 1000 };
};

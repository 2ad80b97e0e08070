// Taking away what makes an application work: its event handlers, its changes of the page, what it stores.

let frozen = null;

const EVENTS = ["click", "dblclick", "auxclick", "contextmenu", "mousedown", "mouseup", "mousemove", "mouseover",
  "mouseout", "mouseenter", "mouseleave", "pointerdown", "pointerup", "pointermove", "pointerover", "pointerenter",
  "pointerout", "pointerleave", "keydown", "keypress", "keyup", "beforeinput", "input", "change", "submit", "focus",
  "focusin", "focusout", "blur", "dragstart", "drag", "dragenter", "dragover", "dragleave", "drop", "dragend",
  "hashchange", "popstate", "storage", "toggle", "close", "cancel"];

// Registered before any script of the page, so that nothing of the page runs before it.
for (const type of EVENTS) {
  addEventListener(type, (event) => {
    if (frozen === "handlers") event.stopImmediatePropagation();
  }, { capture: true, passive: true });
}

const revert = (record) => {
  const { target, type } = record;
  if (type === "characterData") target.data = record.oldValue;
  else if (type === "attributes") {
    if (record.oldValue === null) target.removeAttributeNS(record.attributeNamespace, record.attributeName);
    else target.setAttributeNS(record.attributeNamespace, record.attributeName, record.oldValue);
  } else {
    for (const node of record.addedNodes) if (node.parentNode === target) node.remove();
    const next = record.nextSibling?.parentNode === target ? record.nextSibling : null;
    for (const node of record.removedNodes) target.insertBefore(node, next);
  }
};

const domObserver = new MutationObserver((records) => {
  for (const record of [...records].reverse()) revert(record);
  domObserver.takeRecords();
});

const stored = (area) => {
  try {
    return Object.entries(globalThis[area]);
  } catch {
    return [];
  }
};

const readStorage = () => ({ origin: location.origin, local: stored("localStorage"), session: stored("sessionStorage") });

const putStorage = (kept) => {
  if (location.origin !== kept.origin) return;
  for (const [area, entries] of [["localStorage", kept.local], ["sessionStorage", kept.session]]) {
    globalThis[area].clear();
    for (const [key, value] of entries) globalThis[area].setItem(key, value);
  }
};

const freeze = (mode) => {
  frozen = mode;
  domObserver.disconnect();
  if (mode === "dom") {
    domObserver.observe(document, { subtree: true, childList: true, attributes: true, attributeOldValue: true,
      characterData: true, characterDataOldValue: true });
  }
  return true;
};

// A document inside another: where it is shown there, and what of it a person sees. Each call tells it anew (`staged`).

const NOTHING = { left: 0, top: 0, right: 0, bottom: 0 };

const inFrame = (part, at) => (part ? { left: (part.left - at.x) / at.sx, right: (part.right - at.x) / at.sx,
  top: (part.top - at.y) / at.sy, bottom: (part.bottom - at.y) / at.sy } : NOTHING);

const isInside = (el, loc, search) => {
  if (stage?.inside.includes(JSON.stringify(loc))) return true;
  const outer = new Set(search.find(loc));
  for (let up = el; up; up = parentOf(up)) if (outer.has(up)) return true;
  return false;
};

// Of the frame that `owner` shows: offset and scale, the part in view, the part that scrolling can bring into view.
const stageOf = (owner, insides) => withEverythingHittable(() => {
  const rect = owner.getBoundingClientRect(), style = getComputedStyle(owner);
  const px = (name) => parseFloat(style[name]) || 0;
  const at = { sx: rect.width / owner.offsetWidth || 1, sy: rect.height / owner.offsetHeight || 1 };
  at.x = rect.left + (owner.clientLeft + px("paddingLeft")) * at.sx;
  at.y = rect.top + (owner.clientTop + px("paddingTop")) * at.sy;
  const box = { left: at.x, right: at.x + (owner.clientWidth - px("paddingLeft") - px("paddingRight")) * at.sx,
    top: at.y, bottom: at.y + (owner.clientHeight - px("paddingTop") - px("paddingBottom")) * at.sy };
  const why = stage?.why || whyNot(owner);
  const search = makeSearch();
  return { ...at, why: why.startsWith("covered") ? "" : why, // a part of it may stick out: asked for each element
    shown: inFrame(overlap(unclipped(owner, box, false) || NOTHING, viewport()), at),
    room: inFrame(overlap(unclipped(owner, box, true) || NOTHING, box) || box, at), // all of it where scrolling brings it
    inside: insides.filter((loc) => isInside(owner, loc, search)).map((loc) => JSON.stringify(loc)) };
});

// What lies over a frame at these points, for an eye and for the mouse.
const covers = (owner, points) => withEverythingHittable(() => points.map(([x, y]) => {
  const { cover } = coverAt(owner, [x, y], false);
  return cover ? describe(cover) : "";
}));

const hits = (owner, points) => points.map(([x, y]) => {
  const hit = topAt(x, y);
  return hit && isHit(owner, hit) ? "" : hit ? describe(hit) : "nothing that can be hit";
});

// Points of an element that nothing in its own document covers.
const shownPoints = (el) => {
  const part = overlap(unclipped(el, boxOf(el), false) || NOTHING, viewport());
  return part ? pointsOf(part).filter((point) => !coverAt(el, point, false).cover) : [];
};

const locate = (loc) => withEverythingHittable(() => {
  const search = makeSearch();
  const found = search.find(loc);
  const seen = found.filter((el) => !whyNot(el));
  return { found: found.length, seen: seen.length, tags: listed(seen, search) };
});

const staged = (where, name, ...args) => {
  stage = where;
  return globalThis.harness[name](...args);
};

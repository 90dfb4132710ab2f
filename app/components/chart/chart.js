const REACH = { mouse: 14, touch: 22, pen: 22 }; // pixels from a mark at which it still answers
const REST = 120; // milliseconds: a held arrow key tells Python where it stopped, not where it passed
const MARKS = {
  dot: shapeOf('circle', { r: 5 }), ring: shapeOf('circle', { r: 4.6 }), expected: shapeOf('circle', { r: 5 }),
  diamond: shapeOf('path', { d: 'M0-6.4 6.4 0 0 6.4-6.4 0z' }), edge: shapeOf('path', { d: 'M0-6.4 6.4 0 0 6.4-6.4 0z' }),
  running: () => shape('g', {}, shape('circle', { r: 5 }), shape('path', { class: 'half', d: 'M0-5A5 5 0 0 1 0 5Z' })),
  triangle: shapeOf('path', { d: 'M0-6 6 5H-6z' }), square: shapeOf('path', { d: 'M-4.6-4.6h9.2v9.2h-9.2z' }),
  cross: shapeOf('path', { d: 'M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5' }),
};
const mine = Math.random().toString(36).slice(2); // ids must differ between two charts of a page
let view = null, nodes = [], order = [], active = null, telling = 0;

function shapeOf(tag, attributes) {
  return () => shape(tag, attributes);
}

// ---- parts that stand still ----
const ground = shape('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
const axes = make('div', { class: 'axes', 'aria-hidden': 'true' });
const marks = make('div', { class: 'marks', role: 'listbox', tabindex: 0 });
const names = make('div', { class: 'names', 'aria-hidden': 'true' });
const tip = make('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
const empty = make('p', { class: 'cl-note none' });
const plot = make('div', { class: 'plot' }, ground, axes, names, marks, tip);
const legend = make('p', { class: 'legend' });
const up = make('span'), hint = make('span'), across = make('span'), note = make('span');
set(root, {}, legend, make('p', { class: 'cl-note head' }, up, hint), empty, plot, make('p', { class: 'cl-note foot' }, across, note));

// ---- one value ----
const d = (points, close = '') => `M${points.map(([x, y]) => `${x} ${100 - y}`).join('L')}${close}`;

function drawGround({ x, y, lines = [], cloud = [], band = [], limit = null }) {
  const dots = cloud.map(([px, py]) => `M${px} ${100 - py}h0`).join('');
  const area = [...band.map(([px, low]) => [px, low]), ...band.map(([px, , high]) => [px, high]).reverse()];
  ground.replaceChildren(...[
    ...y.ticks.map(({ place }) => shape('path', { class: 'grid', d: d([[0, place], [100, place]]) })),
    dots && shape('path', { class: 'cloud', d: dots }), band.length && shape('path', { class: 'band', d: d(area, 'Z') }),
    ...lines.filter((one) => one.points.length > 1).map((one) => shape('path', { class: 'line', 'data-kind': one.kind, d: d(one.points) })),
    limit && shape('path', { class: 'limit', d: d(limit.y === undefined ? [[limit.x, 0], [limit.x, 100]] : [[0, limit.y], [100, limit.y]]) })].filter(Boolean));
  axes.replaceChildren(...y.ticks.map(({ place, text }) => make('span', { class: 'ty', '--at': place }, text)),
    ...x.ticks.map(({ place, text }) => make('span', { class: 'tx', '--at': place }, text)),
    ...(limit ? [make('output', { '--at': limit.y ?? limit.x, 'data-across': limit.y === undefined }, limit.text)] : []));
}

const figure = (name) => shape('svg', { viewBox: '-12 -12 24 24', 'aria-hidden': 'true', 'data-mark': name }, (MARKS[name] ?? MARKS.dot)());

function mark(point, i) {
  return make('div', { class: 'pt', role: 'option', id: `pt-${mine}-${i}`, 'data-id': point.id, '--x': point.x, '--y': point.y,
    'aria-label': [point.name, ...point.lines].join(', ') }, figure(point.mark));
}

function draw(value) {
  view = value ?? { points: [], empty: '' };
  plot.hidden = !view.points.length;
  empty.hidden = Boolean(view.points.length);
  empty.textContent = view.empty ?? '';
  for (const [node, text] of [[up, view.y?.name], [hint, view.hint], [across, view.x?.name], [note, view.note]]) node.textContent = (view.points.length && text) || '';
  legend.replaceChildren(...(view.legend ?? []).map(({ mark: name, text }) => make('span', {}, figure(name), text)));
  clearTimeout(telling);
  point(null);
  nodes = view.points.map(mark);
  order = view.points.map((_, i) => i).sort((a, b) => view.points[a].x - view.points[b].x || view.points[a].y - view.points[b].y);
  set(marks, { 'aria-label': `${view.title ?? 'Chart'}: arrow keys go from mark to mark, Enter opens` });
  marks.replaceChildren(...nodes);
  if (!view.points.length) return;
  drawGround(view);
  const at = view.points.findIndex((one) => one.id === view.chosen);
  choose(at < 0 ? null : at);
  label();
}

// ---- the chosen mark ----
function choose(i) {
  active = i;
  nodes.forEach((node, k) => node.setAttribute('aria-selected', k === i));
  set(marks, { 'aria-activedescendant': i === null ? null : nodes[i].id });
}

function pick(i, rest = 0) {
  choose(i);
  clearTimeout(telling);
  const { id } = view.points[i];
  telling = setTimeout(() => trigger('choose', { id }), rest);
}

const place = (i) => [view.points[i].x / 100 * marks.clientWidth, (1 - view.points[i].y / 100) * marks.clientHeight];

// The marks within reach of the pointer: the nearest and all that stand on the same spot.
function near(event) {
  const box = marks.getBoundingClientRect();
  const far = nodes.map((_, i) => Math.hypot(...place(i).map((at, k) => at - (k ? event.clientY - box.top : event.clientX - box.left))));
  const least = Math.min(...far);
  return least > (REACH[event.pointerType] ?? REACH.mouse) ? [] : order.filter((i) => far[i] < least + 1);
}

marks.onpointermove = (event) => {
  const here = event.pointerType === 'mouse' ? near(event) : [];
  point(here[0] ?? null, here.length);
};
marks.onpointerleave = () => point(null);
marks.onclick = (event) => {
  if (event.detail > 1) return; // the second of a double click opens what the first has chosen
  const here = near(event);
  if (here.length) pick(here[(here.indexOf(active) + 1) % here.length]);
  if (here.length) point(active, here.length);
};
marks.ondblclick = (event) => { if (near(event).length && active !== null) trigger('open', { id: view.points[active].id }); };
marks.onfocus = () => { if (active !== null && marks.matches(':focus-visible')) point(active); };
marks.onblur = () => point(null);
marks.onkeydown = (event) => {
  const at = order.indexOf(active), last = order.length - 1;
  const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at < 0 ? last : at - 1, ArrowDown: at < 0 ? last : at - 1, Home: 0, End: last }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    pick(order[Math.max(0, Math.min(last, to))], REST);
    point(active);
  } else if (event.key === 'Enter' && active !== null) {
    event.preventDefault();
    trigger('open', { id: view.points[active].id });
  } else if (event.key === 'Escape') point(null);
};

// ---- what is said beside a mark ----
function point(i, many = 1) {
  tip.hidden = i === null;
  set(marks, { 'data-near': i !== null });
  nodes.forEach((node, k) => node.toggleAttribute('data-pointed', k === i));
  if (i === null) return;
  const { name, lines, x, y, picture } = view.points[i];
  const more = many > 1 ? [`and ${many - 1} more on this spot: click again`] : [];
  set(tip, { '--x': x, '--y': y, 'data-left': x > 55, 'data-up': y < 40 }, picture && make('img', { src: picture, alt: '' }), make('b', {}, name), ...[...lines, ...more].map((line) => make('span', {}, line)));
}

// Names beside their marks, where there is room; the strong ones first.
function label() {
  const width = marks.clientWidth, height = marks.clientHeight;
  names.replaceChildren();
  if (!width) return;
  const taken = nodes.map((_, i) => { const [x, y] = place(i); return [x - 6, y - 6, x + 6, y + 6]; });
  const named = view.points.map((_, i) => i).filter((i) => view.points[i].label).sort((a, b) => view.points[b].strong - view.points[a].strong);
  for (const i of named) {
    const name = make('span', { class: view.points[i].strong && 'strong' }, view.points[i].label), [x, y] = place(i);
    names.append(name);
    const w = name.offsetWidth, h = 13;
    const spots = [[11, -6.5], [-11 - w, -6.5], [-w / 2, -21], [-w / 2, 9], [9, -18], [9, 6], [-9 - w, -18], [-9 - w, 6]]
      .map(([dx, dy]) => [x + dx, y + dy, x + dx + w, y + dy + h]);
    const free = spots.find(([left, top, right, bottom]) => left > 2 && right < width + 14 && top > 0 && bottom < height
      && !taken.some((box) => left < box[2] && right > box[0] && top < box[3] && bottom > box[1]));
    if (!free) { name.remove(); continue; }
    set(name, { '--left': `${free[0]}px`, '--top': `${free[1]}px` });
    taken.push(free);
  }
}

new ResizeObserver(() => { if (view?.points.length) label(); }).observe(plot);
keep(draw);

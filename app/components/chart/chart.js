import { make, set, shape } from '../base/dom.js';
import { markOf } from './marks.js';
import {
  bandPath,
  cloudPath,
  freeSpot,
  inOrder,
  limitPath,
  marksNear,
  pathOf,
  pixelsOf,
  placeByKey,
} from './places.js';

const REACH = { mouse: 14, touch: 22, pen: 22 }; // pixels around a mark within which it reacts
const REST = 120; // milliseconds: while an arrow key is held down, Python gets only the last mark
const LABEL = 13; // pixels: height of a label

export function mount({ root, trigger, keep }) {
  const mine = Math.random().toString(36).slice(2); // ids must differ between two charts of a page
  let view = null;
  let nodes = [];
  let order = []; // indices of the marks from left to right
  let active = null; // index of the chosen mark
  let timer = 0;

  const ground = shape('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const axes = make('div', { class: 'axes', 'aria-hidden': 'true' });
  const marks = make('div', { class: 'marks', role: 'listbox', tabindex: 0 });
  const names = make('div', { class: 'names', 'aria-hidden': 'true' });
  const tip = make('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
  const empty = make('p', { class: 'cl-note none' });
  const plot = make('div', { class: 'plot' }, ground, axes, names, marks, tip);
  const legend = make('p', { class: 'legend' });
  const [up, hint, across, note] = Array.from({ length: 4 }, () => make('span'));
  set(
    root,
    {},
    legend,
    make('p', { class: 'cl-note head' }, up, hint),
    empty,
    plot,
    make('p', { class: 'cl-note foot' }, across, note),
  );

  function draw(value) {
    view = value ?? { points: [], empty: '' };
    const some = view.points.length > 0;
    plot.hidden = !some;
    empty.hidden = some;
    empty.textContent = view.empty ?? '';
    for (const [node, text] of [
      [up, view.y?.name],
      [hint, view.hint],
      [across, view.x?.name],
      [note, view.note],
    ]) {
      node.textContent = (some && text) || '';
    }
    legend.replaceChildren(
      ...(view.legend ?? []).map(({ mark, text }) => make('span', {}, markOf(mark), text)),
    );
    clearTimeout(timer);
    point(null);
    nodes = view.points.map(option);
    order = inOrder(view.points);
    set(marks, { 'aria-label': `${view.title ?? 'Chart'}: arrow keys go from mark to mark, Enter opens` });
    marks.replaceChildren(...nodes);
    if (!some) return;
    drawGround();
    drawAxes();
    const chosen = view.points.findIndex(({ id }) => id === view.chosen);
    choose(chosen < 0 ? null : chosen);
    label();
  }

  function drawGround() {
    const { y, lines = [], cloud = [], band = [], limit = null } = view;
    const path = (kind, d, more = {}) => shape('path', { class: kind, d, ...more });
    ground.replaceChildren(
      ...[
        ...y.ticks.map(({ place }) =>
          path(
            'grid',
            pathOf([
              [0, place],
              [100, place],
            ]),
          ),
        ),
        cloud.length && path('cloud', cloudPath(cloud)),
        band.length && path('band', bandPath(band)),
        ...lines
          .filter(({ points }) => points.length > 1)
          .map(({ kind, points }) => path('line', pathOf(points), { 'data-kind': kind })),
        limit && path('limit', limitPath(limit)),
      ].filter(Boolean),
    );
  }

  function drawAxes() {
    const { x, y, limit } = view;
    const texts = (kind, ticks) =>
      ticks.map(({ place, text }) => make('span', { class: kind, '--at': place }, text));
    const pill =
      limit &&
      make('output', { '--at': limit.y ?? limit.x, 'data-across': limit.y === undefined }, limit.text);
    axes.replaceChildren(...texts('ty', y.ticks), ...texts('tx', x.ticks), ...(pill ? [pill] : []));
  }

  function option({ id, x, y, mark, name, lines }, i) {
    return make(
      'div',
      {
        class: 'pt',
        role: 'option',
        id: `pt-${mine}-${i}`,
        'data-id': id,
        '--x': x,
        '--y': y,
        'aria-label': [name, ...lines].join(', '),
      },
      markOf(mark),
    );
  }

  // ---- the chosen mark ----
  function choose(i) {
    active = i;
    for (const [k, node] of nodes.entries()) node.setAttribute('aria-selected', k === i);
    set(marks, { 'aria-activedescendant': i === null ? null : nodes[i].id });
  }

  function pick(i, rest = 0) {
    choose(i);
    clearTimeout(timer);
    const { id } = view.points[i];
    timer = setTimeout(() => trigger('choose', { id }), rest);
  }

  const size = () => ({ width: marks.clientWidth, height: marks.clientHeight });
  const places = () => view.points.map((at) => pixelsOf(at, size()));

  function near(event) {
    const box = marks.getBoundingClientRect();
    const pointer = [event.clientX - box.left, event.clientY - box.top];
    return marksNear(places(), order, pointer, REACH[event.pointerType] ?? REACH.mouse);
  }

  marks.onpointermove = (event) => {
    const here = event.pointerType === 'mouse' ? near(event) : [];
    point(here[0] ?? null, here.length);
  };
  marks.onpointerleave = () => point(null);
  marks.onclick = (event) => {
    if (event.detail > 1) return; // the second click of a double click opens the chosen mark
    const here = near(event);
    if (!here.length) return;
    pick(here[(here.indexOf(active) + 1) % here.length]);
    point(active, here.length);
  };
  marks.ondblclick = (event) => {
    if (near(event).length && active !== null) trigger('open', { id: view.points[active].id });
  };
  marks.onfocus = () => {
    if (active !== null && marks.matches(':focus-visible')) point(active);
  };
  marks.onblur = () => point(null);
  marks.onkeydown = (event) => {
    const to = placeByKey(event.key, order.indexOf(active), order.length);
    if (to !== undefined) {
      event.preventDefault();
      pick(order[to], REST);
      point(active);
    } else if (event.key === 'Enter' && active !== null) {
      event.preventDefault();
      trigger('open', { id: view.points[active].id });
    } else if (event.key === 'Escape') point(null);
  };

  // ---- texts beside the marks ----
  // Show a mark's facts. `count`: marks on its spot.
  function point(i, count = 1) {
    tip.hidden = i === null;
    set(marks, { 'data-near': i !== null });
    for (const [k, node] of nodes.entries()) node.toggleAttribute('data-pointed', k === i);
    if (i === null) return;
    const { name, lines, x, y, picture } = view.points[i];
    const more = count > 1 ? [`and ${count - 1} more on this spot: click again`] : [];
    set(
      tip,
      { '--x': x, '--y': y, 'data-left': x > 55, 'data-up': y < 40 },
      picture && make('img', { src: picture, alt: '' }),
      make('b', {}, name),
      ...[...lines, ...more].map((line) => make('span', {}, line)),
    );
  }

  // Put labels beside their marks where they have room; the strong ones first.
  function label() {
    const plotSize = size();
    names.replaceChildren();
    if (!plotSize.width) return;
    const spots = places();
    const taken = spots.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
    const labelled = view.points
      .map((_, i) => i)
      .filter((i) => view.points[i].label)
      .sort((a, b) => view.points[b].strong - view.points[a].strong);
    for (const i of labelled) {
      const name = make('span', { class: view.points[i].strong && 'strong' }, view.points[i].label);
      names.append(name);
      const free = freeSpot(spots[i], { width: name.offsetWidth, height: LABEL }, plotSize, taken);
      if (free) {
        set(name, { '--left': `${free[0]}px`, '--top': `${free[1]}px` });
        taken.push(free);
      } else name.remove();
    }
  }

  new ResizeObserver(() => {
    if (view?.points.length) label();
  }).observe(plot);
  keep(draw);
}

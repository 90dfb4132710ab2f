import { make, set } from '../base/dom.js';
import { fitsInside } from './room.js';

const EMPTY = { rows: [], legend: [], note: '' };

export function mount({ root, keep }) {
  let view = EMPTY;

  function row({ side, label, parts, total }) {
    const main = parts.find(({ name }) => name === 'denoise') ?? parts[0];
    const inside = fitsInside(main.share, root.clientWidth);
    const bars = parts.map(({ name, share, text }) =>
      make(
        'i',
        { 'data-part': name, '--share': share, title: text },
        name === main.name && inside && make('span', {}, text),
      ),
    );
    const words = parts.map(({ text }) => text).join(', ');
    return [
      make('span', { class: 'side' }, label),
      make(
        'span',
        { class: 'bar', 'data-side': side, role: 'img', 'aria-label': words },
        ...bars,
        !inside && make('span', { class: 'after' }, main.text),
      ),
      make('b', {}, total),
    ];
  }

  function draw() {
    const empty = make('p', { class: 'cl-note' }, 'Nothing has run yet.');
    const legend = view.legend.map(({ name, text }) =>
      make('span', {}, make('i', { 'data-part': name }), text),
    );
    set(
      root,
      {},
      make('h3', {}, 'Where the time went'),
      make('div', { class: 'rows' }, ...view.rows.flatMap(row), !view.rows.length && empty),
      make('p', { class: 'legend' }, ...legend, view.note && make('span', { class: 'cl-note' }, view.note)),
    );
  }

  new ResizeObserver(draw).observe(root);
  keep((value) => {
    view = value ?? EMPTY;
    draw();
  });
}

import { make, set } from '../base/dom.js';

export function mount({ root, keep }) {
  keep((value) => {
    const { rows = [], top = '' } = value ?? {};
    const white = top || 'the largest difference';
    const words = `Colours of the difference picture: black is 0, white is ${white}`;
    const facts = rows.flatMap(({ name, text }) => [make('dt', {}, name), make('dd', {}, text)]);
    set(
      root,
      {},
      make('div', { class: 'ramp', role: 'img', 'aria-label': words }),
      make('p', { class: 'ends' }, make('span', {}, '0'), make('span', {}, top)),
      facts.length
        ? make('dl', {}, ...facts)
        : make('p', { class: 'cl-note' }, 'No difference measured yet.'),
    );
  });
}

// Dots on one scale, row by row: prompts and neighbouring settings against the floor.
import { make, set } from '../base/dom.js';

export function mount({ root, keep }) {
  keep((value) => {
    const { title = '', note = '', rows = [], lines = [], ticks = [] } = value ?? {};
    const marks = ticks.map(({ at, text }) => make('span', { '--at': at }, text));
    set(
      root,
      { hidden: !rows.length },
      make('h3', {}, title, note && make('small', {}, note)),
      make(
        'div',
        { class: 'grid' },
        ...rows.flatMap((row) => cells(row, lines)),
        make('span'),
        make('div', { class: 'ticks', 'aria-hidden': 'true' }, ...marks),
        make('span'),
      ),
    );
  });
}

function cells({ label, dots, text, spoken }, lines) {
  return [
    make('span', { class: 'label' }, label),
    make(
      'div',
      { class: 'track', role: 'img', 'aria-label': spoken },
      ...lines.map(({ at, kind }) => make('i', { class: 'line', 'data-kind': kind, '--at': at })),
      ...dots.map(({ at, look }) => make('b', { 'data-look': look, '--at': at })),
    ),
    make('output', {}, text),
  ];
}

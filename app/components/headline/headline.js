import { make, set } from '../base/dom.js';

export function mount({ root, keep }) {
  keep((value) => {
    const open = root.querySelector('details')?.open;
    const view = value ?? { state: 'empty', cards: [] };
    set(
      root,
      {
        class: 'cl-headline cl-card',
        'data-state': view.state,
        role: 'group',
        'aria-label': 'Headline numbers',
      },
      make('div', { class: 'metrics' }, ...view.cards.map(card)),
      view.state !== 'empty' && make('footer', {}, view.published && published(view.published), about(view)),
    );
    if (open) root.querySelector('details').open = true;
  });
}

function card({ name, kind, label, before, num, word, strong, notes, exact, scale }) {
  const big = make(
    'p',
    { class: 'big' },
    before && make('span', {}, before),
    before && make('span', { class: 'arrow' }, '→'),
    make('span', { class: 'num' }, num),
    word && make('small', {}, word),
  );
  return make(
    'div',
    { class: 'metric', 'data-card': name, 'data-kind': kind, title: exact || null },
    make('p', { class: 'cl-kind', 'data-kind': kind }, label),
    big,
    scale && scaleOf(scale, num, word),
    strong && make('p', { class: 'strong' }, strong),
    notes.length && make('p', { class: 'cl-note' }, ...notes.map((note) => make('span', {}, note))),
  );
}

// The zones of likeness on one line; the measured likeness is a mark across the line.
function scaleOf({ place, on, words, ends, band }, num, word) {
  const edges = [0, ...ends, 100];
  const zones = words.map((_, i) =>
    make('i', { class: i === on && 'on', '--from': edges[i], '--to': edges[i + 1] }),
  );
  const names = words.map((name, i) => make('span', { class: i === on && 'on', '--from': edges[i] }, name));
  return make(
    'div',
    { class: 'scale', role: 'img', 'aria-label': word ? `${num}: ${word}` : num },
    ...zones,
    ...names,
    band && make('u', { '--from': band[0], '--to': band[1] }),
    make('em', { '--from': place }),
  );
}

function about({ cards, about: sentences = [] }) {
  const exact = cards
    .filter((each) => each.exact)
    .map((each) => make('li', {}, make('b', {}, `${each.label}: `), each.exact));
  return make(
    'details',
    {},
    make('summary', {}, 'How it was measured'),
    make('ul', {}, ...exact, ...sentences.map((line) => make('li', {}, line))),
  );
}

function published({ text, source }) {
  return make(
    'p',
    { class: 'published' },
    make('span', { class: 'cl-kind', 'data-kind': 'published' }, text),
    source && make('span', {}, source),
  );
}

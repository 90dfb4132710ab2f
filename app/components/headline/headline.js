function card(one) {
  const big = make('p', { class: 'big' }, one.before && make('span', {}, one.before), one.before && make('span', { class: 'arrow' }, '→'),
    make('span', { class: 'num' }, one.num), one.word && make('small', {}, one.word));
  return make('div', { class: 'metric', 'data-card': one.name, 'data-kind': one.kind, title: one.exact || null },
    make('p', { class: 'cl-kind', 'data-kind': one.kind }, one.label), big, one.scale && scale(one),
    one.strong && make('p', { class: 'strong' }, one.strong),
    one.notes.length && make('p', { class: 'cl-note' }, ...one.notes.map((note) => make('span', {}, note))));
}

// The zones of likeness on one line, the measured place as a mark across it.
function scale({ scale: { place, on, words, ends, band }, num, word }) {
  const edges = [0, ...ends, 100];
  const zones = words.map((_, i) => make('i', { class: i === on && 'on', '--from': edges[i], '--to': edges[i + 1] }));
  const names = words.map((name, i) => make('span', { class: i === on && 'on', '--from': edges[i] }, name));
  return make('div', { class: 'scale', role: 'img', 'aria-label': `${num}${word ? `: ${word}` : ''}` }, ...zones, ...names,
    band && make('u', { '--from': band[0], '--to': band[1] }), make('em', { '--from': place }));
}

function about(value) {
  const exact = value.cards.filter((one) => one.exact).map((one) => make('li', {}, make('b', {}, `${one.label}: `), one.exact));
  return make('details', {}, make('summary', {}, 'How it was measured'),
    make('ul', {}, ...exact, ...(value.about ?? []).map((line) => make('li', {}, line))));
}

function published({ text, source }) {
  return make('p', { class: 'published' }, make('span', { class: 'cl-kind', 'data-kind': 'published' }, text), source && make('span', {}, source));
}

keep((value) => {
  const open = root.querySelector('details')?.open;
  const shown = value ?? { state: 'empty', cards: [] };
  set(root, { class: 'cl-headline cl-card', 'data-state': shown.state, role: 'group', 'aria-label': 'Headline numbers' },
    make('div', { class: 'metrics' }, ...shown.cards.map(card)),
    shown.state !== 'empty' && make('footer', {}, shown.published && published(shown.published), about(shown)));
  if (open) root.querySelector('details').open = true;
});

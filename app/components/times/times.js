const WORDS = 100, BESIDE = 150; // pixels: what a bar needs to carry its own words, and what stands left and right of the bars

function row(side) {
  const main = side.parts.find((part) => part.name === 'denoise') ?? side.parts[0];
  const inside = main.share * (root.clientWidth - BESIDE) >= WORDS;
  const bars = side.parts.map((part) => make('i', { 'data-part': part.name, '--share': part.share, title: part.text },
    part === main && inside && make('span', {}, part.text)));
  return [make('span', { class: 'side' }, side.label),
    make('span', { class: 'bar', 'data-side': side.side, role: 'img', 'aria-label': side.parts.map((part) => part.text).join(', ') },
      ...bars, !inside && make('span', { class: 'after' }, main.text)),
    make('b', {}, side.total)];
}

let shown = null;
new ResizeObserver(() => draw(shown)).observe(root);
keep(draw);

function draw(value) {
  shown = value ?? { rows: [], legend: [], note: '' };
  set(root, {}, make('h3', {}, 'Where the time went'),
    make('div', { class: 'rows' }, ...shown.rows.flatMap(row), !shown.rows.length && make('p', { class: 'cl-note' }, 'Nothing has run yet.')),
    make('p', { class: 'legend' }, ...shown.legend.map((one) => make('span', {}, make('i', { 'data-part': one.name }), one.text)),
      shown.note && make('span', { class: 'cl-note' }, shown.note)));
}

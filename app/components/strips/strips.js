// Dots on one scale, row under row: where prompts and neighbours lie against the floor.
keep((value) => {
  const { title = '', note = '', rows = [], lines = [], ticks = [] } = value ?? {};
  const line = ({ at, kind }) => make('i', { class: 'line', 'data-kind': kind, '--at': at });
  const cells = rows.flatMap(({ label, dots, text, told }) => [make('span', { class: 'label' }, label),
    make('div', { class: 'track', role: 'img', 'aria-label': told }, ...lines.map(line), ...dots.map(({ at, look }) => make('b', { 'data-look': look, '--at': at }))),
    make('output', {}, text)]);
  set(root, { hidden: !rows.length }, make('h3', {}, title, note && make('small', {}, note)), make('div', { class: 'grid' }, ...cells,
    make('span'), make('div', { class: 'ticks', 'aria-hidden': 'true' }, ...ticks.map(({ at, text }) => make('span', { '--at': at }, text))), make('span')));
});

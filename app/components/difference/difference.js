keep((value) => {
  const { rows = [], top = '' } = value ?? {};
  const facts = rows.flatMap((row) => [make('dt', {}, row.name), make('dd', {}, row.text)]);
  set(root, {}, make('div', { class: 'ramp', role: 'img', 'aria-label': `Colours of the difference picture: black is 0, white is ${top || 'the most'}` }),
    make('p', { class: 'ends' }, make('span', {}, '0'), make('span', {}, top)),
    facts.length ? make('dl', {}, ...facts) : make('p', { class: 'cl-note' }, 'No difference measured yet.'));
});

keep((value) => {
  const { title = '', kind = '', code = '', bars = [], facts = [], notes = [] } = value ?? {};
  const scales = bars.flatMap(({ name, share, text, look }) => [make('span', {}, name), make('span', { class: 'bar' }, make('i', { '--share': share, 'data-look': look })), make('output', {}, text)]);
  const rows = facts.flatMap(({ name, text }) => [make('dt', {}, name), make('dd', {}, text)]);
  set(root, {}, make('header', {}, make('h2', {}, title), kind && make('span', { class: 'cl-kind', 'data-kind': kind }, kind)),
    code && make('p', { class: 'code' }, code), bars.length && make('div', { class: 'bars' }, ...scales),
    facts.length && make('dl', {}, ...rows), ...notes.map((line) => make('p', { class: 'said' }, line)));
});

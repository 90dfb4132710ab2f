let lit = new Map(); // title -> whether it was lit: what a reader has opened or closed stays until that changes

keep((value) => {
  const { title = '', notes = [] } = value ?? {};
  const known = new Map([...root.querySelectorAll('details')].map((one) => [one.dataset.title, one]));
  const list = notes.map((note) => {
    const box = known.get(note.title) ?? make('details', { 'data-title': note.title }, make('summary', {}, note.title), make('p', {}, note.text));
    if (lit.get(note.title) !== note.on) box.open = note.on;
    return make('li', { class: note.on && 'on' }, box);
  });
  lit = new Map(notes.map((note) => [note.title, note.on]));
  set(root, { class: 'cl-notes cl-card', role: 'group', 'aria-label': title }, make('header', {}, make('h2', {}, title)), make('ol', {}, ...list));
});

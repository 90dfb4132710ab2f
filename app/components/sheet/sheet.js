let view = null, sorted = [], sort = null, active = 0;
const body = make('tbody'), heads = make('tr');
const count = make('span', { class: 'cl-note' }), note = make('p', { class: 'cl-note foot' }), none = make('p', { class: 'cl-note none' });
const save = make('button', { type: 'button', class: 'cl-btn save' }, 'CSV');
const title = make('h2'), table = make('table', {}, make('thead', {}, heads), body), tall = make('div', { class: 'tall' }, table);
set(root, { class: 'cl-sheet cl-card', role: 'group' }, make('header', {}, title, count, save), none, tall, note);

const MARKS = { ring: '○', dot: '●', running: '◑', diamond: '◆', triangle: '▲', cross: '×', square: '■', pinned: '★', expected: '◌', edge: '◆' };

function head({ text, kind }, i) {
  const button = make('button', { type: 'button' }, text);
  button.onclick = () => { sort = { column: i, down: sort.column === i ? !sort.down : i > 0 }; arrange(); };
  return make('th', { scope: 'col', class: kind, 'aria-sort': sort.column === i ? (sort.down ? 'descending' : 'ascending') : null }, button);
}

function row({ id, mark, tag, mono, picture, cells }, i) {
  const name = make('button', { type: 'button', class: mono && 'mono', tabindex: i === active ? 0 : -1 }, ...broken(cells[0].text));
  const line = make('tr', { 'data-id': id, class: id === view.chosen && 'on' },
    make('td', {}, make('i', { 'data-mark': mark, 'aria-hidden': 'true' }, MARKS[mark] ?? ''), picture && make('img', { src: picture, alt: '', loading: 'lazy' }), name, tag && make('span', { class: 'tag' }, tag)),
    ...cells.slice(1).map((cell, k) => make('td', { class: view.columns[k + 1].kind }, cell.strip ? strip(cell.strip) : cell.text)));
  if (id === view.chosen) name.setAttribute('aria-current', 'true');
  line.onclick = () => { view.chosen = id; active = i; arrange(name.matches(':focus')); trigger('choose', { id }); };
  return line;
}

// None stands last, whichever way the column is sorted.
function before(a, b) {
  const [one, two] = [a, b].map(({ cells }) => cells[sort.column].sort);
  if (one === null || two === null) return (one === null) - (two === null);
  return (one < two ? -1 : one > two ? 1 : 0) * (sort.down ? -1 : 1);
}

function arrange(focus = false) {
  sorted = [...view.rows].sort(before);
  active = Math.max(0, sorted.findIndex(({ id }) => id === view.chosen));
  const headed = heads.contains(document.activeElement) ? [...heads.children].indexOf(document.activeElement.closest('th')) : -1;
  heads.replaceChildren(...view.columns.map(head));
  if (headed >= 0) heads.children[headed].firstChild.focus();
  body.replaceChildren(...sorted.map(row));
  if (focus) body.children[active]?.querySelector('button').focus();
}

// The table alone is scrolled to the chosen row, never the page.
function reveal() {
  const line = body.querySelector('.on');
  if (!line) return;
  const top = line.offsetTop - heads.offsetHeight, bottom = line.offsetTop + line.offsetHeight - tall.clientHeight;
  if (tall.scrollTop > top) tall.scrollTop = top;
  else if (tall.scrollTop < bottom) tall.scrollTop = bottom;
}

// The rows as a file, made here: nothing is left on the server.
save.onclick = () => {
  const link = make('a', { href: URL.createObjectURL(new Blob([view.file.text], { type: 'text/csv' })), download: view.file.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

body.onkeydown = (event) => {
  const to = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: sorted.length - 1 }[event.key];
  const lines = body.querySelectorAll('button');
  if (to === undefined || !lines[to]) return;
  event.preventDefault();
  lines[active].tabIndex = -1;
  lines[active = to].tabIndex = 0;
  lines[to].focus();
};

keep((value) => {
  view = value ?? { columns: [], rows: [] };
  sort = sort && sort.column < view.columns.length ? sort : { ...(view.sort ?? { column: 0, down: false }) };
  title.textContent = view.title ?? '';
  set(root, { 'aria-label': view.title ?? '' });
  count.textContent = view.count ?? '';
  note.textContent = view.note ?? '';
  none.textContent = view.empty ?? '';
  none.hidden = view.rows.length > 0;
  save.hidden = !view.file;
  set(save, { 'aria-label': `Save these rows as ${view.file?.name ?? ''}` });
  tall.hidden = note.hidden = !view.rows.length;
  arrange();
  reveal();
});

import { make, set } from '../base/dom.js';
import { broken, strip } from '../base/strip.js';
import { inOrder, orderAfter, scrollFor } from './order.js';

const MARKS = {
  ring: '○',
  dot: '●',
  running: '◑',
  diamond: '◆',
  triangle: '▲',
  cross: '×',
  square: '■',
  pinned: '★',
  expected: '◌',
  edge: '◆',
};

export function mount({ root, trigger, keep }) {
  let view = null;
  let order = null;
  let sorted = [];
  let active = 0; // index of the row that has the keyboard's focus

  const body = make('tbody');
  const heads = make('tr');
  const title = make('h2');
  const count = make('span', { class: 'cl-note' });
  const note = make('p', { class: 'cl-note foot' });
  const none = make('p', { class: 'cl-note none' });
  const save = make('button', { type: 'button', class: 'cl-btn save' }, 'CSV');
  const tall = make('div', { class: 'tall' }, make('table', {}, make('thead', {}, heads), body));
  set(
    root,
    { class: 'cl-sheet cl-card', role: 'group' },
    make('header', {}, title, count, save),
    none,
    tall,
    note,
  );

  function head({ text, kind }, i) {
    const button = make('button', { type: 'button' }, text);
    button.onclick = () => {
      order = orderAfter(order, i);
      arrange();
    };
    const direction = order.down ? 'descending' : 'ascending';
    return make(
      'th',
      { scope: 'col', class: kind, 'aria-sort': order.column === i ? direction : null },
      button,
    );
  }

  function row({ id, mark, tag, mono, picture, cells }, i) {
    const name = make(
      'button',
      { type: 'button', class: mono && 'mono', tabindex: i === active ? 0 : -1 },
      ...broken(cells[0].text),
    );
    if (id === view.chosen) name.setAttribute('aria-current', 'true');
    const line = make(
      'tr',
      { 'data-id': id, class: id === view.chosen && 'on' },
      make(
        'td',
        {},
        make('i', { 'data-mark': mark, 'aria-hidden': 'true' }, MARKS[mark] ?? ''),
        picture && make('img', { src: picture, alt: '', loading: 'lazy' }),
        name,
        tag && make('span', { class: 'tag' }, tag),
      ),
      ...cells.slice(1).map((cell, k) => {
        return make('td', { class: view.columns[k + 1].kind }, cell.strip ? strip(cell.strip) : cell.text);
      }),
    );
    line.onclick = () => {
      view.chosen = id;
      active = i;
      arrange(name.matches(':focus'));
      trigger('choose', { id });
    };
    return line;
  }

  function arrange(focus = false) {
    sorted = inOrder(view.rows, order);
    active = Math.max(
      0,
      sorted.findIndex(({ id }) => id === view.chosen),
    );
    const focused = heads.contains(document.activeElement)
      ? document.activeElement.closest('th').cellIndex
      : -1;
    heads.replaceChildren(...view.columns.map(head));
    if (focused >= 0) heads.children[focused].firstChild.focus();
    body.replaceChildren(...sorted.map(row));
    if (focus) body.children[active]?.querySelector('button').focus();
  }

  // Scrolls the table to the chosen row; the page itself does not scroll.
  function reveal() {
    const line = body.querySelector('.on');
    if (!line) return;
    const place = { top: line.offsetTop, height: line.offsetHeight };
    tall.scrollTop = scrollFor(tall.scrollTop, place, heads.offsetHeight, tall.clientHeight);
  }

  // The browser makes the file, so nothing is stored on the server.
  save.onclick = () => {
    const { name, text } = view.file;
    const link = make('a', {
      href: URL.createObjectURL(new Blob([text], { type: 'text/csv' })),
      download: name,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  body.onkeydown = (event) => {
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: sorted.length - 1 }[event.key];
    const buttons = body.querySelectorAll('button');
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[active].tabIndex = -1;
    active = to;
    buttons[active].tabIndex = 0;
    buttons[active].focus();
  };

  keep((value) => {
    view = value ?? { columns: [], rows: [] };
    if (!order || order.column >= view.columns.length) order = view.sort ?? { column: 0, down: false };
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
}

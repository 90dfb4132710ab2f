// A grid of pictures: one axis across, one down, a third as one grid under the other. Arrow keys go from picture to picture.
let view = null, buttons = [], columns = 0;

function cell({ id, picture, lines, state }) {
  const label = lines.join(', ');
  const button = make('button', { type: 'button', 'data-id': id, 'data-state': state, 'aria-current': id && id === view.chosen ? 'true' : null, 'aria-label': label, disabled: !id },
    picture ? make('img', { src: picture, alt: '', loading: 'lazy' }) : make('span', { class: 'blank' }),
    ...lines.map((line, k) => make(k ? 'span' : 'b', {}, line)));
  button.onclick = () => trigger('choose', { id });
  button.ondblclick = () => trigger('open', { id });
  return button;
}

function table({ title, rows }) {
  const body = rows.map(({ head, cells }) => make('tr', {}, make('th', { scope: 'row' }, head), ...cells.map((one) => make('td', {}, cell(one)))));
  return make('div', { class: 'wide' }, title && make('h3', {}, title), make('table', {}, make('thead', {}, make('tr', {}, make('th', {}, make('small', {}, `${view.down} ↓ ${view.across} →`)),
    ...view.columns.map((text) => make('th', { scope: 'col' }, text)))), make('tbody', {}, ...body)));
}

root.addEventListener('keydown', (event) => {
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns }[event.key];
  if (at < 0) return;
  if (to !== undefined && buttons[to]) {
    event.preventDefault();
    buttons[to].focus();
    if (buttons[to].dataset.id) trigger('choose', { id: buttons[to].dataset.id });
  } else if (event.key === 'Enter' && buttons[at].getAttribute('aria-current') === 'true') {
    event.preventDefault();
    trigger('open', { id: buttons[at].dataset.id });
  }
});

keep((value) => {
  view = value ?? { tables: [], columns: [] };
  columns = view.columns.length;
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset?.id : null;
  set(root, { class: 'cl-cells' }, ...(view.tables.length ? view.tables.map(table) : [make('p', { class: 'cl-note none' }, view.empty ?? '')]));
  buttons = [...root.querySelectorAll('button')];
  if (focused) buttons.find((one) => one.dataset.id === focused)?.focus();
});

// The arrow keys move from picture to picture.
import { make, set } from '../base/dom.js';
import { cellByKey } from './keys.js';

export function mount({ root, trigger, keep }) {
  let view = null;
  let buttons = [];

  function cell({ id, picture, lines, state }) {
    const current = id && id === view.chosen ? 'true' : null;
    const button = make(
      'button',
      {
        type: 'button',
        'data-id': id,
        'data-state': state,
        'aria-current': current,
        'aria-label': lines.join(', '),
        disabled: !id,
      },
      picture ? make('img', { src: picture, alt: '', loading: 'lazy' }) : make('span', { class: 'blank' }),
      ...lines.map((line, i) => make(i ? 'span' : 'b', {}, line)),
    );
    button.onclick = () => trigger('choose', { id });
    button.ondblclick = () => trigger('open', { id });
    return button;
  }

  function table({ title, rows }) {
    const corner = make('th', {}, make('small', {}, `${view.down} ↓ ${view.across} →`));
    const heads = view.columns.map((text) => make('th', { scope: 'col' }, text));
    const body = rows.map(({ head, cells }) => {
      return make(
        'tr',
        {},
        make('th', { scope: 'row' }, head),
        ...cells.map((each) => make('td', {}, cell(each))),
      );
    });
    return make(
      'div',
      { class: 'wide' },
      title && make('h3', {}, title),
      make('table', {}, make('thead', {}, make('tr', {}, corner, ...heads)), make('tbody', {}, ...body)),
    );
  }

  root.addEventListener('keydown', (event) => {
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const to = cellByKey(event.key, at, view.columns.length);
    const { id } = buttons[at].dataset;
    if (to !== undefined && buttons[to]) {
      event.preventDefault();
      buttons[to].focus();
      if (buttons[to].dataset.id) trigger('choose', { id: buttons[to].dataset.id });
    } else if (event.key === 'Enter' && buttons[at].getAttribute('aria-current') === 'true') {
      event.preventDefault();
      trigger('open', { id });
    }
  });

  keep((value) => {
    view = value ?? { tables: [], columns: [] };
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset?.id : null;
    const empty = make('p', { class: 'cl-note none' }, view.empty ?? '');
    set(root, { class: 'cl-cells' }, ...(view.tables.length ? view.tables.map(table) : [empty]));
    buttons = [...root.querySelectorAll('button')];
    if (focused) buttons.find(({ dataset }) => dataset.id === focused)?.focus();
  });
}

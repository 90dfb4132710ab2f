// One row a job: what it is, how far it is, what can be done with it.
function row({ key, title, said, note, share, state, acts, chosen }) {
  const name = make('button', { type: 'button', class: 'name', 'aria-current': chosen ? 'true' : null }, title);
  name.onclick = () => trigger('choose', { key });
  const buttons = acts.map(({ act, text }) => {
    const button = make('button', { type: 'button', class: 'act', 'data-act': act, 'aria-label': `${text}: ${title}` }, text);
    button.onclick = () => { button.disabled = true; trigger('act', { key, act }); };
    return button;
  });
  return make('li', { 'data-key': key, 'data-state': state, class: chosen && 'on' },
    make('div', { class: 'what' }, name, said && make('span', {}, said)), make('div', { class: 'acts' }, ...buttons),
    make('div', { class: 'bar', role: 'progressbar', 'aria-valuenow': Math.round(share * 100), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': title },
      make('i', { '--share': share })),
    note && make('small', {}, note));
}

keep((value) => {
  const { jobs = [], empty = '' } = value ?? {};
  const at = root.querySelector('li:has(:focus)')?.dataset.key;
  const which = document.activeElement?.dataset?.act;
  const scrolled = root.querySelector('ul')?.scrollTop ?? 0;
  set(root, { class: 'cl-jobs cl-card' }, make('header', {}, make('h2', {}, 'Jobs'), make('span', { class: 'cl-note' }, 'go on when this tab is closed')),
    jobs.length ? make('ul', {}, ...jobs.map(row)) : make('p', { class: 'cl-note none' }, empty));
  const list = root.querySelector('ul');
  if (list) list.scrollTop = scrolled;
  if (at && root.contains(document.activeElement) === false) {
    const line = root.querySelector(`li[data-key="${at}"]`);
    (line?.querySelector(which ? `[data-act="${which}"]` : '.name') ?? line?.querySelector('.name'))?.focus();
  }
});

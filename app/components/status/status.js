const meter = make('span', { class: 'meter', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': 'Progress' }, make('i'));
const title = make('b');
const detail = make('span', { class: 'detail' });
const spoken = make('span', { class: 'cl-hide', role: 'status' }); // a screen reader hears stages, not every step
let said = '', running = false;

// The page's own title says how far a run is, for who looks at another tab meanwhile; and that it is over, until they are back.
const NAME = document.title, mine = root.closest('#status');
function tell(kind, share) {
  if (!mine) return;
  const over = running && kind !== 'running' && document.hidden;
  running = kind === 'running';
  if (running) document.title = share === null ? `… ${NAME}` : `${Math.round(share * 100)} % · ${NAME}`;
  else if (over) document.title = `${{ done: 'Done', error: 'Failed' }[kind] ?? 'Stopped'} · ${NAME}`;
  else if (!document.hidden) document.title = NAME;
}
document.addEventListener('visibilitychange', () => { if (!document.hidden && !running && mine) document.title = NAME; });

set(root, {}, meter, make('p', {}, title, detail), spoken);

keep((value) => {
  const { kind = 'idle', title: head = '', detail: more = '', share = null } = value ?? {};
  root.dataset.kind = kind;
  title.textContent = head;
  detail.textContent = more;
  meter.hidden = share === null && kind !== 'running';
  set(meter, { '--share': share ?? 0, 'aria-valuenow': share === null ? null : Math.round(share * 100) });
  const stage = kind + head.replace(/\d+/g, '');
  if (stage !== said) spoken.textContent = kind === 'idle' ? '' : `${head} ${kind === 'running' ? '' : more}`;
  said = stage;
  tell(kind, share);
});

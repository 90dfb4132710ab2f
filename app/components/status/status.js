import { make, set } from '../base/dom.js';
import { pageTitle } from './title.js';

export function mount({ root, keep }) {
  const meter = make(
    'span',
    {
      class: 'meter',
      role: 'progressbar',
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-label': 'Progress',
    },
    make('i'),
  );
  const title = make('b');
  const detail = make('span', { class: 'detail' });
  // speaks the stages, but not every step
  const spoken = make('span', { class: 'cl-hide', role: 'status' });
  const tellPage = root.closest('#status') ? pageTitle() : () => {};
  let stage = '';
  set(root, {}, meter, make('p', {}, title, detail), spoken);

  keep((value) => {
    const { kind = 'idle', title: head = '', detail: more = '', share = null } = value ?? {};
    root.dataset.kind = kind;
    title.textContent = head;
    detail.textContent = more;
    meter.hidden = share === null && kind !== 'running';
    set(meter, { '--share': share ?? 0, 'aria-valuenow': share === null ? null : Math.round(share * 100) });
    const next = kind + head.replace(/\d+/g, '');
    if (next !== stage)
      spoken.textContent = kind === 'idle' ? '' : `${head} ${kind === 'running' ? '' : more}`;
    stage = next;
    tellPage(kind, share);
  });
}

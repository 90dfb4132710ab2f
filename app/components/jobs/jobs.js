import { make, set } from '../base/dom.js';
import { followState } from '../base/state.js';

export function mount({ root, trigger, keep }) {
  function row({ key, title, stage, note, share, state, acts, chosen }) {
    const name = make(
      'button',
      { type: 'button', class: 'name', 'aria-current': chosen ? 'true' : null },
      title,
    );
    name.onclick = () => trigger('choose', { key });
    const percent = Math.round(share * 100);
    return make(
      'li',
      { 'data-key': key, 'data-state': state, class: chosen && 'on' },
      make('div', { class: 'what' }, name, stage && make('span', {}, stage)),
      make('div', { class: 'acts' }, ...acts.map((act) => button(act, key, title))),
      make(
        'div',
        {
          class: 'bar',
          role: 'progressbar',
          'aria-valuenow': percent,
          'aria-valuemin': 0,
          'aria-valuemax': 100,
          'aria-label': title,
        },
        make('i', { '--share': share }),
      ),
      note && make('small', {}, note),
    );
  }

  function button({ act, text }, key, title) {
    const made = make(
      'button',
      { type: 'button', class: 'act', 'data-act': act, 'aria-label': `${text}: ${title}` },
      text,
    );
    made.onclick = () => {
      made.disabled = true;
      trigger('act', { key, act });
    };
    return made;
  }

  // Python draws the jobs again after `look`. A hidden tab asks when it is opened.
  let seen = null;
  followState(({ jobs }) => {
    if (jobs === seen || !root.offsetParent) return;
    seen = jobs;
    trigger('look', {});
  });

  keep((value) => {
    const { jobs = [], empty = '' } = value ?? {};
    const key = root.querySelector('li:has(:focus)')?.dataset.key;
    const act = document.activeElement?.dataset?.act;
    const scrolled = root.querySelector('ul')?.scrollTop ?? 0;
    set(
      root,
      { class: 'cl-jobs cl-card' },
      make(
        'header',
        {},
        make('h2', {}, 'Jobs'),
        make('span', { class: 'cl-note' }, 'go on when this tab is closed'),
      ),
      jobs.length ? make('ul', {}, ...jobs.map(row)) : make('p', { class: 'cl-note none' }, empty),
    );
    const list = root.querySelector('ul');
    if (list) list.scrollTop = scrolled;
    if (key && !root.contains(document.activeElement)) focus(key, act);
  });

  function focus(key, act) {
    const line = root.querySelector(`li[data-key="${key}"]`);
    const same = act && line?.querySelector(`[data-act="${act}"]`);
    (same || line?.querySelector('.name'))?.focus();
  }
}

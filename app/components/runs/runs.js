import { make, set } from '../base/dom.js';
import { broken, strip } from '../base/strip.js';

const NONE = 'No run yet. Each comparison on the same prompt, seed and size adds a row.';

export function mount({ root, trigger, keep }) {
  const all = make('button', { type: 'button', class: 'cl-btn cl-quiet all' }, 'All history');
  // Returns the tab History, or null if no history is kept.
  const history = () => document.querySelector('[role=tab][data-tab-id=history]');
  all.onclick = () => history().click();

  function row(run, chosen) {
    const current = run.index !== null && run.index === chosen;
    const name =
      run.index === null
        ? make('span', {}, run.recipe)
        : make(
            'button',
            { type: 'button', 'aria-current': current ? 'true' : null, title: 'Show this run' },
            ...broken(run.recipe),
          );
    const line = make(
      'tr',
      { 'data-index': run.index, class: current && 'on' },
      make('td', { class: 'recipe' }, name),
      make('td', { class: 'wide' }, strip(run.modes)),
      make('td', { class: 'r' }, run.faster),
      make('td', { class: 'r wide' }, run.flops),
      make('td', { class: 'r' }, run.psnr),
      make('td', { class: 'wide word' }, run.word),
      make('td', { class: 'r wide when' }, run.when),
    );
    if (run.index !== null) line.onclick = () => trigger('choose', { index: run.index });
    return line;
  }

  function table({ steps, unit, chosen, rows, baseline }) {
    const heads = [
      ['Recipe', ''],
      [`Steps 0 to ${Math.max(steps - 1, 0)}`, 'wide'],
      ['Faster', 'r'],
      [unit, 'r wide'],
      ['PSNR', 'r'],
      ['Likeness', 'wide word'],
      ['When', 'r wide when'],
    ];
    const head = make(
      'tr',
      {},
      ...heads.map(([text, kind]) => make('th', { class: kind, scope: 'col' }, text)),
    );
    return make(
      'table',
      {},
      make('thead', {}, head),
      make('tbody', {}, ...rows.map((run) => row(run, chosen)), baseline && row(baseline, chosen)),
    );
  }

  keep((value) => {
    const count = value?.rows.length ?? 0;
    const focused = root.querySelector('tr:has(:focus)')?.dataset.index;
    set(
      root,
      { class: 'cl-runs cl-card' },
      make(
        'header',
        {},
        make('h2', {}, 'Runs on this baseline'),
        count > 1 && make('span', { class: 'cl-note' }, 'click a run to see it again'),
        count && history() && all,
      ),
      count ? table(value) : make('p', { class: 'cl-note none' }, NONE),
    );
    if (focused) root.querySelector(`tr[data-index="${focused}"] button`)?.focus();
  });
}

function row(run, unit, chosen) {
  const mine = run.index !== null && run.index === chosen;
  const name = run.index === null ? make('span', {}, run.recipe) : make('button', { type: 'button', 'aria-current': mine ? 'true' : null, title: 'Show this run' }, ...broken(run.recipe));
  const line = make('tr', { 'data-index': run.index, class: mine && 'on' }, make('td', { class: 'recipe' }, name), make('td', { class: 'wide' }, strip(run.modes)),
    make('td', { class: 'r' }, run.faster), make('td', { class: 'r wide' }, run.flops), make('td', { class: 'r' }, run.psnr),
    make('td', { class: 'wide word' }, run.word), make('td', { class: 'r wide when' }, run.when));
  if (run.index !== null) line.onclick = () => trigger('choose', { index: run.index });
  return line;
}

const all = make('button', { type: 'button', class: 'cl-btn cl-quiet all' }, 'All history');
const history = () => document.querySelector('[role=tab][data-tab-id=history]'); // none where nothing is kept
all.onclick = () => history().click();

keep((value) => {
  const { steps = 0, unit = 'TFLOPs', chosen = null, rows = [], baseline = null } = value ?? {};
  const focused = root.querySelector('tr:has(:focus)')?.dataset.index;
  const heads = [['Recipe', ''], [`Steps 0 to ${Math.max(steps - 1, 0)}`, 'wide'], ['Faster', 'r'], [unit, 'r wide'], ['PSNR', 'r'], ['Likeness', 'wide word'], ['When', 'r wide when']];
  const table = rows.length && make('table', {}, make('thead', {}, make('tr', {}, ...heads.map(([text, kind]) => make('th', { class: kind, scope: 'col' }, text)))),
    make('tbody', {}, ...rows.map((run) => row(run, unit, chosen)), baseline && row(baseline, unit, chosen)));
  set(root, { class: 'cl-runs cl-card' }, make('header', {}, make('h2', {}, 'Runs on this baseline'), rows.length > 1 && make('span', { class: 'cl-note' }, 'click a run to see it again'), rows.length && history() && all),
    table || make('p', { class: 'cl-note none' }, 'No run yet. Each comparison on the same prompt, seed and size adds a row.'));
  if (focused) root.querySelector(`tr[data-index="${focused}"] button`)?.focus();
});

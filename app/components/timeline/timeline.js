const BEFORE = 'M10 3.5 5.5 8l4.5 4.5', NEXT = 'M6 3.5 10.5 8 6 12.5';
let view = null, columns = [], pinned = null, pointed = null;
let room = 0; // pixels a column has
let telling = 0;
const REST = 120; // milliseconds: a held arrow key tells Python where it stopped, not where it passed

// ---- parts that stand still ----
const legend = make('p', { class: 'legend' });
const kind = make('span', { class: 'cl-kind', 'data-kind': 'expected', hidden: true });
const plot = make('div', { class: 'tl' });
const sentence = make('p', { class: 'sentence' }), facts = make('p', { class: 'cl-note facts' });
const why = make('span'), fix = make('button', { type: 'button', class: 'cl-btn' }), banner = make('p', { class: 'banner' }, why, fix);
fix.onclick = () => trigger('fix', { knob: view.fix.knob, value: view.fix.value });
const back = turn('Step before', BEFORE, -1), forth = turn('Next step', NEXT, 1);
const readout = make('div', { class: 'cl-readout' }, back, forth, banner, sentence, facts);
set(root, { class: 'cl-timeline cl-card', role: 'group', 'aria-label': 'Steps' },
  make('header', {}, make('h2', {}, 'Steps'), kind, legend, tools), plot, readout);

function turn(name, path, by) {
  const button = make('button', { type: 'button', class: 'cl-btn cl-icon cl-quiet', 'aria-label': name }, icon(path));
  button.onclick = () => pin(at() + by);
  return button;
}

// ---- which step the readout tells of: pointed at, else pinned, else what Python suggests ----
const at = () => Math.min(pointed ?? pinned ?? view?.at ?? 0, Math.max(columns.length - 1, 0));

function pin(index, focus = false) {
  pinned = Math.max(0, Math.min(columns.length - 1, index));
  pointed = null;
  tell();
  if (focus) columns[pinned].focus();
  clearTimeout(telling);
  telling = setTimeout(() => { if (pinned !== null) trigger('select', { index: pinned }); }, REST);
}

function tell() {
  if (!view) return;
  const shown = at();
  columns.forEach((column, i) => {
    set(column, { 'aria-current': i === shown ? 'true' : null, tabindex: i === (pinned ?? view.at) ? 0 : -1,
      'data-near': i !== shown && Math.abs(i - shown) * room < 20 });
  });
  const silent = pinned === null && pointed === null && view.banner;
  banner.hidden = !silent;
  sentence.hidden = facts.hidden = Boolean(silent);
  why.textContent = view.banner;
  fix.hidden = !view.fix;
  fix.textContent = view.fix?.text ?? '';
  const told = view.rows.map((row) => ({ row, cell: row.cells[shown] })).filter(({ cell }) => cell);
  const lines = told.map(({ row, cell }) => view.rows.length > 1 ? `${row.stream}: ${cell.sentence}` : cell.sentence);
  const waiting = view.baseline[shown] ? 'not run yet; the baseline is' : 'not run yet';
  sentence.replaceChildren(make('b', {}, `Step ${shown}`), ' · ', ...(lines.length ? lines : [waiting]).map((line) => make('span', {}, line)));
  const costs = [...new Set(told.map(({ cell }) => cell.facts))];
  const named = costs.length > 1 ? told.map(({ row, cell }) => `${row.stream}: ${cell.facts}`) : costs;
  facts.replaceChildren(...named.map((line) => make('span', {}, line)));
}

// ---- the grid: built once for a number of steps and rows, then only classes and lengths change ----
function build({ steps, rows }) {
  const gap = steps > 60 ? '.5px' : steps > 34 ? '1px' : '1.5px';
  columns = Array.from({ length: steps }, (_, i) => {
    const cells = rows.map((_, r) => make('i', { class: 'cl-cell', '--r': r + 4 }));
    const bars = rows.map(() => make('i', { class: 'cl-bar' }));
    const column = make('button', { type: 'button', class: 'cl-step' }, make('i', { class: 'base' }), ...cells,
      make('span', { class: 'plot' }, ...bars, make('span', { class: 'over' })),
      make('span', { class: 'n' }, String(i)));
    column.onclick = (event) => {
      if (!painting) return pin(i);
      if (event.detail === 0) { begin(i); end(); } // by keyboard: a pointer has painted already
    };
    column.onpointerenter = (event) => { if (event.pointerType === 'mouse') { pointed = i; tell(); } };
    return column;
  });
  const grid = make('div', { class: 'steps', role: 'group', 'aria-label': `${steps} steps; arrow keys move` },
    make('span', { class: 'brace' }, make('span', {}, 'warm-up')), make('div', { class: 'zone' }), ...columns, limit());
  grid.onpointerleave = (event) => { if (event.pointerType === 'mouse') { pointed = null; tell(); } };
  grid.onpointerdown = (event) => {
    if (!painting || held || event.button > 0) return;
    grid.setPointerCapture(event.pointerId);
    begin(under(event, grid));
  };
  grid.onpointermove = (event) => {
    if (brush) touch(under(event, grid));
    else if (event.pointerType !== 'mouse' && event.pressure > 0 && !held) scrub(event, grid);
  };
  grid.onpointerup = (event) => {
    if (brush) end();
    else if (event.pointerType !== 'mouse' && pointed !== null && !held) pin(pointed);
  };
  grid.onpointercancel = end;
  grid.onkeydown = (event) => {
    const to = { ArrowRight: at() + 1, ArrowLeft: at() - 1, Home: 0, End: steps - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); pin(to, true); }
  };
  const labels = make('div', { class: 'labels', 'aria-hidden': 'true' }, make('span', { class: 'of-base' }, 'Baseline'),
    ...rows.map((row, r) => make('span', { class: 'of-row', '--r': r + 4 }, row.label)), make('span', { class: 'axis' }), make('span', { class: 'of-step' }, 'Step'));
  set(plot, { '--rows': rows.length, '--steps': steps, '--gap': gap }, labels, grid);
  plot.dataset.shape = shapeOf({ steps, rows });
  widths.disconnect();
  widths.observe(grid);
}

// As many step numbers, and values of cut bars, as there is room for.
const widths = new ResizeObserver(([{ contentRect }]) => {
  room = contentRect.width / columns.length;
  mark();
  tell();
});

function mark() {
  const every = [1, 5, 10, 20].find((count) => count * room >= (count > 1 ? 20 : 18)) ?? 50;
  let last = -Infinity;
  columns.forEach((column, i) => {
    const told = column.dataset.over && (i - last) * room >= 32;
    if (told) last = i;
    set(column, { 'data-marked': i % every === 0, 'data-told': told });
  });
}

const shapeOf = ({ steps, rows }) => [steps, ...rows.map((row) => row.label)].join('|');

function under(event, grid) {
  const box = grid.getBoundingClientRect();
  return Math.max(0, Math.min(columns.length - 1, Math.floor((event.clientX - box.left) / box.width * columns.length)));
}

function scrub(event, grid) {
  pointed = under(event, grid);
  tell();
}

// ---- one value onto the grid ----
function paint(column, i) {
  const cells = view.rows.map((row) => row.cells[i]);
  set(column.querySelector('.base'), { 'data-done': view.baseline[i] });
  const first = cells.find((cell) => cell);
  const words = cells.map((cell, r) => cell && (view.rows.length > 1 ? `${view.rows[r].stream} ${cell.sentence}` : cell.sentence)).filter(Boolean);
  set(column, { 'data-mode': first?.mode ?? null, 'data-expected': first?.expected ?? null, 'data-painted': first?.painted ?? null,
    'aria-label': `Step ${i}, ${words.join('; ') || 'not run yet'}` });
  column.querySelectorAll('.cl-cell').forEach((node, r) => set(node, { 'data-shade': cells[r]?.mode ?? 'none', '--cost': cells[r]?.cost ?? 0 }));
  column.querySelectorAll('.cl-bar').forEach((node, r) => {
    const y = cells[r]?.y ?? null;
    set(node, { 'data-shade': y === null ? 'none' : cells[r].mode, '--y': Math.min(y ?? 0, 1), 'data-cut': y > 1 });
  });
  const cut = cells.filter((cell) => cell?.y > 1).sort((a, b) => b.y - a.y)[0];
  column.querySelector('.over').textContent = cut?.value ?? '';
  set(column, { 'data-over': cut?.value ?? null });
}

function draw(value) {
  const again = value && view && !value.expected && (value.calls < view.calls || value.steps !== view.steps);
  if (again) pinned = pointed = null;
  view = value;
  set(root, { 'data-running': view?.running ?? null, 'data-empty': !view, 'data-expected': Boolean(view?.expected) });
  kind.hidden = !view?.expected;
  kind.textContent = view?.expected || '';
  drawTools();
  legend.replaceChildren(...Object.entries(view?.counts ?? {}).filter(([mode, n]) => n || mode !== 'partial')
    .map(([mode, n]) => make('span', {}, make('i', { 'data-shade': mode }), mode, make('b', {}, String(n)))));
  if (!view) return set(plot, {}, make('p', { class: 'cl-note' }, 'Nothing has run yet: press Generate, and every step appears here as it is decided.'));
  if (plot.dataset.shape !== shapeOf(view)) build(view);
  columns.forEach(paint);
  mark();
  const brace = plot.querySelector('.brace'), line = plot.querySelector('.cl-limit');
  set(brace, { '--share': view.warmup / view.steps });
  brace.hidden = !view.warmup;
  drawLimit(line);
  plot.querySelector('.zone').replaceChildren(make('i', { class: 'under' }), ...view.ticks.map((tick) => make('i', { '--at': tick.place })));
  plot.querySelector('.axis').replaceChildren(make('em', {}, view.signal), ...[{ place: 0, text: '0' }, ...view.ticks].map((tick) => make('span', { '--at': tick.place }, tick.text)));
  readout.setAttribute('aria-live', view.running ? 'off' : 'polite');
  tell();
}

keep(draw);

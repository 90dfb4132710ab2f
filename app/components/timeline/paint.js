// Paint: cells are forced to be computed or cached, by click, drag, or the space bar. What is shown becomes a mask.
let painting = false;
let brush = null; // while painting: 'computed' or 'cached', and the columns it has touched
const SNOW = 'M8 1.8v12.4M2.6 4.9l10.8 6.2M13.4 4.9 2.6 11.1M6.3 2.6 8 4.2l1.7-1.6M6.3 13.4 8 11.8l1.7 1.6';

const inspect = mode('Inspect', false), brushes = mode('Paint', true);
const modes = make('span', { class: 'modes', role: 'group', 'aria-label': 'What a click on a step does' }, inspect, brushes);
const freeze = make('button', { type: 'button', class: 'cl-btn freeze', title: 'The decisions of the last runs become one mask' }, icon(SNOW), 'Freeze');
freeze.onclick = () => trigger('freeze', {});
const clear = make('button', { type: 'button', class: 'cl-btn cl-quiet', title: 'Decide by the knobs again' }, 'Clear mask');
clear.onclick = () => trigger('paint', { mask: '', painted: [] });
const tools = make('span', { class: 'tools' }, clear, modes, freeze);

function mode(name, paints) {
  const button = make('button', { type: 'button', 'aria-pressed': !paints }, name);
  button.onclick = () => turnPainting(paints);
  return button;
}

function turnPainting(on) {
  painting = on && Boolean(view?.paint);
  set(root, { 'data-painting': painting });
  set(inspect, { 'aria-pressed': String(!painting) });
  set(brushes, { 'aria-pressed': String(painting) });
}

function drawTools() {
  tools.hidden = !view?.paint;
  clear.hidden = !view?.masked;
  if (painting && !view?.paint) turnPainting(false);
}

const isComputed = (i) => view.rows.some((row) => !row.cells[i] || row.cells[i].mode === 'computed' || row.cells[i].mode === 'forced');

function begin(i) {
  brush = { to: isComputed(i) ? 'cached' : 'computed', touched: new Set() };
  touch(i);
}

// Step 0 has nothing to reuse, so it stays computed.
function touch(i) {
  if (!brush || i === 0 && brush.to === 'cached' || brush.touched.has(i)) return;
  brush.touched.add(i);
  set(columns[i], { 'data-painted': true, 'data-mode': brush.to });
  columns[i].querySelectorAll('.cl-cell').forEach((cell) => set(cell, { 'data-shade': brush.to }));
}

function end() {
  if (!brush) return;
  const { to, touched } = brush;
  brush = null;
  if (!touched.size) return;
  const mask = columns.map((_, i) => (touched.has(i) ? to === 'computed' : isComputed(i)) ? '1' : '0').join('');
  trigger('paint', { mask, painted: [...touched] });
}

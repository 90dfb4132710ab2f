// Painting: a visitor forces steps to be computed or cached, by click, by drag, or with the space
// bar. The result becomes a mask.
import { icon, make, set } from '../base/dom.js';

const SNOW = 'M8 1.8v12.4M2.6 4.9l10.8 6.2M13.4 4.9 2.6 11.1M6.3 2.6 8 4.2l1.7-1.6M6.3 13.4 8 11.8l1.7 1.6';

// Returns whether any stream computes a step. A step that has not run counts as computed.
export function isComputed(rows, step) {
  return rows.some(
    ({ cells }) => !cells[step] || cells[step].mode === 'computed' || cells[step].mode === 'forced',
  );
}

// Returns whether the brush changes a step. Step 0 has nothing to reuse, so it stays computed.
export const takes = (brush, step) => !(step === 0 && brush.to === 'cached') && !brush.touched.has(step);

// Returns the mask after the brush has touched some steps: 1 for each computed step, 0 for each
// cached step.
export function maskOf(rows, steps, { to, touched }) {
  const computed = (step) => (touched.has(step) ? to === 'computed' : isComputed(rows, step));
  return Array.from({ length: steps }, (_, step) => (computed(step) ? '1' : '0')).join('');
}

// `shown`: holds the present view and its columns.
export function painter(trigger, root, shown) {
  let painting = false;
  // while painting: `to` ('computed' or 'cached'), and `touched`, the steps that the brush went
  // over
  let brush = null;

  const inspect = mode('Inspect', false);
  const paint = mode('Paint', true);
  const modes = make(
    'span',
    { class: 'modes', role: 'group', 'aria-label': 'What a click on a step does' },
    inspect,
    paint,
  );
  const freeze = make(
    'button',
    { type: 'button', class: 'cl-btn freeze', title: 'Make one mask of the decisions of the last runs' },
    icon(SNOW),
    'Freeze',
  );
  freeze.onclick = () => trigger('freeze', {});
  const clear = make(
    'button',
    { type: 'button', class: 'cl-btn cl-quiet', title: 'Decide by the knobs again' },
    'Clear mask',
  );
  clear.onclick = () => trigger('paint', { mask: '', painted: [] });
  const tools = make('span', { class: 'tools' }, clear, modes, freeze);

  function mode(name, paints) {
    const button = make('button', { type: 'button', 'aria-pressed': !paints }, name);
    button.onclick = () => turn(paints);
    return button;
  }

  function turn(on) {
    painting = on && Boolean(shown.view?.paint);
    set(root, { 'data-painting': painting });
    set(inspect, { 'aria-pressed': String(!painting) });
    set(paint, { 'aria-pressed': String(painting) });
  }

  function draw() {
    tools.hidden = !shown.view?.paint;
    clear.hidden = !shown.view?.masked;
    if (painting && !shown.view?.paint) turn(false);
  }

  function begin(step) {
    brush = { to: isComputed(shown.view.rows, step) ? 'cached' : 'computed', touched: new Set() };
    touch(step);
  }

  function touch(step) {
    if (!brush || !takes(brush, step)) return;
    brush.touched.add(step);
    set(shown.columns[step], { 'data-painted': true, 'data-mode': brush.to });
    for (const cell of shown.columns[step].querySelectorAll('.cl-cell'))
      set(cell, { 'data-shade': brush.to });
  }

  function end() {
    if (!brush) return;
    const done = brush;
    brush = null;
    if (!done.touched.size) return;
    const mask = maskOf(shown.view.rows, shown.columns.length, done);
    trigger('paint', { mask, painted: [...done.touched] });
  }

  return { tools, draw, begin, touch, end, on: () => painting, brushing: () => brush !== null };
}

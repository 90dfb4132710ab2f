// The grid of steps. It is built once for a number of steps and rows; a new value only changes
// attributes.
import { make, set } from '../base/dom.js';
import { cutValue, gapFor, gridKey, numberEvery, stepByKey, stepUnder, valuesWithRoom } from './steps.js';

// `shown`: holds the view, its columns, and the pixels of a column. `hand`: functions that answer a
// visitor's actions on a step.
export function stepGrid(plot, shown, limit, paint, hand) {
  // Shows as many step numbers, and values over bars that are cut off, as fit.
  const widths = new ResizeObserver(([{ contentRect }]) => {
    shown.room = contentRect.width / shown.columns.length;
    label();
    hand.resized();
  });

  function label() {
    const every = numberEvery(shown.room);
    const fits = valuesWithRoom(
      shown.columns.map((column) => column.dataset.over),
      shown.room,
    );
    for (const [i, column] of shown.columns.entries()) {
      set(column, { 'data-marked': i % every === 0, 'data-told': fits[i] });
    }
  }

  function build() {
    const { steps, rows } = shown.view;
    shown.columns = Array.from({ length: steps }, (_, i) => columnOf(i, rows));
    const labels = make(
      'div',
      { class: 'labels', 'aria-hidden': 'true' },
      make('span', { class: 'of-base' }, 'Baseline'),
      ...rows.map((row, r) => make('span', { class: 'of-row', '--r': r + 4 }, row.label)),
      make('span', { class: 'axis' }),
      make('span', { class: 'of-step' }, 'Step'),
    );
    const grid = make(
      'div',
      { class: 'steps', role: 'group', 'aria-label': `${steps} steps; arrow keys move` },
      make('span', { class: 'brace' }, make('span', {}, 'warm-up')),
      make('div', { class: 'zone' }),
      ...shown.columns,
      limit.build(),
    );
    listen(grid, steps);
    set(plot, { '--rows': rows.length, '--steps': steps, '--gap': gapFor(steps) }, labels, grid);
    plot.dataset.shape = gridKey(shown.view);
    widths.disconnect();
    widths.observe(grid);
  }

  function columnOf(i, rows) {
    const cells = rows.map((_, r) => make('i', { class: 'cl-cell', '--r': r + 4 }));
    const bars = rows.map(() => make('i', { class: 'cl-bar' }));
    const column = make(
      'button',
      { type: 'button', class: 'cl-step' },
      make('i', { class: 'base' }),
      ...cells,
      make('span', { class: 'plot' }, ...bars, make('span', { class: 'over' })),
      make('span', { class: 'n' }, String(i)),
    );
    column.onclick = (event) => {
      if (!paint.on()) hand.pin(i);
      else if (event.detail === 0) {
        // by keyboard: a pointer has painted already
        paint.begin(i);
        paint.end();
      }
    };
    column.onpointerenter = (event) => {
      if (event.pointerType === 'mouse') hand.point(i);
    };
    return column;
  }

  function listen(grid, steps) {
    const under = (event) => stepUnder(event.clientX, grid.getBoundingClientRect(), steps);
    grid.onpointerleave = (event) => {
      if (event.pointerType === 'mouse') hand.point(null);
    };
    grid.onpointerdown = (event) => {
      if (!paint.on() || limit.held() || event.button > 0) return;
      grid.setPointerCapture(event.pointerId);
      paint.begin(under(event));
    };
    grid.onpointermove = (event) => {
      if (paint.brushing()) paint.touch(under(event));
      else if (event.pointerType !== 'mouse' && event.pressure > 0 && !limit.held()) hand.point(under(event));
    };
    grid.onpointerup = (event) => {
      if (paint.brushing()) paint.end();
      else if (event.pointerType !== 'mouse' && !limit.held()) hand.pinPointed();
    };
    grid.onpointercancel = paint.end;
    grid.onkeydown = (event) => {
      const to = stepByKey(event.key, hand.at(), steps);
      if (to === undefined) return;
      event.preventDefault();
      hand.pin(to, true);
    };
  }

  function draw() {
    const { view } = shown;
    if (plot.dataset.shape !== gridKey(view)) build();
    shown.columns.forEach(drawColumn);
    label();
    const brace = plot.querySelector('.brace');
    set(brace, { '--share': view.warmup / view.steps });
    brace.hidden = !view.warmup;
    limit.draw(plot.querySelector('.cl-limit'));
    const ticks = view.ticks.map((tick) => make('i', { '--at': tick.place }));
    plot.querySelector('.zone').replaceChildren(make('i', { class: 'under' }), ...ticks);
    const texts = [{ place: 0, text: '0' }, ...view.ticks].map(({ place, text }) =>
      make('span', { '--at': place }, text),
    );
    plot.querySelector('.axis').replaceChildren(make('em', {}, view.signal), ...texts);
  }

  function drawColumn(column, i) {
    const { rows, baseline } = shown.view;
    const cells = rows.map((row) => row.cells[i]);
    const first = cells.find((cell) => cell);
    const words = rows.flatMap(({ stream }, r) => {
      if (!cells[r]) return [];
      return [rows.length > 1 ? `${stream} ${cells[r].sentence}` : cells[r].sentence];
    });
    set(column, {
      'data-mode': first?.mode ?? null,
      'data-painted': first?.painted ?? null,
      'aria-label': `Step ${i}, ${words.join('; ') || 'not run yet'}`,
    });
    set(column.querySelector('.base'), { 'data-done': baseline[i] });
    column.querySelectorAll('.cl-cell').forEach((node, r) => {
      set(node, { 'data-shade': cells[r]?.mode ?? 'none', '--cost': cells[r]?.cost ?? 0 });
    });
    column.querySelectorAll('.cl-bar').forEach((node, r) => {
      const y = cells[r]?.y ?? null;
      set(node, {
        'data-shade': y === null ? 'none' : cells[r].mode,
        '--y': Math.min(y ?? 0, 1),
        'data-cut': y > 1,
      });
    });
    const cut = cutValue(cells);
    column.querySelector('.over').textContent = cut ?? '';
    set(column, { 'data-over': cut });
  }

  return { draw };
}

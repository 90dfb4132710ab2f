// The timeline's arithmetic: places, room and labels. It does not touch the document.
import { clamp } from '../base/numbers.js';

// Returns the step under a pointer. `box`: left end and width of the columns, in pixels.
export function stepUnder(x, { left, width }, steps) {
  return clamp(0, Math.floor(((x - left) / width) * steps), steps - 1);
}

// Returns the space between two columns.
export const gapFor = (steps) => (steps > 60 ? '.5px' : steps > 34 ? '1px' : '1.5px');

// Returns n if every n-th step's number fits below the columns. `room`: pixels of one column.
export const numberEvery = (room) =>
  [1, 5, 10, 20].find((count) => count * room >= (count > 1 ? 20 : 18)) ?? 50;

// Returns which values over cut bars have room: two of them are at least 32 pixels apart. `values`:
// one for each column, or null.
export function valuesWithRoom(values, room) {
  let last = -Infinity;
  return values.map((value, i) => {
    const fits = Boolean(value) && (i - last) * room >= 32;
    if (fits) last = i;
    return fits;
  });
}

// Returns a key; two values with the same key are drawn into the same grid.
export const gridKey = ({ steps, rows }) => [steps, ...rows.map((row) => row.label)].join('|');

// Returns the value over a column: that of its longest bar that the axis cuts, or null.
export function cutValue(cells) {
  const cut = cells.filter((cell) => cell?.y > 1).sort((a, b) => b.y - a.y)[0];
  return cut?.value ?? null;
}

// Returns the step to which a key leads, or undefined.
export function stepByKey(key, at, steps) {
  return { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps - 1 }[key];
}

// Returns the readout's lines about a step: sentences and costs. With several streams, each line
// begins with its stream's name.
export function readoutLines(view, step) {
  const cells = view.rows
    .map((row) => ({ stream: row.stream, cell: row.cells[step] }))
    .filter(({ cell }) => cell);
  const named = ({ stream, cell }, text) => (view.rows.length > 1 ? `${stream}: ${cell[text]}` : cell[text]);
  const waiting = view.baseline[step] ? 'not run yet; the baseline is' : 'not run yet';
  const facts = [...new Set(cells.map(({ cell }) => cell.facts))];
  return {
    sentences: cells.length ? cells.map((at) => named(at, 'sentence')) : [waiting],
    facts: facts.length > 1 ? cells.map((at) => named(at, 'facts')) : facts,
  };
}

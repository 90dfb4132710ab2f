// The dial's arithmetic. Places run from 0 (left, bottom) to 1; paths lie in a square of 100 in
// which y runs down.
import { clamp } from '../base/numbers.js';

const FASTEST = 4; // times faster, at the right end

export function linePath(points) {
  return points.map(({ x, y }, i) => `${i ? 'L' : 'M'}${x * 100} ${100 - y * 100}`).join('');
}

// Returns the outline of the points' bands, or '' if fewer than two points have a band.
export function bandPath(points) {
  const banded = points.filter(({ band }) => band);
  if (banded.length < 2) return '';
  const edge = (end) => banded.map(({ x, band }) => ({ x, y: band[end] }));
  return `${linePath(edge(1))}${linePath(edge(0).reverse()).replace('M', 'L')}Z`;
}

// Returns both ends of the goals that a visitor can choose: times faster, or dB.
export const endsOf = (goal, db) => (goal === 'speed' ? [1, FASTEST] : db);

// Returns the goal at a pointer's position. `box`: the plot, in pixels. Speed is on a logarithmic
// scale.
export function wishAt(pointer, box, goal, db) {
  const across = clamp(0, (pointer.x - box.left) / box.width, 1);
  const up = clamp(0, (box.bottom - pointer.y) / box.height, 1);
  return goal === 'speed' ? FASTEST ** across : db[0] + up * (db[1] - db[0]);
}

// Returns how far a key moves the goal, or undefined.
export function nudge(key, goal) {
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 4, PageDown: -4 }[key];
  return by && by * (goal === 'speed' ? 0.05 : 0.5);
}

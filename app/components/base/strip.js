import { make, shape } from './dom.js';

const HEIGHTS = { C: 1, p: 0.6, c: 0.28 };

// Returns the path of a schedule such as "CCccC": a bar for each step, one unit apart.
export function stripPath(modes) {
  return [...modes].map((mode, i) => `M${i} ${1 - (HEIGHTS[mode] ?? 0)}h.8V1h-.8z`).join('');
}

// Draws a schedule without words: a high bar is a computed step, a low bar a cached step.
export function strip(modes) {
  return shape(
    'svg',
    {
      class: 'strip',
      viewBox: `0 0 ${Math.max(modes.length, 1)} 1`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': modes,
    },
    shape('path', { d: stripPath(modes) }),
  );
}

// Makes the parts of a long name. A line may break after an underscore or a comma, but not inside a
// part.
export const parts = (text) => text.split(/(?<=[_,])/);
export const broken = (text) => parts(text).flatMap((part) => [make('wbr'), part]);

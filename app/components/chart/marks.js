import { shape } from '../base/dom.js';

const circle = (r) => shape('circle', { r });
const path = (d) => shape('path', { d });
const diamond = () => path('M0-6.4 6.4 0 0 6.4-6.4 0z');

const SHAPES = {
  dot: () => circle(5),
  ring: () => circle(4.6),
  expected: () => circle(5),
  running: () => shape('g', {}, circle(5), shape('path', { class: 'half', d: 'M0-5A5 5 0 0 1 0 5Z' })),
  diamond,
  edge: diamond,
  triangle: () => path('M0-6 6 5H-6z'),
  square: () => path('M-4.6-4.6h9.2v9.2h-9.2z'),
  cross: () => path('M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5'),
};

// Draws a mark as a separate picture; the styles choose its colour by its name.
export function markOf(name) {
  return shape(
    'svg',
    { viewBox: '-12 -12 24 24', 'aria-hidden': 'true', 'data-mark': name },
    (SHAPES[name] ?? SHAPES.dot)(),
  );
}

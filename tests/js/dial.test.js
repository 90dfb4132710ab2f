import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bandPath, endsOf, linePath, nudge, wishAt } from '../../app/components/dial/curve.js';

const BOX = { left: 100, bottom: 300, width: 200, height: 100 };
const DB = [20, 40];

test('a curve runs through its points', () => {
  assert.equal(
    linePath([
      { x: 0, y: 1 },
      { x: 0.5, y: 0.25 },
    ]),
    'M0 0L50 75',
  );
});

test('a band goes along its upper end and back along the lower', () => {
  const points = [
    { x: 0, y: 0.9, band: [0.8, 1] },
    { x: 0.5, y: 0.5, band: null },
    { x: 1, y: 0.2, band: [0.1, 0.3] },
  ];
  assert.equal(bandPath(points), 'M0 0L100 70L100 90L0 20Z');
  assert.equal(bandPath(points.slice(0, 2)), '');
});

test('speed is logarithmic from 1 to 4, likeness even between its ends', () => {
  assert.equal(wishAt({ x: 100, y: 0 }, BOX, 'speed', null), 1);
  assert.equal(wishAt({ x: 200, y: 0 }, BOX, 'speed', null), 2);
  assert.equal(wishAt({ x: 999, y: 0 }, BOX, 'speed', null), 4);
  assert.equal(wishAt({ x: 0, y: 275 }, BOX, 'likeness', DB), 25);
  assert.equal(wishAt({ x: 0, y: 999 }, BOX, 'likeness', DB), 20);
  assert.deepEqual([endsOf('speed', DB), endsOf('likeness', DB)], [[1, 4], DB]);
});

test('keys move a wish by small steps, page keys by four', () => {
  assert.equal(nudge('ArrowUp', 'speed'), 0.05);
  assert.equal(nudge('PageDown', 'likeness'), -2);
  assert.equal(nudge('Enter', 'speed'), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bandPath,
  cloudPath,
  freeSpot,
  inOrder,
  limitPath,
  marksNear,
  pathOf,
  pixelsOf,
  placeByKey,
} from '../../app/components/chart/places.js';

const PLOT = { width: 400, height: 200 };
const LABEL = { width: 40, height: 13 };

test('paths turn places upside down', () => {
  assert.equal(
    pathOf([
      [0, 0],
      [100, 60],
    ]),
    'M0 100L100 40',
  );
  assert.equal(
    bandPath([
      [10, 80, 90],
      [70, 35, 45],
    ]),
    'M10 20L70 65L70 55L10 10Z',
  );
  assert.equal(cloudPath([[20, 30]]), 'M20 70h0');
});

test('a limit lies across, or stands up', () => {
  assert.equal(limitPath({ y: 40 }), 'M0 60L100 60');
  assert.equal(limitPath({ x: 25 }), 'M25 100L25 0');
});

test('marks are in order from left to right, then from bottom to top', () => {
  const points = [
    { x: 50, y: 10 },
    { x: 20, y: 90 },
    { x: 20, y: 10 },
  ];
  assert.deepEqual(inOrder(points), [2, 1, 0]);
});

test('a place becomes pixels from the top left', () => {
  assert.deepEqual(pixelsOf({ x: 25, y: 100 }, PLOT), [100, 0]);
});

test('the nearest mark answers, with all others on its spot', () => {
  const places = [
    [100, 100],
    [100.5, 100],
    [112, 100],
  ];
  assert.deepEqual(marksNear(places, [1, 0, 2], [101, 100], 14), [1, 0]);
  assert.deepEqual(marksNear(places, [0, 1, 2], [112, 104], 14), [2]);
});

test('a mark out of reach does not answer', () => {
  assert.deepEqual(marksNear([[100, 100]], [0], [115, 100], 14), []);
  assert.deepEqual(marksNear([[100, 100]], [0], [115, 100], 22), [0]);
  assert.deepEqual(marksNear([], [], [0, 0], 22), []);
});

test('keys go along the order and stop at its ends', () => {
  assert.deepEqual(
    ['ArrowRight', 'ArrowLeft', 'Home', 'End', 'Enter'].map((key) => placeByKey(key, 1, 5)),
    [2, 0, 0, 4, undefined],
  );
  assert.equal(placeByKey('ArrowUp', 4, 5), 4);
  assert.equal(placeByKey('ArrowDown', 0, 5), 0);
});

test('before a mark is chosen, left leads to the last and right to the first', () => {
  assert.equal(placeByKey('ArrowLeft', -1, 5), 4);
  assert.equal(placeByKey('ArrowRight', -1, 5), 0);
});

test('a label stands right of its mark', () => {
  assert.deepEqual(freeSpot([100, 100], LABEL, PLOT, []), [111, 93.5, 151, 106.5]);
});

test('a label moves to the left at the right edge, or beside a taken box', () => {
  assert.deepEqual(freeSpot([395, 100], LABEL, PLOT, []), [344, 93.5, 384, 106.5]);
  assert.deepEqual(freeSpot([100, 100], LABEL, PLOT, [[110, 90, 160, 110]]), [49, 93.5, 89, 106.5]);
});

test('a label without a free spot is not drawn', () => {
  assert.equal(freeSpot([100, 100], LABEL, PLOT, [[0, 0, 400, 200]]), undefined);
});

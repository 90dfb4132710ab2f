import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inOrder, orderAfter, scrollFor } from '../../app/components/sheet/order.js';

const rows = (...values) => values.map((sort, id) => ({ id, cells: [{ sort }] }));
const ids = (sorted) => sorted.map(({ id }) => id);

test('numbers and texts are sorted both ways', () => {
  assert.deepEqual(ids(inOrder(rows(3, 1, 2), { column: 0, down: false })), [1, 2, 0]);
  assert.deepEqual(ids(inOrder(rows('b', 'a', 'c'), { column: 0, down: true })), [2, 0, 1]);
});

test('a missing value stands last, whichever way the column is sorted', () => {
  for (const [down, expected] of [
    [false, [2, 1, 0]],
    [true, [1, 2, 0]],
  ]) {
    assert.deepEqual(ids(inOrder(rows(null, 5, 4), { column: 0, down })), expected);
  }
});

test('equal rows keep their order, and the given rows are left as they are', () => {
  const given = rows(1, null, 1, null);
  assert.deepEqual(ids(inOrder(given, { column: 0, down: true })), [0, 2, 1, 3]);
  assert.deepEqual(ids(given), [0, 1, 2, 3]);
});

test('a click sorts names upwards and numbers downwards, a second one turns the order', () => {
  const first = orderAfter({ column: 1, down: true }, 0);
  assert.deepEqual(first, { column: 0, down: false });
  assert.deepEqual(orderAfter(first, 2), { column: 2, down: true });
  assert.deepEqual(orderAfter({ column: 2, down: true }, 2), { column: 2, down: false });
});

test('the table scrolls just so far that a row is wholly seen', () => {
  const seen = { top: 200, height: 30 };
  assert.equal(scrollFor(100, seen, 40, 300), 100); // the row is visible
  assert.equal(scrollFor(190, seen, 40, 300), 160); // the row was above, under the heads
  assert.equal(scrollFor(0, { top: 400, height: 30 }, 40, 300), 130); // the row was below
});

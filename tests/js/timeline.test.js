import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeAt, thresholdNear } from '../../app/components/timeline/limit.js';
import { isComputed, maskOf, takes } from '../../app/components/timeline/paint.js';
import {
  cutValue,
  gapFor,
  gridKey,
  numberEvery,
  readoutLines,
  stepByKey,
  stepUnder,
  valuesWithRoom,
} from '../../app/components/timeline/steps.js';

const KNOB = { low: 0, high: 1, step: 0.01 };
const cell = (mode, more = {}) => ({ mode, sentence: `${mode}.`, facts: 'all blocks', ...more });
const row = (stream, modes) => ({ stream, label: stream, cells: modes.map((mode) => mode && cell(mode)) });

// ---- the threshold ----

test('a threshold is a whole number of steps within its bounds', () => {
  assert.equal(thresholdNear(0.1249, KNOB, null), 0.12);
  assert.equal(thresholdNear(-3, KNOB, null), 0);
  assert.equal(thresholdNear(7, KNOB, null), 1);
});

test('a held threshold stays within the axis', () => {
  assert.equal(thresholdNear(0.4, KNOB, 0.25), 0.25);
  assert.equal(thresholdNear(0.4, { ...KNOB, high: 0.2 }, 0.25), 0.2);
});

test('a threshold carries no error of floating point', () => {
  assert.equal(thresholdNear(0.1 + 0.2, KNOB, null), 0.3);
});

test('the height of a pointer is a share of the axis', () => {
  const box = { bottom: 300, height: 200 };
  assert.equal(changeAt(300, box, 0.25), 0);
  assert.equal(changeAt(200, box, 0.25), 0.125);
  assert.equal(changeAt(100, box, 0.25), 0.25);
});

// ---- paint ----

test('a step is computed if any stream computes it, or if it has not run', () => {
  const rows = [
    row('cond', ['forced', 'cached', 'cached', null]),
    row('uncond', ['cached', 'computed', 'cached']),
  ];
  assert.deepEqual(
    [0, 1, 2, 3].map((step) => isComputed(rows, step)),
    [true, true, false, true],
  );
});

test('the brush touches each step once, and never caches step 0', () => {
  const brush = { to: 'cached', touched: new Set([4]) };
  assert.deepEqual(
    [0, 3, 4].map((step) => takes(brush, step)),
    [false, true, false],
  );
  assert.equal(takes({ to: 'computed', touched: new Set() }, 0), true);
});

test('the mask holds the touched steps, and for the others their decision', () => {
  const rows = [row('cond', ['computed', 'cached', 'computed', 'partial'])];
  assert.equal(maskOf(rows, 4, { to: 'cached', touched: new Set([2]) }), '1000');
  assert.equal(maskOf(rows, 4, { to: 'computed', touched: new Set([1, 3]) }), '1111');
});

// ---- places and labels ----

test('a pointer beside the columns belongs to the first or the last', () => {
  const box = { left: 100, width: 280 };
  assert.deepEqual(
    [90, 100, 109.9, 110, 379, 500].map((x) => stepUnder(x, box, 28)),
    [0, 0, 0, 1, 27, 27],
  );
});

test('step numbers and gaps get sparser with the room', () => {
  assert.deepEqual([18, 10, 3, 1.5, 0.5].map(numberEvery), [1, 5, 10, 20, 50]);
  assert.deepEqual([28, 50, 100].map(gapFor), ['1.5px', '1px', '.5px']);
});

test('values over cut bars stand 32 pixels apart at least', () => {
  const values = ['0.4', '0.5', null, '0.6', '0.7'];
  assert.deepEqual(valuesWithRoom(values, 16), [true, false, false, true, false]);
  assert.deepEqual(valuesWithRoom(values, 32), [true, true, false, true, true]);
});

test('the value of the longest cut bar is shown', () => {
  const cells = [cell('computed', { y: 1.2, value: '0.30' }), null, cell('computed', { y: 2, value: '0.5' })];
  assert.equal(cutValue(cells), '0.5');
  assert.equal(cutValue([cell('cached', { y: 1, value: '0.25' })]), null);
});

test('another number of steps or rows is another grid', () => {
  const rows = [row('cond', [])];
  assert.equal(gridKey({ steps: 28, rows }), gridKey({ steps: 28, rows: [row('cond', ['cached'])] }));
  assert.notEqual(gridKey({ steps: 28, rows }), gridKey({ steps: 30, rows }));
  assert.notEqual(gridKey({ steps: 28, rows }), gridKey({ steps: 28, rows: [...rows, row('uncond', [])] }));
});

test('keys go from step to step', () => {
  assert.deepEqual(
    ['ArrowRight', 'ArrowLeft', 'Home', 'End', 'a'].map((key) => stepByKey(key, 5, 28)),
    [6, 4, 0, 27, undefined],
  );
});

// ---- the readout ----

test('the readout names streams only where there are several', () => {
  const alone = { rows: [row('cond', ['cached'])], baseline: [true] };
  assert.deepEqual(readoutLines(alone, 0), { sentences: ['cached.'], facts: ['all blocks'] });
  const both = { rows: [row('cond', ['cached']), row('uncond', ['computed'])], baseline: [true] };
  assert.deepEqual(readoutLines(both, 0).sentences, ['cond: cached.', 'uncond: computed.']);
  // the same for both streams, so it is said once
  assert.deepEqual(readoutLines(both, 0).facts, ['all blocks']);
  both.rows[1].cells[0].facts = 'first blocks';
  assert.deepEqual(readoutLines(both, 0).facts, ['cond: all blocks', 'uncond: first blocks']);
});

test('a step that has not run says how far the baseline is', () => {
  const view = { rows: [row('cond', [null, null])], baseline: [true, false] };
  assert.deepEqual(readoutLines(view, 0), { sentences: ['not run yet; the baseline is'], facts: [] });
  assert.deepEqual(readoutLines(view, 1).sentences, ['not run yet']);
});

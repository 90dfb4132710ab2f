import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellByKey } from '../../app/components/cells/keys.js';
import { scaleOf } from '../../app/components/header/pictures.js';
import { titleOf } from '../../app/components/status/title.js';
import { fitsInside } from '../../app/components/times/room.js';

test('a small picture is scaled by a whole number where it fits', () => {
  assert.deepEqual(scaleOf({ width: 64, height: 64 }, 500), { scale: 7, whole: true });
  assert.deepEqual(scaleOf({ width: 512, height: 512 }, 400), { scale: 400 / 512, whole: false });
});

test('a large picture fills the room, up to 640 pixels high', () => {
  assert.deepEqual(scaleOf({ width: 1024, height: 1024 }, 512), { scale: 0.5, whole: false });
  assert.deepEqual(scaleOf({ width: 640, height: 1280 }, 2000), { scale: 0.5, whole: false });
});

test('keys go through the grid', () => {
  assert.deepEqual(
    ['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'Tab'].map((key) => cellByKey(key, 5, 4)),
    [6, 4, 9, 1, undefined],
  );
});

test('the title says how far a run is, and how it ended', () => {
  assert.equal(titleOf('CacheLens', 'running', 0.254), '25 % · CacheLens');
  assert.equal(titleOf('CacheLens', 'running', null), '… CacheLens');
  assert.deepEqual(
    ['done', 'error', 'stopped'].map((kind) => titleOf('CacheLens', kind, null)),
    ['Done · CacheLens', 'Failed · CacheLens', 'Stopped · CacheLens'],
  );
});

test('a bar carries its text only if it is long enough', () => {
  assert.equal(fitsInside(0.5, 350), true);
  assert.equal(fitsInside(0.49, 350), false);
});

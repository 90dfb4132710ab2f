import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asking, PATIENCE } from '../../app/components/base/asking.js';
import { clamp } from '../../app/components/base/numbers.js';
import { parts, stripPath } from '../../app/components/base/strip.js';

// Makes a trigger that records its events, and counts how often no question was open.
function recorder() {
  const events = [];
  let idle = 0;
  const questions = asking(
    (event, data) => events.push([event, data]),
    'turn',
    () => {
      idle += 1;
    },
  );
  return { events, questions, idle: () => idle };
}

test('clamp keeps a value within both ends', () => {
  assert.deepEqual(
    [-1, 0.5, 3].map((value) => clamp(0, value, 1)),
    [0, 0.5, 1],
  );
});

test('one question is on its way at a time, and only the newest follows', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { events, questions, idle } = recorder();
  for (const value of [1, 2, 3]) questions.ask({ value });
  assert.deepEqual(events, [['turn', { value: 1 }]]);
  assert.deepEqual(questions.latest(), { value: 3 });
  questions.answered();
  assert.deepEqual(events.slice(1), [['turn', { value: 3 }]]);
  assert.equal(idle(), 0);
  questions.answered();
  assert.equal(idle(), 1);
  assert.equal(questions.latest(), null);
});

test('an answer that is never drawn ends the wait', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { events, questions, idle } = recorder();
  questions.ask({ value: 1 });
  questions.ask({ value: 2 });
  context.mock.timers.tick(PATIENCE - 1);
  assert.equal(events.length, 1);
  context.mock.timers.tick(1);
  assert.deepEqual(events.at(-1), ['turn', { value: 2 }]);
  context.mock.timers.tick(PATIENCE);
  assert.equal(idle(), 1);
});

test('an answer in time stops the clock of its question', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { events, questions } = recorder();
  questions.ask({ value: 1 });
  context.mock.timers.tick(PATIENCE - 1);
  questions.answered();
  questions.ask({ value: 2 });
  questions.ask({ value: 3 });
  context.mock.timers.tick(PATIENCE - 1);
  assert.equal(events.length, 2);
});

test('a strip has a bar for each step, high where it is computed', () => {
  assert.equal(stripPath('Ccp'), 'M0 0h.8V1h-.8zM1 0.72h.8V1h-.8zM2 0.4h.8V1h-.8z');
  assert.equal(stripPath(''), '');
});

test('an unknown mode has no height', () => {
  assert.equal(stripPath(' '), 'M0 1h.8V1h-.8z');
});

test('a long name breaks after an underscore or a comma', () => {
  assert.deepEqual(parts('F8B0_W8,N=3'), ['F8B0_', 'W8,', 'N=3']);
});

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { followState, openStateStream } from '../../app/components/base/state.js';

const sources = [];

beforeEach(() => {
  sources.length = 0;
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  globalThis.EventSource = class {
    constructor(address) {
      Object.assign(this, { address, open: true });
      sources.push(this);
    }

    close() {
      this.open = false;
    }
  };
});

function hide(hidden) {
  document.hidden = hidden;
  document.dispatchEvent(new Event('visibilitychange'));
}

test('every follower hears what the one stream says', () => {
  const heard = [];
  followState((state) => heard.push(['header', state.jobs]));
  followState((state) => heard.push(['jobs', state.jobs]));
  openStateStream(() => {});
  sources[0].onmessage({ data: JSON.stringify({ jobs: 'a' }) });
  assert.equal(sources.length, 1);
  assert.deepEqual(heard, [
    ['header', 'a'],
    ['jobs', 'a'],
  ]);
});

test('a hidden page holds no connection, and a shown one holds one again', () => {
  openStateStream(() => {});
  hide(true);
  assert.deepEqual(
    sources.map(({ open }) => open),
    [false],
  );
  hide(false);
  assert.deepEqual(
    sources.map(({ open }) => open),
    [false, true],
  );
});

test('a lost connection is told', () => {
  let lost = 0;
  openStateStream(() => {
    lost += 1;
  });
  sources[0].onerror();
  assert.equal(lost, 1);
});

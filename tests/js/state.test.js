import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { followState, openStateStream } from '../../app/components/base/state.js';

const sources = [];

const channels = [];
let holder = null; // of the lock
const waiting = [];

// The browser's locks: one page after another, and a wait can be given up.
const locks = {
  request(_name, { signal }, work) {
    return new Promise((resolve, reject) => {
      const turn = () => {
        holder = work();
        holder.then(() => {
          holder = null;
          waiting.shift()?.();
          resolve();
        });
      };
      signal.addEventListener('abort', () => {
        const place = waiting.indexOf(turn);
        if (place >= 0) waiting.splice(place, 1);
        if (place >= 0) reject(new Error('given up'));
      });
      if (holder) waiting.push(turn);
      else turn();
    });
  },
};

beforeEach(() => {
  sources.length = 0;
  channels.length = 0;
  waiting.length = 0;
  holder = null;
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
  globalThis.BroadcastChannel = class {
    constructor() {
      channels.push(this);
    }

    postMessage(data) {
      for (const channel of channels) if (channel !== this) channel.onmessage({ data });
    }
  };
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

test('pages share one stream, and a later page hears the present state', () => {
  const heard = [];
  followState((state) => heard.push(state.jobs));
  openStateStream(() => {});
  sources[0].onmessage({ data: JSON.stringify({ jobs: 'a' }) });
  openStateStream(() => {});
  assert.equal(sources.length, 1);
  assert.deepEqual(heard, ['a', 'a']);
});

test('when the page with the stream is hidden, the next page opens it', async () => {
  openStateStream(() => {});
  const first = globalThis.document;
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  openStateStream(() => {});
  globalThis.document = first;
  hide(true);
  await new Promise(setImmediate);
  assert.deepEqual(
    sources.map(({ open }) => open),
    [false, true],
  );
});

test('without locks each page has its own stream', () => {
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  openStateStream(() => {});
  openStateStream(() => {});
  assert.equal(sources.length, 2);
});

test('a hidden page holds no connection, and a shown one holds one again', async () => {
  openStateStream(() => {});
  hide(true);
  await new Promise(setImmediate);
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

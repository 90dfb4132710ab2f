// The engine's state, as the server sends it: { header, jobs }. `jobs` is a text that changes
// whenever a job has changed.

const ADDRESS = 'cachelens/state'; // app/engine/state_stream.py answers it
const MESSAGE = 'cachelens-state';
const CHANNEL_GREETING = 'which state?';

// Passes each state on to `followState` of every component. A browser opens six connections to a
// server, for all its pages together, so its visible pages share one stream: the page that has the
// lock receives it and passes it on. Where locks are missing (plain http from another machine),
// each page has its own stream. A hidden page receives none.
export function openStateStream(lost) {
  const channel = new BroadcastChannel(MESSAGE);
  let release = null; // ends this page's turn at the stream, or its wait for the turn
  let latest = null; // the last state of the stream that this page receives

  channel.onmessage = ({ data }) => {
    if (data !== CHANNEL_GREETING) hear(data);
    else if (latest !== null) channel.postMessage(latest);
  };

  function hear(text) {
    if (text === '') lost();
    else window.dispatchEvent(new CustomEvent(MESSAGE, { detail: JSON.parse(text) }));
  }

  function receive(ended) {
    const source = new EventSource(ADDRESS);
    const tell = (text) => {
      latest = text;
      hear(text);
      channel.postMessage(text);
    };
    source.onmessage = ({ data }) => tell(data);
    source.onerror = () => tell('');
    return ended.finally(() => {
      source.close();
      latest = null;
    });
  }

  function follow() {
    release?.();
    release = null;
    if (document.hidden) return;
    const waiting = new AbortController();
    const ended = new Promise((resolve) => {
      release = () => {
        waiting.abort();
        resolve();
      };
    });
    if (!navigator.locks) {
      receive(ended);
      return;
    }
    const { signal } = waiting;
    navigator.locks.request(MESSAGE, { signal }, () => receive(ended)).catch(() => {}); // hidden meanwhile
    channel.postMessage(CHANNEL_GREETING);
  }

  document.addEventListener('visibilitychange', follow);
  window.addEventListener('pagehide', () => release?.());
  follow();
}

export function followState(listener) {
  window.addEventListener(MESSAGE, ({ detail }) => listener(detail));
}

// The engine's state, as the server sends it: { header, jobs }. `jobs` is a text that changes
// whenever a job has changed.

const ADDRESS = 'cachelens/state'; // app/engine/state_stream.py answers it
const MESSAGE = 'cachelens-state';

// Opens the page's only stream, and passes each state on to `followState` of every component. A
// hidden page holds no connection.
export function openStateStream(lost) {
  let source = null;

  function open() {
    source = new EventSource(ADDRESS);
    source.onmessage = ({ data }) =>
      window.dispatchEvent(new CustomEvent(MESSAGE, { detail: JSON.parse(data) }));
    source.onerror = lost;
  }

  function follow() {
    source?.close();
    source = null;
    if (!document.hidden) open();
  }

  document.addEventListener('visibilitychange', follow);
  window.addEventListener('pagehide', () => source?.close());
  follow();
}

export function followState(listener) {
  window.addEventListener(MESSAGE, ({ detail }) => listener(detail));
}

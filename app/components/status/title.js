// The document's title shows the progress of a run, for a visitor who looks at another tab of the
// browser. When the run ends, the title says so until the visitor is back.

const ENDINGS = { done: 'Done', error: 'Failed' };

// Returns the title while a run of this `kind` is in progress or has just ended.
export function titleOf(name, kind, share) {
  if (kind !== 'running') return `${ENDINGS[kind] ?? 'Stopped'} · ${name}`;
  return share === null ? `… ${name}` : `${Math.round(share * 100)} % · ${name}`;
}

// Returns `tell(kind, share)`.
export function pageTitle() {
  const name = document.title;
  let running = false;

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !running) document.title = name;
  });

  return (kind, share) => {
    const ended = running && kind !== 'running';
    running = kind === 'running';
    if (running || (ended && document.hidden)) document.title = titleOf(name, kind, share);
    else if (!document.hidden) document.title = name;
  };
}

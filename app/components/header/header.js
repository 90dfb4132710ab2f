import { icon, make, set, shape } from '../base/dom.js';
import { followState, openStateStream } from '../base/state.js';
import { keyboard } from './keys.js';
import { fitPictures } from './pictures.js';

const DARK = 'cachelens-dark';
const CIRCLE = 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z';
const HALF = 'M8 2.5a5.5 5.5 0 0 1 0 11z';

export function mount({ root, keep }) {
  const words = make('span');
  const badge = make(
    'span',
    { class: 'cl-engine', role: 'status' },
    make('i', { 'aria-hidden': 'true' }),
    words,
  );
  const { help, dialog } = keyboard();
  set(
    root,
    {},
    make('h1', { class: 'brand' }, logo(), 'CacheLens'),
    make('div', { class: 'right' }, badge, darkSwitch(), help),
    dialog,
  );
  fitPictures();
  function draw(value) {
    const { engine = '', state = 'idle' } = value ?? {};
    badge.hidden = !value;
    if (words.textContent !== engine) words.textContent = engine;
    badge.dataset.state = state;
  }
  keep(draw);
  followState(({ header }) => draw(header));
  openStateStream(() => draw({ engine: 'no connection to the server', state: 'error' }));
}

function logo() {
  return shape(
    'svg',
    { viewBox: '0 0 24 24', width: 24, height: 24, 'aria-hidden': 'true' },
    shape('path', { d: 'M12 4a8 8 0 0 0 0 16z', fill: 'var(--cl-accent)' }),
    shape('path', { d: 'M12 4a8 8 0 0 1 0 16z', fill: 'var(--cl-cached)' }),
    shape('circle', { cx: 12, cy: 12, r: 8, fill: 'none', stroke: 'var(--cl-accent)', 'stroke-width': 1.6 }),
    shape('path', { d: 'M12 1v22', stroke: 'var(--cl-ink)', 'stroke-width': 1.8, 'stroke-linecap': 'round' }),
  );
}

// First the address decides (?__theme=), then the visitor's last choice, then the system.
function darkSwitch() {
  const button = make(
    'button',
    { type: 'button', class: 'cl-btn cl-icon cl-quiet', 'aria-label': 'Dark theme', title: 'Light or dark' },
    icon(CIRCLE, HALF),
  );
  const isDark = () => document.body.classList.contains('dark');

  function turn(on) {
    document.body.classList.toggle('dark', on);
    button.setAttribute('aria-pressed', on);
  }

  button.onclick = () => {
    turn(!isDark());
    remember(isDark());
  };
  const asked = new URLSearchParams(location.search).get('__theme');
  const last = remembered();
  turn(asked || last === null ? isDark() : last === 'true');
  return button;
}

// A browser may forbid storage (private windows, frames). Then the choice lasts only as long as the
// page.
function remembered() {
  try {
    return localStorage.getItem(DARK);
  } catch {
    return null;
  }
}

function remember(dark) {
  try {
    localStorage.setItem(DARK, dark);
  } catch {
    /* see above */
  }
}

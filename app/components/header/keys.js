// Draws the list of keys, which a button in the header and the key "?" open.
import { make } from '../base/dom.js';

const KEYS = [
  ['Space, held', "show the baseline alone, in the accelerated picture's place"],
  ['Shift Enter', 'in the prompt: generate'],
  ['← → Home End', "on the steps: show each step's decision; in Paint, Space forces the step"],
  ['↑ ↓ Page keys', 'on the threshold: move it, and see which steps would be cached'],
  ['← → Page keys', 'on the dial: faster or closer'],
  ['← →', 'on a chart or a grid: the next point or picture; Enter opens it in Compare'],
  ['↑ ↓ Home End', 'in a table: the next row; Enter chooses it'],
  ['?', 'this list'],
];
const FIELDS = 'input, textarea, select, [contenteditable]';

export function keyboard() {
  const close = make('button', { type: 'button', class: 'cl-btn' }, 'Close');
  const list = KEYS.flatMap(([key, action]) => [
    make('dt', {}, make('kbd', {}, key)),
    make('dd', {}, action),
  ]);
  const dialog = make(
    'dialog',
    { class: 'keys cl-card', 'aria-label': 'Keyboard' },
    make('h2', {}, 'Keyboard'),
    make('dl', {}, ...list),
    close,
  );
  const help = make(
    'button',
    {
      type: 'button',
      class: 'cl-btn cl-icon cl-quiet',
      'aria-label': 'Keyboard',
      title: 'Keyboard (?)',
      'aria-haspopup': 'dialog',
    },
    '?',
  );
  help.onclick = () => dialog.showModal();
  close.onclick = () => dialog.close();
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close(); // a click beside the dialog
  };
  document.addEventListener('keydown', (event) => {
    const typed = event.target.closest?.(FIELDS);
    if (event.key !== '?' || event.ctrlKey || event.metaKey || event.altKey || typed) return;
    event.preventDefault();
    if (dialog.isConnected && !dialog.open) dialog.showModal();
  });
  return { help, dialog };
}

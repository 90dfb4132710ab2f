// What the keyboard can do, behind a button in the header and the key "?".
const KEYS = [
  ['Space, held', 'the baseline alone, where the accelerated picture is'],
  ['Shift Enter', 'in the prompt: generate'],
  ['← → Home End', 'on the steps: what was decided in each; in Paint, Space forces it'],
  ['↑ ↓ Page keys', 'on the threshold: move it, and see what would be cached'],
  ['← → Page keys', 'on the dial: faster or closer'],
  ['← →', 'on a chart or a grid: the next point or picture; Enter opens it in Compare'],
  ['↑ ↓ Home End', 'in a table: the next row; Enter chooses it'],
  ['?', 'this list'],
];
const close = make('button', { type: 'button', class: 'cl-btn' }, 'Close');
const keys = make('dialog', { class: 'keys cl-card', 'aria-label': 'Keyboard' }, make('h2', {}, 'Keyboard'),
  make('dl', {}, ...KEYS.flatMap(([key, does]) => [make('dt', {}, make('kbd', {}, key)), make('dd', {}, does)])), close);
const help = make('button', { type: 'button', class: 'cl-btn cl-icon cl-quiet', 'aria-label': 'Keyboard', title: 'Keyboard (?)', 'aria-haspopup': 'dialog' }, '?');
help.onclick = () => keys.showModal();
close.onclick = () => keys.close();
keys.onclick = (event) => { if (event.target === keys) keys.close(); }; // beside it
document.addEventListener('keydown', (event) => {
  if (event.key !== '?' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, textarea, select, [contenteditable]')) return;
  event.preventDefault();
  if (keys.isConnected && !keys.open) keys.showModal();
});

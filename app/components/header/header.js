const DARK = 'cachelens-dark';
const engine = make('span');
const dot = make('i', { 'aria-hidden': 'true' });
const toggle = make('button', { type: 'button', class: 'cl-btn cl-icon cl-quiet', 'aria-label': 'Dark theme', title: 'Light or dark' },
  icon('M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z', 'M8 2.5a5.5 5.5 0 0 1 0 11z'));

function logo() {
  return shape('svg', { viewBox: '0 0 24 24', width: 24, height: 24, 'aria-hidden': 'true' },
    shape('path', { d: 'M12 4a8 8 0 0 0 0 16z', fill: 'var(--cl-accent)' }),
    shape('path', { d: 'M12 4a8 8 0 0 1 0 16z', fill: 'var(--cl-cached)' }),
    shape('circle', { cx: 12, cy: 12, r: 8, fill: 'none', stroke: 'var(--cl-accent)', 'stroke-width': 1.6 }),
    shape('path', { d: 'M12 1v22', stroke: 'var(--cl-ink)', 'stroke-width': 1.8, 'stroke-linecap': 'round' }));
}

function dark(on) {
  document.body.classList.toggle('dark', on);
  toggle.setAttribute('aria-pressed', on);
}

// Storage may be forbidden (private windows, frames): then the choice lasts as long as the page.
function remembered() {
  try { return localStorage.getItem(DARK); } catch { return null; }
}

toggle.onclick = () => {
  dark(!document.body.classList.contains('dark'));
  try { localStorage.setItem(DARK, document.body.classList.contains('dark')); } catch { /* see above */ }
};
const asked = new URLSearchParams(location.search).get('__theme');
const kept = remembered();
dark(asked || kept === null ? document.body.classList.contains('dark') : kept === 'true');

set(root, {}, make('h1', { class: 'brand' }, logo(), 'CacheLens'),
  make('div', { class: 'right' }, make('span', { class: 'cl-engine', role: 'status' }, dot, engine), toggle, help), keys);

keep((value) => {
  engine.textContent = value?.engine ?? '';
  root.querySelector('.cl-engine').hidden = !value;
  root.querySelector('.cl-engine').dataset.state = value?.state ?? 'idle';
});

// ---- pictures of class cl-fit: up to 512 pixels wide they are scaled by whole numbers, larger ones to the room there is ----
const SMALL = 512, TALLEST = 640;

function fit(picture) {
  const frame = picture.closest('.cl-fit');
  const { naturalWidth: wide, naturalHeight: high } = picture;
  if (!wide || !frame.clientWidth) return; // not there or not shown yet
  const room = Math.min(frame.clientWidth / wide, TALLEST / high);
  const scale = wide <= SMALL && room >= 1 ? Math.floor(room) : room;
  frame.toggleAttribute('data-whole', wide <= SMALL && room >= 1);
  const inside = picture.closest('.image-container'); // the frame's own style is gradio's to write anew
  set(inside, { '--fit-width': `${wide * scale}px`, '--fit-height': `${high * scale}px` });
}

const frames = new ResizeObserver((entries) => entries.forEach(({ target }) => target.querySelectorAll('img').forEach(fit)));
function arrived(picture) {
  const frame = picture.closest?.('.cl-fit');
  if (!frame) return;
  fit(picture);
  frames.observe(frame);
  named(picture.closest('button'));
}
// The button around a picture is gradio's own and has no name.
function named(around) {
  if (around) around.setAttribute('aria-label', around.closest('.cl-fit').querySelector('label')?.textContent.trim() || 'Picture');
}
document.addEventListener('load', (event) => arrived(event.target), true);
document.querySelectorAll('.cl-fit img').forEach(arrived);

// Gradio's empty pictures carry a label that only an image may have.
function nameAll() {
  document.querySelectorAll('.empty[aria-label]:not([role])').forEach((node) => node.setAttribute('role', 'img'));
  document.querySelectorAll('.cl-fit button:not([aria-label]):has(> .image-frame)').forEach(named);
}
new MutationObserver(nameAll).observe(document.body, { subtree: true, childList: true });
nameAll();

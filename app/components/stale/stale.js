// The captions of the pictures. While the numbers belong to a setting that has not run, a tag says
// so and the card has a dashed edge. While a visitor holds down Space, or the picture in the view
// Flip, the whole left picture is shown in the place of the right picture.
import { make, set } from '../base/dom.js';

export function mount({ element, root, keep }) {
  const tag = make('span');
  set(root, {}, tag, make('small', {}, 'hold ', make('kbd', {}, 'Space'), ' to flip'));
  const card = () => element.closest('.cl-viewer');

  keep((value) => {
    const { text = '', left = null, right = null } = value ?? {};
    set(tag, { hidden: !text }, document.createTextNode(text));
    if (!card()) return;
    set(card(), { 'data-stale': Boolean(text) });
    if (left) set(card(), { '--left': JSON.stringify(left), '--right': JSON.stringify(right) });
  });

  function flip(on) {
    if (card()) set(card(), { 'data-flipped': on });
  }

  // Fields, buttons and painted steps use Space themselves. So flip the pictures only if none of
  // these has the focus.
  const free = ({ code, target }) =>
    code === 'Space' && (target === document.body || target.closest?.('.cl-pair')) && element.offsetParent;
  document.addEventListener('keydown', (event) => {
    if (!free(event)) return;
    event.preventDefault(); // otherwise the page would scroll
    flip(true);
  });
  document.addEventListener('keyup', (event) => {
    if (event.code === 'Space') flip(false);
  });
  document.addEventListener('pointerdown', (event) => {
    if (event.target.closest?.('.cl-flip .cl-pair .slider-wrap')) flip(true);
  });
  for (const over of ['pointerup', 'pointercancel']) document.addEventListener(over, () => flip(false));
  addEventListener('blur', () => flip(false));
}

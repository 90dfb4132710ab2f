// Captions of the pictures. While the numbers are of a setting that was not run, a tag says so and the card has a dashed edge.
// While Space is held, or the picture of the view Flip, the left picture stands there whole, in the place of the right one.
const tag = make('span'), hint = make('small', {}, 'hold ', make('kbd', {}, 'Space'), ' to flip');
set(root, {}, tag, hint);

keep((value) => {
  const { text = '', left = null, right = null } = value ?? {};
  set(tag, { hidden: !text }, document.createTextNode(text));
  const card = element.closest('.cl-viewer');
  if (!card) return;
  set(card, { 'data-stale': Boolean(text) });
  if (left) set(card, { '--left': JSON.stringify(left), '--right': JSON.stringify(right) });
});

function flip(on) {
  const card = element.closest('.cl-viewer');
  if (card) set(card, { 'data-flipped': on });
}

// Space is a field's, a button's and a painted step's own: only where none of them has the focus it is free.
const free = (event) => event.code === 'Space' && (event.target === document.body || event.target.closest?.('.cl-pair'))
  && element.offsetParent;
document.addEventListener('keydown', (event) => {
  if (!free(event)) return;
  event.preventDefault(); // or the page would scroll
  flip(true);
});
document.addEventListener('keyup', (event) => event.code === 'Space' && flip(false));
document.addEventListener('pointerdown', (event) => event.target.closest?.('.cl-flip .cl-pair .slider-wrap') && flip(true));
for (const over of ['pointerup', 'pointercancel']) document.addEventListener(over, () => flip(false));
addEventListener('blur', () => flip(false));

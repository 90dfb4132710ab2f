// Sizes the pictures of class cl-fit, and names elements to which gradio gives no name.
import { set } from '../base/dom.js';

// Up to this width in pixels, a picture is scaled by whole numbers, so that its pixels stay square.
const SMALL = 512;
const TALLEST = 640; // pixels

// Returns the scale of a picture in its frame's room, and whether it is a whole number. All lengths
// are in pixels.
export function scaleOf({ width, height }, room) {
  const scale = Math.min(room / width, TALLEST / height);
  const whole = width <= SMALL && scale >= 1;
  return { scale: whole ? Math.floor(scale) : scale, whole };
}

export function fitPictures() {
  const frames = new ResizeObserver((entries) => {
    for (const { target } of entries) target.querySelectorAll('img').forEach(fit);
  });

  function arrived(picture) {
    const frame = picture.closest?.('.cl-fit');
    if (!frame) return;
    fit(picture);
    frames.observe(frame);
    nameButton(picture.closest('button'));
  }

  document.addEventListener('load', (event) => arrived(event.target), true);
  document.querySelectorAll('.cl-fit img').forEach(arrived);
  new MutationObserver(nameAll).observe(document.body, { subtree: true, childList: true });
  nameAll();
}

function fit(picture) {
  const frame = picture.closest('.cl-fit');
  const { naturalWidth: width, naturalHeight: height } = picture;
  if (!width || !frame.clientWidth) return; // the picture is not loaded, or not shown
  const { scale, whole } = scaleOf({ width, height }, frame.clientWidth);
  frame.toggleAttribute('data-whole', whole);
  const inside = picture.closest('.image-container'); // gradio overwrites the frame's own style
  set(inside, { '--fit-width': `${width * scale}px`, '--fit-height': `${height * scale}px` });
}

// gradio's empty pictures have a label, which only an image may have; gradio's buttons around
// pictures have none.
function nameAll() {
  for (const node of document.querySelectorAll('.empty[aria-label]:not([role])'))
    node.setAttribute('role', 'img');
  document.querySelectorAll('.cl-fit button:not([aria-label]):has(> .image-frame)').forEach(nameButton);
}

function nameButton(button) {
  const label = button?.closest('.cl-fit').querySelector('label')?.textContent.trim();
  button?.setAttribute('aria-label', label || 'Picture');
}

// The threshold as a line to drag: by mouse, finger or arrow keys. The line follows at once; the steps behind it are decided
// again by Python, which is asked for one place at a time.
const NUDGES = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };
const limits = asking('limit');
let held = null; // while it is dragged: what is held, and the top of the axis, which must not move meanwhile

function limit() {
  const line = make('div', { class: 'cl-limit' }, make('em', {}, 'computed'), make('output', {}), make('em', {}, 'cached'));
  line.onpointerdown = (event) => {
    if (!view?.drag || event.button > 0) return;
    event.preventDefault();
    event.stopPropagation();
    line.focus({ preventScroll: true }); // the page must not move under the pointer
    line.setPointerCapture(event.pointerId);
    held = { value: view.drag.value, top: view.top, moved: false };
  };
  line.onpointermove = (event) => {
    if (!held) return;
    event.stopPropagation();
    const ground = plot.querySelector('.zone').getBoundingClientRect();
    move(line, (ground.bottom - event.clientY) / ground.height * held.top, held.top);
  };
  line.onpointerup = line.onpointercancel = (event) => {
    if (!held) return;
    event.stopPropagation();
    const { value, moved } = held;
    held = null;
    if (moved) limits.ask({ value, top: null }); // now the axis may fit the new place
  };
  line.onkeydown = (event) => {
    const by = NUDGES[event.key];
    if (!by || !view?.drag) return;
    event.preventDefault();
    event.stopPropagation();
    held = { value: limits.latest()?.value ?? view.drag.value, moved: false };
    move(line, held.value + by * view.drag.step, null);
    held = null;
  };
  return line;
}

function move(line, wished, top) {
  const { low, high, step } = view.drag;
  const value = Number(Math.max(low, Math.min(high, top ?? high, Math.round(wished / step) * step)).toFixed(4));
  if (value === held.value) return;
  held.value = value;
  held.moved = true;
  place(line, value / view.top, String(value));
  limits.ask({ value, top });
}

function place(line, share, text) {
  set(plot, { '--t': Math.min(share, 1) });
  line.querySelector('output').textContent = text;
  set(line, { 'aria-valuenow': text, 'aria-valuetext': `threshold ${text}` });
}

// What Python sends while the line is held is about a place that it has left.
function drawLimit(line) {
  limits.answered();
  line.hidden = !view.limit;
  const drag = view.drag;
  set(line, { 'data-drag': Boolean(drag), role: drag ? 'slider' : null, tabindex: drag ? 0 : null, 'aria-label': drag ? 'Threshold' : null,
    'aria-orientation': drag ? 'vertical' : null, 'aria-valuemin': drag?.low ?? null, 'aria-valuemax': drag?.high ?? null });
  if (!held) place(line, view.limit?.place ?? 0, view.limit?.text ?? '');
}

// The threshold as a line that a visitor drags by mouse, finger or arrow keys. The line follows at
// once. Python decides the steps again; only one question at a time is sent to Python.
import { asking } from '../base/asking.js';
import { make, set } from '../base/dom.js';
import { clamp } from '../base/numbers.js';

const NUDGES = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };

// Returns the threshold nearest to `wished`: a whole number of the knob's steps, within its bounds,
// and within the axis during a drag. `top`: the end of the axis, or null.
export function thresholdNear(wished, { low, high, step }, top) {
  return Number(clamp(low, Math.round(wished / step) * step, Math.min(high, top ?? high)).toFixed(4));
}

// Returns the change at a pointer's height. `box`: bottom and height of the plot, in pixels.
export const changeAt = (y, { bottom, height }, top) => ((bottom - y) / height) * top;

// `shown`: holds the present view. `plot`: the element on which the line's place is set.
export function thresholdLine(trigger, plot, shown) {
  const questions = asking(trigger, 'limit');
  // During a drag: the line's value, and the end of the axis, which must not move.
  let held = null;

  function build() {
    const line = make(
      'div',
      { class: 'cl-limit' },
      make('em', {}, 'computed'),
      make('output', {}),
      make('em', {}, 'cached'),
    );
    line.onpointerdown = (event) => {
      if (!shown.view?.drag || event.button > 0) return;
      event.preventDefault();
      event.stopPropagation();
      line.focus({ preventScroll: true }); // the page must not move under the pointer
      line.setPointerCapture(event.pointerId);
      held = { value: shown.view.drag.value, top: shown.view.top, moved: false };
    };
    line.onpointermove = (event) => {
      if (!held) return;
      event.stopPropagation();
      move(
        line,
        changeAt(event.clientY, plot.querySelector('.zone').getBoundingClientRect(), held.top),
        held.top,
      );
    };
    line.onpointerup = line.onpointercancel = (event) => {
      if (!held) return;
      event.stopPropagation();
      const { value, moved } = held;
      held = null;
      if (moved) questions.ask({ value, top: null }); // now the axis may fit the new place
    };
    line.onkeydown = (event) => {
      const by = NUDGES[event.key];
      if (!by || !shown.view?.drag) return;
      event.preventDefault();
      event.stopPropagation();
      held = { value: questions.latest()?.value ?? shown.view.drag.value, moved: false };
      move(line, held.value + by * shown.view.drag.step, null);
      held = null;
    };
    return line;
  }

  function move(line, wished, top) {
    const value = thresholdNear(wished, shown.view.drag, top);
    if (value === held.value) return;
    held.value = value;
    held.moved = true;
    place(line, value / shown.view.top, String(value));
    questions.ask({ value, top });
  }

  function place(line, share, text) {
    set(plot, { '--t': Math.min(share, 1) });
    line.querySelector('output').textContent = text;
    set(line, { 'aria-valuenow': text, 'aria-valuetext': `threshold ${text}` });
  }

  // During a drag the line keeps its place, because the place that Python sends is one that the
  // pointer has left.
  function draw(line) {
    const { limit, drag } = shown.view;
    questions.answered();
    line.hidden = !limit;
    set(line, {
      'data-drag': Boolean(drag),
      role: drag ? 'slider' : null,
      tabindex: drag ? 0 : null,
      'aria-label': drag ? 'Threshold' : null,
      'aria-orientation': drag ? 'vertical' : null,
      'aria-valuemin': drag?.low ?? null,
      'aria-valuemax': drag?.high ?? null,
    });
    if (!held) place(line, limit?.place ?? 0, limit?.text ?? '');
  }

  return { build, draw, held: () => held !== null };
}

import { icon, make, set } from '../base/dom.js';
import { clamp } from '../base/numbers.js';
import { stepGrid } from './grid.js';
import { thresholdLine } from './limit.js';
import { painter } from './paint.js';
import { readoutLines } from './steps.js';

const BEFORE = 'M10 3.5 5.5 8l4.5 4.5';
const NEXT = 'M6 3.5 10.5 8 6 12.5';
const REST = 120; // milliseconds: while an arrow key is held down, Python gets only the last step
const NEAR = 20; // pixels around the shown step in which no other step's number is drawn
const NOTHING = 'Nothing has run yet: press Generate, and every step appears here as it is decided.';

export function mount({ root, trigger, keep }) {
  const shown = { view: null, columns: [], room: 0 }; // room: pixels of one column
  let pinned = null;
  let pointed = null;
  let timer = 0;

  const legend = make('p', { class: 'legend' });
  const kind = make('span', { class: 'cl-kind', 'data-kind': 'expected', hidden: true });
  const plot = make('div', { class: 'tl' });
  const sentence = make('p', { class: 'sentence' });
  const facts = make('p', { class: 'cl-note facts' });
  const why = make('span');
  const fix = make('button', { type: 'button', class: 'cl-btn' });
  fix.onclick = () => trigger('fix', { knob: shown.view.fix.knob, value: shown.view.fix.value });
  const banner = make('p', { class: 'banner' }, why, fix);
  const readout = make(
    'div',
    { class: 'cl-readout' },
    turn('Step before', BEFORE, -1),
    turn('Next step', NEXT, 1),
    banner,
    sentence,
    facts,
  );
  const limit = thresholdLine(trigger, plot, shown);
  const paint = painter(trigger, root, shown);
  const grid = stepGrid(plot, shown, limit, paint, { at, pin, pinPointed, point, resized: drawReadout });
  set(
    root,
    { class: 'cl-timeline cl-card', role: 'group', 'aria-label': 'Steps' },
    make('header', {}, make('h2', {}, 'Steps'), kind, legend, paint.tools),
    plot,
    readout,
  );

  function turn(name, path, by) {
    const button = make(
      'button',
      { type: 'button', class: 'cl-btn cl-icon cl-quiet', 'aria-label': name },
      icon(path),
    );
    button.onclick = () => pin(at() + by);
    return button;
  }

  // The step in the readout: the step under the pointer, or the pinned step, or the step that
  // Python suggests.
  function at() {
    return Math.min(pointed ?? pinned ?? shown.view?.at ?? 0, Math.max(shown.columns.length - 1, 0));
  }

  function point(step) {
    pointed = step;
    drawReadout();
  }

  function pin(step, focus = false) {
    pinned = clamp(0, step, shown.columns.length - 1);
    pointed = null;
    drawReadout();
    if (focus) shown.columns[pinned].focus();
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (pinned !== null) trigger('select', { index: pinned });
    }, REST);
  }

  function pinPointed() {
    if (pointed !== null) pin(pointed);
  }

  function drawReadout() {
    const { view, columns, room } = shown;
    if (!view) return;
    const step = at();
    columns.forEach((column, i) => {
      set(column, {
        'aria-current': i === step ? 'true' : null,
        tabindex: i === (pinned ?? view.at) ? 0 : -1,
        'data-near': i !== step && Math.abs(i - step) * room < NEAR,
      });
    });
    const bannered = pinned === null && pointed === null && Boolean(view.banner);
    banner.hidden = !bannered;
    sentence.hidden = facts.hidden = bannered;
    why.textContent = view.banner;
    fix.hidden = !view.fix;
    fix.textContent = view.fix?.text ?? '';
    const lines = readoutLines(view, step);
    const spans = (texts) => texts.map((text) => make('span', {}, text));
    sentence.replaceChildren(make('b', {}, `Step ${step}`), ' · ', ...spans(lines.sentences));
    facts.replaceChildren(...spans(lines.facts));
  }

  function draw(value) {
    const { view } = shown;
    const anotherRun =
      value && view && !value.expected && (value.calls < view.calls || value.steps !== view.steps);
    if (anotherRun) pinned = pointed = null;
    shown.view = value;
    set(root, {
      'data-running': value?.running ?? null,
      'data-empty': !value,
      'data-expected': Boolean(value?.expected),
    });
    kind.hidden = !value?.expected;
    kind.textContent = value?.expected || '';
    paint.draw();
    const counts = Object.entries(value?.counts ?? {}).filter(([mode, count]) => count || mode !== 'partial');
    legend.replaceChildren(
      ...counts.map(([mode, count]) =>
        make('span', {}, make('i', { 'data-shade': mode }), mode, make('b', {}, String(count))),
      ),
    );
    if (!value) {
      set(plot, {}, make('p', { class: 'cl-note' }, NOTHING));
      return;
    }
    grid.draw();
    readout.setAttribute('aria-live', value.running ? 'off' : 'polite');
    drawReadout();
  }

  keep(draw);
}

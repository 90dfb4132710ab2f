// One goal, how fast or how close; the knobs follow it. Drag anywhere in the plot, or use the arrow
// keys.
import { asking } from '../base/asking.js';
import { make, set, shape } from '../base/dom.js';
import { clamp } from '../base/numbers.js';
import { bandPath, endsOf, linePath, nudge, wishAt } from './curve.js';

const GOALS = [
  ['speed', 'How fast?'],
  ['likeness', 'How close?'],
];

export function mount({ root, trigger, keep }) {
  const questions = asking(trigger, 'turn', () => set(plot, { 'aria-busy': null }));
  let view = null;
  let goal = 'speed';
  let wish = null; // the value that a visitor chose, until it is drawn
  let held = false;

  const goals = GOALS.map(([name, text]) => {
    const button = make('button', { type: 'button', 'data-goal': name }, text);
    button.onclick = () => {
      goal = name;
      wish = null;
      drawTexts();
    };
    return button;
  });
  const speed = make('b');
  const likeness = make('span');
  const at = make('span', { class: 'cl-kind at', 'data-kind': 'expected' }, speed, likeness);
  const marks = make('div', { class: 'marks' });
  const plot = make('div', { class: 'plot', tabindex: 0, role: 'slider' });
  const frame = make('div', { class: 'frame' }, plot, marks);
  const note = make('p', { class: 'cl-note' });
  set(
    root,
    { class: 'cl-dial', role: 'group', 'aria-label': 'Dial' },
    make(
      'header',
      {},
      make('span', { class: 'modes', role: 'group', 'aria-label': 'What the dial is for' }, ...goals),
      at,
    ),
    frame,
    note,
  );

  // Lines are in one picture that is stretched; dots and texts are boxes, which are not stretched.
  function drawPlot() {
    const dot = (kind, { x, y }) => make('i', { class: kind, '--x': x, '--y': y });
    const levels = view.levels.map(({ place }) =>
      shape('path', { class: 'level', d: `M0 ${100 - place * 100}H100` }),
    );
    plot.replaceChildren(
      shape(
        'svg',
        { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        ...levels,
        shape('path', { class: 'band', d: bandPath(view.points) }),
        shape('path', { class: 'curve', d: linePath(view.points) }),
      ),
      ...view.runs.map((run) => dot('run', run)),
      ...(view.at ? [dot('drop', view.at), dot('thumb', view.at)] : []),
    );
    const texts = (kind, ticks) =>
      ticks.map(({ place, text }) => make('span', { class: kind, '--at': place }, text));
    set(
      marks,
      {},
      ...texts('speed', view.speeds),
      ...texts('level', view.levels),
      view.db && make('em', {}, 'dB'),
    );
  }

  function present() {
    if (wish !== null) return wish;
    return goal === 'speed' ? (view.at?.speed ?? 1) : (view.at?.db ?? view.db[1]);
  }

  function drawTexts() {
    if (goal === 'likeness' && !view?.db) goal = 'speed';
    for (const button of goals) {
      set(button, { 'aria-pressed': String(button.dataset.goal === goal) });
      button.disabled = button.dataset.goal === 'likeness' && !view?.db;
    }
    at.hidden = !view?.at;
    speed.textContent = view?.at?.speed_text ?? '';
    likeness.textContent = view?.at?.likeness_text ?? '';
    note.textContent = view?.note ?? '';
    note.hidden = !view?.note;
    frame.hidden = view?.state !== 'ready';
    if (frame.hidden) return;
    const [low, high] = endsOf(goal, view.db);
    set(plot, {
      'data-goal': goal,
      'aria-label': goal === 'speed' ? 'How many times faster' : 'How close, in dB',
      'aria-valuemin': low,
      'aria-valuemax': high,
      'aria-valuenow': Math.round(present() * 100) / 100,
      'aria-valuetext': view.at ? `${view.at.speed_text} faster, ${view.at.likeness_text}` : null,
    });
  }

  function turn(value) {
    const [low, high] = endsOf(goal, view.db);
    wish = clamp(low, value, high);
    set(plot, { 'aria-busy': 'true' });
    questions.ask({ goal, value: Math.round(wish * 1000) / 1000 });
    drawTexts();
  }

  function follow(event) {
    turn(wishAt({ x: event.clientX, y: event.clientY }, plot.getBoundingClientRect(), goal, view.db));
  }

  plot.onpointerdown = (event) => {
    if (event.button > 0) return;
    held = true;
    plot.setPointerCapture(event.pointerId);
    plot.focus({ preventScroll: true });
    follow(event);
  };
  plot.onpointermove = (event) => {
    if (held) follow(event);
  };
  plot.onpointerup = plot.onpointercancel = () => {
    held = false;
    wish = null;
  };
  plot.onblur = () => {
    wish = null;
  };
  plot.onkeydown = (event) => {
    const by = nudge(event.key, goal);
    if (!by) return;
    event.preventDefault();
    turn(present() + by);
  };

  keep((value) => {
    view = value;
    questions.answered();
    set(root, { 'data-state': view?.state ?? 'none' });
    if (view?.state === 'ready') drawPlot();
    drawTexts();
  });
}

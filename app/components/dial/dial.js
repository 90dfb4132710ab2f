// The dial: one wish, how fast or how close, and the knobs follow. Drag anywhere in the plot, or use the arrow keys.
const questions = asking('turn', () => set(plot, { 'aria-busy': null }));
let view = null, goal = 'speed', wish = null;
const goals = [['speed', 'How fast?'], ['likeness', 'How close?']].map(([name, text]) => {
  const button = make('button', { type: 'button', 'data-goal': name }, text);
  button.onclick = () => { goal = name; wish = null; tell(); };
  return button;
});
const told = make('b'), likeness = make('span');
const marks = make('div', { class: 'marks' });
const plot = make('div', { class: 'plot', tabindex: 0, role: 'slider' });
const note = make('p', { class: 'cl-note' });
set(root, { class: 'cl-dial', role: 'group', 'aria-label': 'Dial' },
  make('header', {}, make('span', { class: 'modes', role: 'group', 'aria-label': 'What the dial is for' }, ...goals),
    make('span', { class: 'cl-kind at', 'data-kind': 'expected' }, told, likeness)),
  make('div', { class: 'frame' }, plot, marks), note);

const line = (points) => points.map(({ x, y }, i) => `${i ? 'L' : 'M'}${x * 100} ${100 - y * 100}`).join('');

function band(points) {
  const known = points.filter((point) => point.band);
  if (known.length < 2) return '';
  const edge = (end) => known.map(({ x, band }) => ({ x, y: band[end] }));
  return `${line(edge(1))}${line(edge(0).reverse()).replace('M', 'L')}Z`;
}

// Lines in one picture that is stretched; dots and words as boxes, which are not.
function drawPlot() {
  const dot = (kind, { x, y }) => make('i', { class: kind, '--x': x, '--y': y });
  plot.replaceChildren(
    shape('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...view.levels.map((level) => shape('path', { class: 'level', d: `M0 ${100 - level.place * 100}H100` })),
      shape('path', { class: 'band', d: band(view.points) }), shape('path', { class: 'curve', d: line(view.points) })),
    ...view.runs.map((run) => dot('run', run)), ...(view.at ? [dot('drop', view.at), dot('thumb', view.at)] : []));
  set(marks, {}, ...view.speeds.map((one) => make('span', { class: 'speed', '--at': one.place }, one.text)),
    ...view.levels.map((one) => make('span', { class: 'level', '--at': one.place }, one.text)), view.db && make('em', {}, 'dB'));
}

const ends = () => goal === 'speed' ? [1, 4] : view.db;
const here = () => wish ?? (goal === 'speed' ? view.at?.speed ?? 1 : view.at?.db ?? view.db[1]);

function tell() {
  if (goal === 'likeness' && !view?.db) goal = 'speed';
  goals.forEach((button) => {
    set(button, { 'aria-pressed': String(button.dataset.goal === goal) });
    button.disabled = button.dataset.goal === 'likeness' && !view?.db;
  });
  const ready = view?.state === 'ready', at = view?.at;
  root.querySelector('.at').hidden = !at;
  told.textContent = at?.told ?? '';
  likeness.textContent = at?.likeness ?? '';
  note.textContent = view?.note ?? '';
  note.hidden = !view?.note;
  root.querySelector('.frame').hidden = !ready;
  if (!ready) return;
  const [low, high] = ends();
  set(plot, { 'data-goal': goal, 'aria-label': goal === 'speed' ? 'How many times faster' : 'How close, in dB', 'aria-valuemin': low,
    'aria-valuemax': high, 'aria-valuenow': Math.round(here() * 100) / 100,
    'aria-valuetext': at ? `${at.told} faster, ${at.likeness}` : null });
}

function turn(value) {
  const [low, high] = ends();
  wish = Math.max(low, Math.min(high, value));
  set(plot, { 'aria-busy': 'true' });
  questions.ask({ goal, value: Math.round(wish * 1000) / 1000 });
  tell();
}

function follow(event) {
  const box = plot.getBoundingClientRect();
  const across = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  const up = Math.max(0, Math.min(1, (box.bottom - event.clientY) / box.height));
  turn(goal === 'speed' ? 4 ** across : view.db[0] + up * (view.db[1] - view.db[0]));
}

let held = false;
plot.onpointerdown = (event) => { if (event.button > 0) return; held = true; plot.setPointerCapture(event.pointerId); plot.focus({ preventScroll: true }); follow(event); };
plot.onpointermove = (event) => { if (held) follow(event); };
plot.onpointerup = plot.onpointercancel = () => { held = false; wish = null; };
plot.onblur = () => { wish = null; };
plot.onkeydown = (event) => {
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 4, PageDown: -4 }[event.key];
  if (!by) return;
  event.preventDefault();
  turn(here() + by * (goal === 'speed' ? 0.05 : 0.5));
};

keep((value) => {
  view = value;
  questions.answered();
  set(root, { 'data-state': view?.state ?? 'none' });
  if (view?.state === 'ready') drawPlot();
  tell();
});

import { make, set } from '../base/dom.js';

export function mount({ root, keep }) {
  // Maps a title to whether the note was on. If a visitor opened or closed a note, it stays so
  // until this changes.
  let before = new Map();

  function item({ title, text, on }, boxes) {
    const box =
      boxes.get(title) ??
      make('details', { 'data-title': title }, make('summary', {}, title), make('p', {}, text));
    if (before.get(title) !== on) box.open = on;
    return make('li', { class: on && 'on' }, box);
  }

  keep((value) => {
    const { title = '', notes = [] } = value ?? {};
    const boxes = new Map([...root.querySelectorAll('details')].map((box) => [box.dataset.title, box]));
    const list = notes.map((note) => item(note, boxes));
    before = new Map(notes.map((note) => [note.title, note.on]));
    set(
      root,
      { class: 'cl-notes cl-card', role: 'group', 'aria-label': title },
      make('header', {}, make('h2', {}, title)),
      make('ol', {}, ...list),
    );
  });
}

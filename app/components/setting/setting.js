import { make, set } from '../base/dom.js';

export function mount({ root, keep }) {
  keep((value) => {
    const { title = '', kind = '', code = '', bars = [], facts = [], notes = [] } = value ?? {};
    set(
      root,
      {},
      make(
        'header',
        {},
        make('h2', {}, title),
        kind && make('span', { class: 'cl-kind', 'data-kind': kind }, kind),
      ),
      code && make('p', { class: 'code' }, code),
      bars.length && make('div', { class: 'bars' }, ...bars.flatMap(bar)),
      facts.length &&
        make('dl', {}, ...facts.flatMap(({ name, text }) => [make('dt', {}, name), make('dd', {}, text)])),
      ...notes.map((line) => make('p', { class: 'note' }, line)),
    );
  });
}

function bar({ name, share, text, look }) {
  const length = make('i', { '--share': share, 'data-look': look });
  return [make('span', {}, name), make('span', { class: 'bar' }, length), make('output', {}, text)];
}

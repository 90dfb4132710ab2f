import { make } from '../base/dom.js';

export function mount({ root, keep }) {
  keep((value) => root.replaceChildren(...(value?.parts ?? []).map(chip)));
}

function chip({ code, word, title, changed }) {
  return make(
    'span',
    { 'data-part': code.match(/^[A-Z]+/)?.[0], class: changed && 'changed', title },
    make('b', {}, code),
    word,
    changed && make('span', { class: 'cl-hide' }, ', changed'),
  );
}

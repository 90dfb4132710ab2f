keep((value) => {
  const parts = (value?.parts ?? []).map((part) => make('span', { 'data-part': part.code.match(/^[A-Z]+/)?.[0], class: part.changed && 'changed', title: part.title },
    make('b', {}, part.code), part.word, part.changed && make('span', { class: 'cl-hide' }, ', changed')));
  root.replaceChildren(...parts);
});

// Above the pictures, while the numbers are of a setting that was not run: the pictures' card gets a dashed edge.
keep((value) => {
  const text = value?.text ?? '';
  set(root, {}, text && make('span', {}, text));
  if (!text) root.replaceChildren();
  const card = element.closest('.cl-viewer');
  if (card) set(card, { 'data-stale': Boolean(text) });
});

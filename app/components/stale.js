// Captions of the pictures. While the numbers are of a setting that was not run, a tag says so and the card has a dashed edge.
keep((value) => {
  const { text = '', left = null, right = null } = value ?? {};
  set(root, {}, make('span', { hidden: !text }, text));
  const card = element.closest('.cl-viewer');
  if (!card) return;
  set(card, { 'data-stale': Boolean(text) });
  if (left) set(card, { '--left': JSON.stringify(left), '--right': JSON.stringify(right) });
});

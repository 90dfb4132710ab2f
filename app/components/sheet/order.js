// Sorts the rows of a table. `order`: the column, and whether the highest value comes first.

// Returns the rows in order. A cell whose value is null comes last, in both directions.
export const inOrder = (rows, order) => [...rows].sort((a, b) => compare(a, b, order));

function compare(a, b, { column, down }) {
  const [one, two] = [a.cells[column].sort, b.cells[column].sort];
  if (one === null || two === null) return (one === null) - (two === null);
  return (one < two ? -1 : one > two ? 1 : 0) * (down ? -1 : 1);
}

// Returns the order after a click on a column's head: reversed, or at first names upwards and
// numbers downwards.
export function orderAfter(order, column) {
  return { column, down: order.column === column ? !order.down : column > 0 };
}

// Returns the scroll position at which a row is completely visible. All lengths are in pixels.
// `head`: the height of the heads.
export function scrollFor(scrolled, row, head, height) {
  const top = row.top - head;
  const bottom = row.top + row.height - height;
  return scrolled > top ? top : Math.max(scrolled, bottom);
}

// How the rows of a table are sorted. `order`: the column, and whether the highest value stands first.

// The rows in order. A cell whose value is null stands last, whichever way the column is sorted.
export const inOrder = (rows, order) => [...rows].sort((a, b) => compare(a, b, order));

function compare(a, b, { column, down }) {
  const [one, two] = [a.cells[column].sort, b.cells[column].sort];
  if (one === null || two === null) return (one === null) - (two === null);
  return (one < two ? -1 : one > two ? 1 : 0) * (down ? -1 : 1);
}

// The order after a click on a column's head: turned around, or at first names upwards and numbers downwards.
export function orderAfter(order, column) {
  return { column, down: order.column === column ? !order.down : column > 0 };
}

// Where the table is scrolled to, so that a row is wholly seen. All in pixels; `head`: height of the heads.
export function scrollFor(scrolled, row, head, height) {
  const top = row.top - head;
  const bottom = row.top + row.height - height;
  return scrolled > top ? top : Math.max(scrolled, bottom);
}

// Returns the picture to which a key leads, counted through all rows of all grids, or undefined.
export function cellByKey(key, at, columns) {
  return { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns }[key];
}

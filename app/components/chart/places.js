// Arithmetic of the chart: paths, reach and room. Places run from 0 (left, bottom) to 100; pixels from the
// top left.

// A path through places, in a square of 100 whose y runs down.
export const pathOf = (points, close = '') =>
  `M${points.map(([x, y]) => `${x} ${100 - y}`).join('L')}${close}`;

// The outline of a band, given as [x, low, high].
export function bandPath(band) {
  const lower = band.map(([x, low]) => [x, low]);
  const upper = band.map(([x, , high]) => [x, high]).reverse();
  return pathOf([...lower, ...upper], 'Z');
}

// One dot for each place.
export const cloudPath = (cloud) => cloud.map(([x, y]) => `M${x} ${100 - y}h0`).join('');

// The line of a limit: across at `y`, or up at `x`.
export function limitPath({ x, y }) {
  return pathOf(
    y === undefined
      ? [
          [x, 0],
          [x, 100],
        ]
      : [
          [0, y],
          [100, y],
        ],
  );
}

// Indices of the points from left to right, and from bottom to top at one x.
export function inOrder(points) {
  return points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x || points[a].y - points[b].y);
}

// A place in pixels.
export const pixelsOf = ({ x, y }, { width, height }) => [(x / 100) * width, (1 - y / 100) * height];

// The marks that answer to a pointer, in `order`: the nearest one within `reach`, and all on its spot. All in
// pixels.
export function marksNear(places, order, pointer, reach) {
  const distances = places.map(([x, y]) => Math.hypot(x - pointer[0], y - pointer[1]));
  const least = Math.min(...distances);
  return least > reach ? [] : order.filter((i) => distances[i] < least + 1);
}

// The place in the order that a key leads to, or undefined. `at`: -1 before a mark is chosen.
export function placeByKey(key, at, count) {
  const last = count - 1;
  const before = at < 0 ? last : at - 1;
  const to = {
    ArrowRight: at + 1,
    ArrowUp: at + 1,
    ArrowLeft: before,
    ArrowDown: before,
    Home: 0,
    End: last,
  }[key];
  return to === undefined ? undefined : Math.max(0, Math.min(last, to));
}

// Where a label of `width` x `height` pixels stands beside its mark at (x, y): the first of eight spots that
// lies in the plot and overlaps no box in `taken`; undefined if none is free. A box is [left, top, right,
// bottom].
export function freeSpot([x, y], { width, height }, plot, taken) {
  const spots = [
    [11, -6.5],
    [-11 - width, -6.5],
    [-width / 2, -21],
    [-width / 2, 9],
    [9, -18],
    [9, 6],
    [-9 - width, -18],
    [-9 - width, 6],
  ];
  return spots
    .map(([right, down]) => [x + right, y + down, x + right + width, y + down + height])
    .find((spot) => inside(spot, plot) && !taken.some((box) => overlap(spot, box)));
}

const inside = ([left, top, right, bottom], plot) =>
  left > 2 && right < plot.width + 14 && top > 0 && bottom < plot.height;
const overlap = (a, b) => a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1];

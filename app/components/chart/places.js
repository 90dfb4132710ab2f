// The chart's arithmetic: paths, reach and room. Places run from 0 (left, bottom) to 100; pixels
// count from the top left.

// Returns the path through places, in a square of 100 in which y runs down.
export const pathOf = (points, close = '') =>
  `M${points.map(([x, y]) => `${x} ${100 - y}`).join('L')}${close}`;

// Returns the outline of a band of [x, low, high].
export function bandPath(band) {
  const lower = band.map(([x, low]) => [x, low]);
  const upper = band.map(([x, , high]) => [x, high]).reverse();
  return pathOf([...lower, ...upper], 'Z');
}

// Returns a path with one dot for each place.
export const cloudPath = (cloud) => cloud.map(([x, y]) => `M${x} ${100 - y}h0`).join('');

// Returns the line of a limit: horizontal at `y`, or vertical at `x`.
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

// Returns the indices of the points from left to right, and from bottom to top at the same x.
export function inOrder(points) {
  return points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x || points[a].y - points[b].y);
}

// Returns a place in pixels.
export const pixelsOf = ({ x, y }, { width, height }) => [(x / 100) * width, (1 - y / 100) * height];

// Returns the marks that react to a pointer, in `order`: the nearest mark within `reach`, and all
// marks on its spot. All lengths are in pixels.
export function marksNear(places, order, pointer, reach) {
  const distances = places.map(([x, y]) => Math.hypot(x - pointer[0], y - pointer[1]));
  const least = Math.min(...distances);
  return least > reach ? [] : order.filter((i) => distances[i] < least + 1);
}

// Returns the place in the order to which a key leads, or undefined. `at`: -1 before a mark is
// chosen.
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

// Returns the place of a label of `width` x `height` pixels beside its mark at (x, y): the first of
// eight spots that lies in the plot and overlaps no box in `taken`, or undefined if no spot is
// free. A box is [left, top, right, bottom].
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

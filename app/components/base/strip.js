// A schedule without words: high is computed, low is cached.
function strip(modes) {
  const height = { C: 1, p: 0.6, c: 0.28 };
  const bars = [...modes].map((mode, i) => `M${i} ${1 - (height[mode] ?? 0)}h.8V1h-.8z`).join('');
  return shape('svg', { class: 'strip', viewBox: `0 0 ${Math.max(modes.length, 1)} 1`, preserveAspectRatio: 'none', role: 'img', 'aria-label': modes },
    shape('path', { d: bars }));
}

// A long name breaks after an underscore or a comma, not inside a part.
const broken = (text) => text.split(/(?<=[_,])/).flatMap((part) => [make('wbr'), part]);

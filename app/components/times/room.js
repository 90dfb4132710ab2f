const WORDS = 100; // pixels that a bar needs to show its own text
const BESIDE = 150; // pixels left and right of the bars

// Returns whether a bar's text fits into it. `share`: the bar's length, 0 to 1. `width`: width of
// the component in pixels.
export const fitsInside = (share, width) => share * (width - BESIDE) >= WORDS;

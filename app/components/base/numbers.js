export const clamp = (low, value, high) => Math.max(low, Math.min(high, value));

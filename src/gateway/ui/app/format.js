// Numbers and times as people read them. Pure.

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'];

/** What stands where a value is not known. */
export const NONE = '–';

/** @param {number | null | undefined} n */
export const count = n => (n == null ? NONE : Math.round(n).toLocaleString('en'));

/** @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes == null) return NONE;
  let n = bytes, unit = 0;
  while (n >= 1000 && unit < SIZES.length - 1) { n /= 1000; unit++; }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${SIZES[unit]}`;
}

/** A duration. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms == null) return NONE;
  if (ms < 1) return '<1 ms';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  return span(ms);
}

/** A span of time in its largest unit. @param {number} ms */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`.replace(' 0 min', '');
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`.replace(' 0 h', '');
}

/** The exact time. @param {number | null | undefined} at */
export function exact(at) {
  if (at == null) return NONE;
  const d = new Date(at), two = n => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(at)}`;
}

/** The time of day. @param {number} at */
export function clock(at) {
  const d = new Date(at), two = (n, w = 2) => String(n).padStart(w, '0');
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`;
}

/** @param {unknown} value */
export function pretty(value) {
  try {
    return JSON.stringify(value, null, 2) ?? 'undefined';
  } catch (error) {
    return String(error);
  }
}

/** `1 tool`, `2 tools`. @param {number | null | undefined} n @param {string} noun */
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

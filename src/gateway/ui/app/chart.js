// Charts of few numbers, as SVG: they follow the colours of the page and need no library.
import { count, duration, plural } from './format.js';
import { html, useState } from './html.js';

/** @import { Phases } from './types' */

/** Without the present minute, which is not over, unless it has more calls already. @param {number[]} values */
export const known = values => (/** @type {number} */ (values.at(-1)) < /** @type {number} */ (values.at(-2) ?? 0) ? values.slice(0, -1) : values);

/** Calls of the last hour, beside a row. */
export function Sparkline({ values }) {
  if (!values?.length) return html`<svg class="spark" viewBox="0 0 120 24" aria-hidden="true"><path class="spark-none" d="M0 22.5H120" /></svg>`;
  const whole = known(values), most = Math.max(...whole, 1), step = 120 / (whole.length - 1 || 1);
  const points = whole.map((v, n) => `${(n * step).toFixed(1)} ${(22.5 - (v / most) * 20).toFixed(1)}`);
  return html`<svg class="spark" viewBox="0 0 120 24" preserveAspectRatio="none" role="img" aria-label=${`calls per minute: ${whole.at(-1)} in the last one, ${most} at most in the last hour`}>
    <path class="spark-area" d=${`M0 24L${points.join('L')}L120 24Z`} /><path class="spark-line" d=${`M${points.join('L')}`} vector-effect="non-scaling-stroke" />
  </svg>`;
}

/** The same, large enough to read values from. */
export function Bars({ values }) {
  const [at, setAt] = useState(-1);
  const most = Math.max(...values, 1), sum = values.reduce((a, b) => a + b, 0), width = 600 / values.length;
  const ago = values.length - 1 - at;
  const move = e => {
    const box = e.currentTarget.getBoundingClientRect();
    setAt(Math.min(values.length - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * values.length))));
  };
  return html`<figure class="bars">
    <figcaption>${at < 0 ? `${plural(sum, 'call')} in the last hour, at most ${count(most)} a minute` : `${plural(values[at], 'call')}, ${ago === 0 ? 'this minute' : `${ago} min ago`}`}</figcaption>
    <svg viewBox="0 0 600 96" preserveAspectRatio="none" role="img" aria-label=${`${sum} calls in the last hour, at most ${most} in one minute`} onPointerMove=${move} onPointerLeave=${() => setAt(-1)}>
      <path class="bars-grid" d="M0 .5H600M0 48H600M0 95.5H600" vector-effect="non-scaling-stroke" />
      ${values.map((v, n) => html`<rect key=${n} class=${n === at ? 'on' : ''} x=${n * width + 1} width=${width - 2} y=${95 - (v / most) * 90} height=${(v / most) * 90 + (v ? 0 : 0.5)} />`)}
    </svg>
    <div class="bars-axis"><span>60 min ago</span><span>30 min</span><span>now</span></div>
  </figure>`;
}

const NAMES = /** @type {[keyof Phases, string][]} */ ([
  ['start', 'waiting for the server to start'], ['approval', 'waiting for approval'], ['queue', 'queued'], ['server', 'in the server'], ['gateway', 'in the gateway'],
]);

/** Where the time of a call went. @param {{ phases: Phases | null, most: number }} props */
export function Strip({ phases, most }) {
  if (!phases) return html`<span class="strip"></span>`;
  let x = 0;
  const text = NAMES.filter(([key]) => phases[key] >= 0.5).map(([key, name]) => `${duration(phases[key])} ${name}`).join(', ');
  return html`<svg class="strip" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${text || 'less than a millisecond'}>
    ${NAMES.map(([key]) => {
      const width = Math.min(100 - x, ((phases[key] ?? 0) / most) * 100), from = x;
      x += width;
      return width > 0.05 && html`<rect key=${key} class=${`ph-${key}`} x=${from} y="1" width=${Math.max(width, 0.8)} height="6" />`;
    })}
  </svg>`;
}

/** The same with names and numbers. @param {{ phases: Phases }} props */
export function Waterfall({ phases }) {
  const total = NAMES.reduce((sum, [key]) => sum + (phases[key] ?? 0), 0) || 1;
  let x = 0;
  return html`<ol class="waterfall">${NAMES.map(([key, name]) => {
    const from = x, width = ((phases[key] ?? 0) / total) * 100;
    x += width;
    return html`<li key=${key}><span>${name}</span><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class=${`ph-${key}`} x=${Math.min(from, 99)} y="2" width=${Math.max(width, phases[key] ? 0.6 : 0)} height="6" /></svg><span class="num">${phases[key] ? duration(phases[key]) : '0'}</span></li>`;
  })}</ol>`;
}

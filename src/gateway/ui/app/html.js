// What the page uses of its libraries.
import { h, htm } from '../vendor/libraries.js';

export { batch, computed, Fragment, render, signal, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from '../vendor/libraries.js';

/** Writes elements as tagged templates. Texts become text nodes, whatever is in them. */
export const html = htm.bind(h);
